"""Heat sinks into the soil, and frost with it, as exact solutions say."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import erf

from bowen.land.parameters import Parameters
from bowen.models.base import Process
from bowen.physics import soil
from bowen.physics.constants import FUSION, LAYER_THICKNESS
from tests import helpers
from tests.reference_solver import AdaptiveStep

CAPACITY, CONDUCTIVITY = 2.0e6, 0.8  # medium soil: diffusivity 4e-7 m2 s-1
OMEGA = 2.0 * np.pi / 86400.0
FINE = (0.005,) * 200


def exact_response(thickness: tuple[float, ...], dt: float, drive: float, top: float) -> np.ndarray:
    """Complex amplitude of each layer under backward Euler, driven by `drive` cos(omega t) [W m-2] at the surface."""
    depth = np.asarray(thickness)
    conductance = 2.0 * CONDUCTIVITY / (depth[:-1] + depth[1:])
    matrix = np.diag(CAPACITY * depth * (1.0 - np.exp(-1j * OMEGA * dt)) / dt)
    for k, g in enumerate(conductance):
        matrix[k : k + 2, k : k + 2] += g * np.array([[1, -1], [-1, 1]])
    matrix[0, 0] += top
    return np.linalg.solve(matrix, np.eye(len(depth))[0] * drive)


@pytest.mark.physics
def test_insulation_stands_in_series_with_the_upper_layers():
    bare, covered = (soil.layer_conductances(jnp.asarray(0.8), jnp.asarray(r)) for r in (0.0, 0.2))
    np.testing.assert_allclose(bare, [32.0, 11.034, 3.556, 1.185], rtol=5e-4)
    assert bare[1:] == covered[1:]
    np.testing.assert_allclose(1.0 / covered[0], 1.0 / bare[0] + 0.2, rtol=1e-12)


def stepped(warmth: jax.Array, time: float, dt: float, drive: float, top: float) -> jax.Array:
    """The column one step later, at `time`, by elimination and substitution."""
    capacity, conductances = jnp.asarray(CAPACITY), soil.layer_conductances(jnp.asarray(CONDUCTIVITY), jnp.asarray(0.0))
    offsets, slopes = soil.eliminate(warmth, capacity, conductances, jnp.asarray(dt))
    upper = conductances[0]
    conducted = upper * (warmth[0] - warmth[1] - offsets[0])
    weight = soil.layer_capacities(capacity)[0] / dt + upper * (1.0 - slopes[0]) + top
    warming = (drive * np.cos(OMEGA * time) - top * warmth[0] - conducted) / weight
    return warmth + soil.substitute(warming, offsets, slopes)


@pytest.mark.physics
@pytest.mark.parametrize(
    ("thickness", "drive", "top", "steps"),
    [(LAYER_THICKNESS, 100.0, 0.0, 48), (FINE, 320.0, 320.0, 5)],
    ids=["V3 five layers under a flux", "V4 fine layers under a temperature"],
)
def test_the_column_follows_the_exact_wave(monkeypatch, thickness, drive, top, steps):
    monkeypatch.setattr(soil, "LAYER_THICKNESS", thickness)
    dt = 1800.0
    amplitude = exact_response(thickness, dt, drive, top)
    warmth = jnp.asarray(amplitude.real)
    for time in dt * np.arange(1, steps + 1):
        warmth = stepped(warmth, time, dt, drive, top)
        error = np.abs(warmth - (amplitude * np.exp(1j * OMEGA * time)).real)
        assert (error < 1e-9 * np.abs(amplitude)).all()


@pytest.mark.physics
def test_the_daily_wave_of_five_layers():
    """V3: amplitudes and lags after a flux of 100 cos(omega t) W m-2."""
    amplitude = exact_response(LAYER_THICKNESS, 1800.0, 100.0, 0.0)
    expected = [9.474814, 7.448985, 3.841799, 0.2657187, 0.002165591]
    np.testing.assert_allclose(np.abs(amplitude), expected, rtol=1e-6)
    lag = np.mod(-np.angle(amplitude), 2 * np.pi) / OMEGA / 3600.0
    np.testing.assert_allclose(lag, [2.8594, 3.8511, 6.7556, 12.1537, 17.8726], rtol=1e-4)


@pytest.mark.physics
def test_the_error_of_the_daily_wave_halves_with_the_step():
    """V4: at 9.75 cm the wave of a half-space has fallen to exp(-z/d). The values are of day 20 of a run from rest."""
    analytic = np.exp(-0.0975 / np.sqrt(2.0 * CONDUCTIVITY / CAPACITY / OMEGA))
    seen = [abs(exact_response(FINE, dt, 320.0, 320.0)[19]) for dt in (1800.0, 900.0, 450.0, 60.0)]
    np.testing.assert_allclose([analytic, *seen], [0.394714, 0.383146, 0.388774, 0.391682, 0.394253], rtol=3e-5)
    errors = analytic - np.array(seen[:3])
    np.testing.assert_allclose(errors[:-1] / errors[1:], 2.0, rtol=0.05)


@pytest.mark.physics
def test_frost_sinks_as_neumann_says(monkeypatch):
    """Under a surface held 5 K below melting the front is at 2 l sqrt(D t), with l exp(l^2) erf l = St / sqrt(pi)."""
    monkeypatch.setattr(soil, "LAYER_THICKNESS", FINE)
    water, cold, dt, steps = 200.0, 5.0, 1800.0, 480
    capacity = CAPACITY * jnp.asarray(FINE)
    conductances = soil.layer_conductances(jnp.asarray(CONDUCTIVITY), jnp.asarray(0.0))

    def advance(now, _):
        warmth, ice = now
        offsets, slopes = soil.eliminate(warmth, jnp.asarray(CAPACITY), conductances, jnp.asarray(dt))
        warmth = warmth + soil.substitute(jnp.asarray(0.0), offsets, slopes)
        fused, ice = soil.freeze(warmth, ice, jnp.asarray(water), capacity)
        return (warmth + fused, ice), None

    start = jnp.zeros(len(FINE)).at[0].set(-cold), jnp.zeros(len(FINE))
    (warmth, ice), _ = jax.lax.scan(advance, start, None, length=steps)
    stefan = CAPACITY * cold / (FUSION * water)
    root = brentq(lambda x: x * np.exp(x**2) * erf(x) - stefan / np.sqrt(np.pi), 0.01, 2.0)
    front = 2.0 * root * np.sqrt(CONDUCTIVITY / CAPACITY * dt * steps)
    assert float(ice.sum()) / water == pytest.approx(front, rel=0.02)
    assert front == pytest.approx(0.31, abs=0.01)
    frozen = np.asarray(ice)[1:] >= water * FINE[0]
    assert (warmth[1:][frozen] < 0.0).all() and np.abs(warmth[1:][~frozen]).max() < 1e-12


@pytest.mark.physics
def test_what_froze_thaws_again_and_gives_back_its_heat():
    water, capacity = jnp.asarray(200.0), jnp.asarray(soil.layer_capacities(jnp.asarray(CAPACITY)))
    fused, ice = soil.freeze(jnp.full(5, -3.0), jnp.zeros(5), water, capacity)
    cold = fused - 3.0
    np.testing.assert_allclose(cold, [-3.0, 0.0, 0.0, 0.0, 0.0], atol=1e-15)
    np.testing.assert_allclose(FUSION * ice, (3.0 * capacity).at[0].set(0.0))
    thawed, left = soil.freeze(cold + 4.0, ice, water, capacity)
    np.testing.assert_array_equal(left, 0.0)
    np.testing.assert_allclose(cold + 4.0 + thawed, 1.0)
    fused, all_of_it = soil.freeze(jnp.full(5, -100.0), jnp.zeros(5), water, capacity)
    colder = fused - 100.0
    np.testing.assert_allclose(all_of_it, [0.0, *(200.0 * np.asarray(LAYER_THICKNESS[1:]))])
    np.testing.assert_allclose(colder[1:], -100.0 + FUSION * 200.0 / CAPACITY)


@pytest.mark.physics
def test_rounding_loses_no_heat_in_single_precision():
    """Each temperature is off by half a unit in the last place; of the column's heat only that of one layer is lost."""
    draw = np.random.default_rng(2)
    before, conducted, fused = (
        jnp.asarray(draw.uniform(-most, most, (1000, 5)), jnp.float32) for most in (70.0, 0.1, 0.01)
    )
    fused = fused.at[:, 0].set(0.0)
    capacity = jnp.asarray(CAPACITY * np.asarray(LAYER_THICKNESS), jnp.float32)
    after = jax.jit(jax.vmap(soil.warm, in_axes=(0, 0, 0, None)))(before, conducted, fused, capacity)

    def lost(after):
        start, first, second, end = (np.asarray(x, float) for x in (before, conducted, fused, after))
        return np.abs((end - start - first - second) @ np.asarray(capacity, float)).max()  # J m-2

    assert lost(after) < 0.6 and lost(before + (conducted + fused)) > 5.0


@pytest.fixture(scope="module")
def winter():
    """Twenty frosty days, and the states of soil that holds water and of one that holds none."""
    inputs, dry = helpers.weather(20, mean=268.0), Parameters()
    wet, start = (
        dataclasses.replace(dry, freezable_water=200.0),
        helpers.beginning(dry, helpers.weather(20, mean=275.0)),
    )
    return (
        wet,
        start,
        inputs,
        [helpers.run(Process(parameters), start, inputs, lambda record: record.state) for parameters in (dry, wet)],
    )


@pytest.mark.physics
def test_wet_soil_stays_at_the_melting_point_while_it_freezes(winter):
    *_, (dry, wet) = winter
    assert not dry.soil_ice.any()
    root = slice(2 * helpers.DAY, None), 3
    assert dry.soil_temperature_excess[root].min() < -1.0
    freezing = (wet.soil_ice[root] > 0.0) & (wet.soil_ice[root] < 200.0 * LAYER_THICKNESS[3])
    assert freezing.any()
    assert np.abs(wet.soil_temperature_excess[root])[freezing].max() < 1e-9


@pytest.mark.physics
@pytest.mark.slow
def test_an_adaptive_solver_freezes_as_much(winter):
    parameters, start, inputs, (_, wet) = winter
    part = inputs.window(0, 6 * helpers.DAY)
    model = Process(parameters, solver=AdaptiveStep())
    referee = helpers.run(model, start, part, lambda record: record.state.soil_ice.sum(axis=-1))
    assert float(referee[-1]) == pytest.approx(float(wet.soil_ice[len(referee) - 1].sum()), rel=0.05)

"""Heat sinks into the soil as the exact solution of the discrete equations says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bowen.constants import LAYER_THICKNESS
from bowen.physics import soil

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

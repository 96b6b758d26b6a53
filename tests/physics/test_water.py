"""Water drains, rests and runs off as the bucket and the linear reservoir say."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowen.land.parameters import Parameters
from bowen.models.base import Process
from bowen.physics import evaporation, hydrology
from tests import helpers
from tests.reference_solver import AdaptiveStep

DAY = 86400.0


@pytest.mark.physics
@pytest.mark.parametrize("steps", [1, 1440])
def test_groundwater_drains_exponentially(steps):
    """V6: exactly, in one step or in many; backward Euler would give 60.658330."""
    dt, residence = jnp.asarray(30.0 * DAY / steps), jnp.asarray(60.0 * DAY)
    left = jnp.asarray(100.0)
    for _ in range(steps):
        left, _ = hydrology.reservoir(left, jnp.asarray(0.0), residence, dt)
    np.testing.assert_allclose(left, 100.0 * np.exp(-0.5), rtol=1e-12)


@pytest.mark.physics
def test_groundwater_gains_what_does_not_run_off():
    dt, recharge, before = jnp.asarray(1800.0), jnp.asarray(3e-4), jnp.asarray(7.0)
    after, runoff = hydrology.reservoir(before, recharge, jnp.asarray(60.0 * DAY), dt)
    np.testing.assert_allclose(after - before, dt * (recharge - runoff), rtol=1e-12)


@pytest.mark.physics
def test_what_is_supplied_is_what_is_needed():
    storage = jnp.asarray([0.0, 10.0, 40.0, 60.0])
    supplied = hydrology.external_supply(storage, jnp.asarray(40.0), jnp.asarray(8e-5))
    np.testing.assert_allclose(supplied, [8e-5, 6e-5, 0.0, 0.0], rtol=1e-12)


@pytest.mark.physics
def test_a_supply_keeps_a_dry_root_zone_from_drying_out():
    """Without rain the root zone rests where the supply is what evaporates, below what plants want."""
    base = dataclasses.replace(Parameters(), external_supply=5e-5)
    inputs = helpers.weather(60, storms=False)
    state = helpers.beginning(base, inputs)
    dry, fed = (helpers.run(Process(dataclasses.replace(base, external_supply=q)), state, inputs) for q in (0.0, 5e-5))
    late = slice(-10 * helpers.DAY, None)
    supplied, lost = fed.external_supply[late].mean(), fed.evapotranspiration[late].mean()
    assert not dry.external_supply.any() and 0.0 < supplied < 5e-5
    assert supplied == pytest.approx(float(lost), rel=0.05) and lost > 2.0 * dry.evapotranspiration[late].mean()


@pytest.mark.physics
def test_what_does_not_fit_overflows():
    """V7: 49 mm in the root zone of 50 mm, 5 mm of rain and a little evaporation."""
    filled = jnp.asarray(49.0 + 5.0 - 1.2735e-3)
    drained = hydrology.overflow(filled - 50.0, jnp.asarray(0.5))
    np.testing.assert_allclose([drained, filled - drained], [3.9987265, 50.0], rtol=1e-9)


@pytest.mark.physics
def test_overflow_is_the_smooth_hull_of_the_excess():
    excess, width = jnp.linspace(-2.0, 2.0, 4001), jnp.asarray(0.5)
    drained, slope = jax.jvp(lambda x: hydrology.overflow(x, width), (excess,), (jnp.ones_like(excess),))
    assert (drained >= jnp.maximum(excess, 0.0)).all()
    outside = jnp.abs(excess) >= 0.5
    np.testing.assert_array_equal(drained[outside], jnp.maximum(excess, 0.0)[outside])
    assert jnp.abs(jnp.diff(slope)).max() < 2e-3  # no corner
    assert (slope >= 0.0).all()


@pytest.mark.physics
@pytest.mark.parametrize("potential", [-1e-3, 0.0, 1e-5, 10.0], ids=["dew", "still", "usual", "more than there is"])
def test_no_more_evaporates_than_there_is(potential):
    dt, e = jnp.asarray(1800.0), jnp.asarray(potential)
    for available in jnp.asarray([0.0, 1e-9, 1.0, 100.0]):
        root = evaporation.root_evaporation(e, available, jnp.asarray(50.0), dt)
        pack = evaporation.snow_evaporation(e, available, jnp.asarray(1.0), dt)
        assert dt * root <= available * (1.0 + 1e-15)
        assert dt * pack <= available
        assert jnp.sign(root) * jnp.sign(e) >= 0.0


@pytest.mark.physics
def test_stressed_evaporation_solves_the_implicit_step():
    """W' = W - dt e min(1, W' / W_c), the backward-Euler step of a drying root zone."""
    before, critical, dt, potential = jnp.asarray(20.0), jnp.asarray(60.0), jnp.asarray(1800.0), jnp.asarray(2e-4)
    lost = evaporation.root_evaporation(potential, before, critical, dt)
    np.testing.assert_allclose(lost, potential * (before - dt * lost) / critical, rtol=1e-14)


@pytest.mark.physics
@settings(max_examples=50, deadline=None)
@given(st.floats(0.0, 1.0), st.floats(0.0, 300.0), st.floats(1.0, 700.0), st.floats(0.0, 2.0))
def test_saturation_excess_is_between_none_and_all(saturation, gain, capacity, spread):
    """What overflows besides is left, what is taken up grows with the storm, and so does what is not."""
    storage, gain, capacity, spread = map(jnp.asarray, (saturation * capacity, gain, capacity, spread))

    def taken_up(gain):
        kept = jnp.minimum(gain, capacity - storage)
        return kept - hydrology.saturation_excess(storage, gain, capacity, spread)

    excess = hydrology.saturation_excess(storage, gain, capacity, spread)
    assert 0.0 <= excess <= min(gain, capacity - storage + 1e-6 * capacity)
    assert -1e-5 * capacity <= taken_up(gain + 1.0) - taken_up(gain) <= 1.0 + 1e-9
    slopes = jax.grad(hydrology.saturation_excess, argnums=(0, 1, 2, 3))(storage, gain, capacity, spread)
    assert np.isfinite(slopes).all()


@pytest.mark.physics
def test_a_bucket_of_one_capacity_has_no_saturation_excess():
    storage, gain = jnp.meshgrid(jnp.linspace(0.0, 100.0, 11), jnp.linspace(0.0, 300.0, 7))
    assert not hydrology.saturation_excess(storage, gain, jnp.asarray(100.0), jnp.asarray(0.0)).any()
    assert not hydrology.saturated_share(storage, jnp.asarray(100.0), jnp.asarray(0.0)).any()


@pytest.mark.physics
@pytest.mark.parametrize("spread", [0.05, 0.3, 1.0, 2.0])
def test_saturation_excess_is_the_share_of_saturated_ground(spread):
    """dR = A dg and dW = (1 - A) dg, integrated in small steps, and in one."""
    capacity, spread, steps, storm = jnp.asarray(100.0), jnp.asarray(spread), 20000, 60.0

    def drop(now, _):
        excess = hydrology.saturated_share(now, capacity, spread) * storm / steps
        return now + storm / steps - excess, excess

    _, parts = jax.lax.scan(drop, jnp.asarray(30.0), None, length=steps)
    at_once = hydrology.saturation_excess(jnp.asarray(30.0), jnp.asarray(storm), capacity, spread)
    np.testing.assert_allclose(at_once, parts.sum(), rtol=1e-3)


@pytest.mark.physics
def test_two_storms_make_the_runoff_of_one():
    capacity, spread = jnp.asarray(120.0), jnp.asarray(0.4)
    first = hydrology.saturation_excess(jnp.asarray(50.0), jnp.asarray(20.0), capacity, spread)
    second = hydrology.saturation_excess(70.0 - first, jnp.asarray(30.0), capacity, spread)
    whole = hydrology.saturation_excess(jnp.asarray(50.0), jnp.asarray(50.0), capacity, spread)
    np.testing.assert_allclose(first + second, whole, rtol=1e-12)


@pytest.mark.physics
@settings(max_examples=50, deadline=None)
@given(st.floats(0.0, 1.0), st.floats(0.63, 700.0), st.floats(0.0, 1.0), st.floats(1.0, 86400.0))
def test_no_more_leaks_than_there_is(saturation, capacity, rate, dt):
    storage, capacity, rate, dt = map(jnp.asarray, (saturation * capacity, capacity, rate, dt))
    leaked = hydrology.gravity_drainage(storage, capacity, rate, jnp.asarray(13.0), dt)
    assert 0.0 <= leaked <= rate * (1.0 + 1e-12) and dt * leaked <= storage
    slopes = jax.grad(hydrology.gravity_drainage, argnums=(0, 1, 2))(storage, capacity, rate, jnp.asarray(13.0), dt)
    assert np.isfinite(slopes).all()


@pytest.mark.physics
def test_a_full_root_zone_leaks_at_its_rate():
    leaked = hydrology.gravity_drainage(
        jnp.asarray(80.0), jnp.asarray(80.0), jnp.asarray(1e-5), jnp.asarray(13.0), jnp.asarray(1e-6)
    )
    np.testing.assert_allclose(leaked, 1e-5, rtol=1e-9)


@pytest.mark.physics
@settings(max_examples=50, deadline=None)
@given(st.floats(0.0, 2000.0), st.floats(0.0, 1.2), st.floats(0.0, 1e-6), st.floats(1.0, 86400.0))
def test_no_more_rises_than_there_is(groundwater, saturation, rate, dt):
    groundwater, saturation, rate, dt = map(jnp.asarray, (groundwater, saturation, rate, dt))
    risen = hydrology.capillary_rise(groundwater, 90.0 * saturation, jnp.asarray(90.0), rate, dt)
    assert 0.0 <= risen and dt * risen <= groundwater
    np.testing.assert_allclose(risen, groundwater * rate * jnp.maximum(1.0 - saturation, 0.0), rtol=0.1)
    assert saturation < 1.0 or risen == 0.0


@pytest.mark.slow
@pytest.mark.physics
def test_groundwater_feeds_the_roots_through_a_drought():
    """What has left the root zone comes back: more evaporates, less runs off, and nothing is made."""
    inputs = helpers.weather(60, storms=False)
    bare, lifting = Parameters(), dataclasses.replace(Parameters(), capillary_rise_rate=3e-7)
    start = dataclasses.replace(helpers.beginning(bare, inputs), groundwater=jnp.asarray(300.0))
    dry, fed = (helpers.run(Process(each), start, inputs, lambda record: record) for each in (bare, lifting))
    risen = 1800.0 * float(fed.fluxes.capillary_rise.sum())
    assert not dry.fluxes.capillary_rise.any() and risen > 20.0
    late = slice(-10 * helpers.DAY, None)
    assert fed.fluxes.evapotranspiration[late].mean() > 2.0 * dry.fluxes.evapotranspiration[late].mean()
    assert fed.fluxes.runoff.sum() < dry.fluxes.runoff.sum()
    gone = 1800.0 * float((fed.fluxes.evapotranspiration + fed.fluxes.runoff - fed.fluxes.rainfall).sum())
    held = sum(getattr(start, store) - getattr(fed.state, store)[-1] for store in ("root_zone_water", "groundwater"))
    assert gone == pytest.approx(float(held), abs=1e-9)
    part = inputs.window(0, 4 * helpers.DAY)
    referee = helpers.run(Process(lifting, solver=AdaptiveStep()), start, part).capillary_rise.sum()
    assert float(referee) == pytest.approx(float(fed.fluxes.capillary_rise[: 4 * helpers.DAY].sum()), rel=0.01)


@pytest.mark.slow
@pytest.mark.physics
def test_deep_water_feeds_dry_roots_until_it_is_gone():
    """Roots get what flowed in from elsewhere and no more; the budget has the inflow as a source."""
    inputs = helpers.weather(60, storms=False)
    bare = Parameters()
    fed = dataclasses.replace(bare, lateral_inflow_fraction=0.5, deep_water_release_rate=1e-6)
    start = dataclasses.replace(helpers.beginning(bare, inputs), deep_water=jnp.asarray(30.0))
    dry, wet = (helpers.run(Process(each), start, inputs, lambda record: record) for each in (bare, fed))
    released = 1800.0 * float(wet.fluxes.deep_water_release.sum())
    assert not dry.fluxes.deep_water_release.any() and 20.0 < released < 30.0
    assert float(wet.state.deep_water[-1]) < 3.0  # no rain, so that nothing flows in
    gained = 1800.0 * float((wet.fluxes.evapotranspiration - dry.fluxes.evapotranspiration).sum())
    assert 0.8 * released < gained <= released + 1e-9
    for out in (dry, wet):
        assert float(jnp.abs(out.fluxes.water_residual).max()) < 1e-14
    raining = helpers.weather(30, storms=True)
    flows = helpers.run(Process(fed), start, raining, lambda record: record).fluxes
    np.testing.assert_allclose(flows.lateral_inflow, 0.5 * (flows.rainfall + flows.snowfall), rtol=1e-12)
    assert float(jnp.abs(flows.water_residual).max()) < 1e-14
    part = inputs.window(0, 2 * helpers.DAY)
    reference = helpers.run(Process(fed, solver=AdaptiveStep()), start, part).deep_water_release.sum()
    assert float(reference) == pytest.approx(float(wet.fluxes.deep_water_release[: 2 * helpers.DAY].sum()), rel=0.02)


OPTIONS = {"quickflow_fraction": 0.5, "infiltration_shape": 0.4, "max_drainage": 2e-5}


@pytest.mark.physics
@pytest.mark.parametrize(
    "names", [("quickflow_fraction",), ("infiltration_shape",), ("max_drainage",), tuple(OPTIONS)], ids="+".join
)
def test_ways_to_the_river(names):
    """A quick way changes no flux but runoff; what drains early leaves less to evaporate; without any it is LaD."""
    parameters = dataclasses.replace(Parameters(), root_zone_capacity=60.0, initial_saturation=0.9)
    inputs = helpers.weather(60)
    state = helpers.beginning(parameters, inputs)
    lad = helpers.run(Process(parameters), state, inputs)
    other = Process(dataclasses.replace(parameters, **{name: OPTIONS[name] for name in names}))
    told = helpers.run(other, state, inputs)
    assert not lad.surface_runoff.any() and not lad.saturation_excess.any()
    np.testing.assert_array_equal(lad.runoff, lad.subsurface_runoff)
    np.testing.assert_allclose(told.runoff, told.surface_runoff + told.subsurface_runoff, rtol=1e-12)
    assert bool(told.surface_runoff.any()) == (names != ("max_drainage",))
    assert bool(told.saturation_excess.any()) == ("infiltration_shape" in names)
    if names == ("quickflow_fraction",):
        np.testing.assert_array_equal(lad.latent_heat, told.latent_heat)
        np.testing.assert_array_equal(lad.drainage, told.drainage)
        assert told.runoff.std() > 2.0 * lad.runoff.std()
    else:
        assert told.evapotranspiration.sum() < lad.evapotranspiration.sum()

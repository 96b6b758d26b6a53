"""Snow melts at the melting point, and its heat of fusion is accounted for to the joule."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowen.land.parameters import Parameters
from bowen.land.step import ImplicitStep
from bowen.land.surface_exchange import canopy_melt_rate, measured_net_radiation
from bowen.land.variables import Forcing, initial_state
from bowen.models.base import Process
from bowen.physics import snow, thermodynamics
from bowen.physics.constants import FUSION, GRAVITY, HEAT_CAPACITY_AIR, LAYER_THICKNESS, MELTING_POINT
from tests import helpers
from tests.reference_solver import AdaptiveStep

DT = jnp.asarray(1800.0)


@jax.jit
def thaw(snow_water, cover_mass, canopy_snow_resistance=0.0):
    """One step of an isothermal column at the melting point that gains 100 W m-2, in air saturated over its ice."""
    parameters = Parameters(snow_cover_mass=cover_mass, canopy_snow_resistance=canopy_snow_resistance)
    pressure = jnp.asarray(1e5)
    icy = thermodynamics.specific_humidity(
        thermodynamics.saturation_vapor_pressure_ice(jnp.asarray(MELTING_POINT)), pressure
    )
    forcing = Forcing(
        shortwave_down=0.0,
        air_temperature=MELTING_POINT - GRAVITY / HEAT_CAPACITY_AIR * parameters.reference_height,
        specific_humidity=icy,
        air_pressure=pressure,
        wind_speed=3.0,
        precipitation=0.0,
        net_radiation=100.0,
    )
    state = initial_state(parameters, jnp.asarray(MELTING_POINT))
    state = dataclasses.replace(state, snow_water=snow_water, root_zone_water=100.0)
    step = ImplicitStep(substeps=1, iterations=8, net_radiation=measured_net_radiation)
    return step(parameters, state, forcing, DT)


@pytest.mark.physics
@pytest.mark.parametrize(
    ("cover_mass", "melt", "rtol"),
    [(0.0, 100.0 * 1800.0 / FUSION, 1e-12), (1.0, 0.5389228, 1e-5)],
    ids=["all covered", "with a trace of dew"],
)
def test_deep_snow_melts_at_the_melting_point(cover_mass, melt, rtol):
    """V10"""
    after, fluxes = thaw(50.0, cover_mass)
    np.testing.assert_array_equal(fluxes.surface_temperature, MELTING_POINT)
    np.testing.assert_allclose(DT * fluxes.snow_melt, melt, rtol=rtol)
    np.testing.assert_allclose(after.snow_water, 50.0 - melt, rtol=rtol)
    np.testing.assert_array_equal(after.soil_temperature_excess, 0.0)


@pytest.mark.physics
def test_thin_snow_vanishes_and_the_rest_warms_the_soil():
    """V11"""
    parameters = Parameters()
    after, fluxes = thaw(0.2, 1.0)
    assert after.snow_water == 0.0
    assert after.soil_temperature_excess[0] > 0.0
    gained = (parameters.heat_capacity * jnp.asarray(LAYER_THICKNESS) * after.soil_temperature_excess).sum()
    air = MELTING_POINT - GRAVITY / HEAT_CAPACITY_AIR * parameters.reference_height
    vapor = fluxes.root_evaporation + fluxes.snow_sublimation
    spent = fluxes.sensible_heat + thermodynamics.vaporization_heat(air) * vapor
    np.testing.assert_allclose(gained, DT * (fluxes.net_radiation - spent) - FUSION * 0.2, atol=1e-6)


@pytest.mark.physics
def test_a_canopy_melts_its_snow_by_the_degree_day():
    """2.42 mm a day and kelvin, the mean of Finnish forests, of deep snow."""
    melt = snow.sheltered_melt(
        jnp.asarray(MELTING_POINT + 3.0), jnp.asarray(1e9), jnp.asarray(1.0), canopy_melt_rate(jnp.asarray(0.107)), DT
    )
    np.testing.assert_allclose(86400.0 * melt / 3.0, 2.42, rtol=2e-3)


@pytest.mark.physics
@settings(max_examples=50, deadline=None)
@given(st.floats(-60.0, 100.0), st.floats(0.0, 1000.0), st.floats(0.0, 10.0), st.floats(0.0, 1.0))
def test_no_more_sheltered_snow_melts_than_there_is(warmth, supply, cover_mass, rate):
    at = tuple(map(jnp.asarray, (MELTING_POINT + warmth, supply, cover_mass + 1e-3, rate, 1800.0)))
    melt = snow.sheltered_melt(*at)
    assert 0.0 <= 1800.0 * melt <= supply and (warmth > 0.0 or melt == 0.0)
    assert snow.sheltered_melt(at[0] + 1.0, *at[1:]) >= melt
    assert np.isfinite(jax.grad(snow.sheltered_melt, argnums=(0, 1, 2, 3))(*at)).all()


@pytest.mark.physics
def test_a_small_resistance_is_none():
    """The surface tends to the melting point, and melt to what LaD melts."""
    after, fluxes = thaw(50.0, 0.0, 1e-6)
    np.testing.assert_allclose(DT * fluxes.snow_melt, 100.0 * 1800.0 / FUSION, rtol=1e-4)
    np.testing.assert_allclose(fluxes.surface_temperature, MELTING_POINT, atol=1e-3)
    np.testing.assert_allclose(after.snow_water, 50.0 - 100.0 * 1800.0 / FUSION, rtol=1e-4)


@pytest.mark.physics
def test_snow_below_a_canopy_melts_later():
    """And the canopy above it gets warm in the sun, as the surface of LaD's snow cannot."""
    inputs = helpers.weather(20, mean=277.0)
    open_, forest = Parameters(), Parameters(canopy_snow_resistance=0.107)
    start = dataclasses.replace(helpers.beginning(open_, inputs), snow_water=jnp.asarray(150.0))
    gone, lying = (helpers.run(Process(p), start, inputs, lambda r: (r.state, r.fluxes)) for p in (open_, forest))
    assert (lying[0].snow_water >= gone[0].snow_water - 1e-9).all() and lying[0].snow_water[-1] > 10.0
    assert gone[0].snow_water[-1] == 0.0
    assert lying[1].surface_temperature.max() > MELTING_POINT + 3.0
    assert np.abs(lying[1].energy_residual).max() < 1e-9


@pytest.mark.physics
def test_snow_holds_a_share_of_its_ice_and_freezes_what_the_cold_of_the_surface_can():
    capacity, none = jnp.asarray(4e4), jnp.asarray(0.0)
    np.testing.assert_allclose(
        snow.retain_liquid(jnp.asarray([0.0, 4.0]), jnp.asarray([1.0, 3.0]), jnp.asarray(5.0)), [1.0, 5.0]
    )
    freezing = [snow.refreezing(jnp.asarray(cold), jnp.asarray(0.5), capacity, none, DT) for cold in (2.0, -2.0, -9.0)]
    np.testing.assert_allclose(freezing, [0.0, 8e4 / FUSION, 0.5])
    below = snow.refreezing(jnp.asarray(-2.0), jnp.asarray(0.5), capacity, canopy_melt_rate(jnp.asarray(0.107)), DT)
    np.testing.assert_allclose(48.0 * below / 2.0, 0.05 * 2.42, rtol=2e-3)  # mm a day and kelvin, as HBV has it


@pytest.mark.physics
@pytest.mark.parametrize("canopy_snow_resistance", [0.0, 0.107], ids=["open", "below a canopy"])
def test_wet_snow_lasts_longer_and_lets_its_water_go_later(canopy_snow_resistance):
    inputs = helpers.weather(20, mean=277.0)
    dry = Parameters(canopy_snow_resistance=canopy_snow_resistance)
    start = dataclasses.replace(helpers.beginning(dry, inputs), snow_water=jnp.asarray(150.0))
    runs = (helpers.run(Process(p), start, inputs, lambda r: (r.state, r.fluxes)) for p in (dry, wet_of(dry)))
    (before, plain), (after, fluxes) = runs
    assert not before.snow_liquid.any() and not plain.snow_refreezing.any()
    liquid, ice = after.snow_liquid, after.snow_water - after.snow_liquid
    assert liquid.max() > 5.0 and (liquid <= 0.1 * ice + 1e-9).all()
    assert fluxes.snow_refreezing.sum() * DT > (1.0 if canopy_snow_resistance else 20.0)
    assert (after.snow_water >= before.snow_water - 1e-9).all() and (after.snow_water - before.snow_water).max() > 5.0
    assert np.abs(fluxes.energy_residual).max() < 1e-9 and np.abs(fluxes.water_residual).max() < 1e-13


def wet_of(parameters):
    return dataclasses.replace(parameters, snow_water_holding_fraction=0.1)


@pytest.mark.slow
@pytest.mark.physics
def test_the_referee_keeps_as_much_water_in_the_snow():
    inputs = helpers.weather(6, mean=276.0)
    wet = wet_of(Parameters(canopy_snow_resistance=0.107))
    start = dataclasses.replace(helpers.beginning(wet, inputs), snow_water=jnp.asarray(100.0))
    fine, referee = (
        helpers.run(Process(wet, solver=step), start, inputs, lambda record: record.state)
        for step in (ImplicitStep(substeps=8), AdaptiveStep())
    )
    assert fine.snow_liquid.max() > 3.0
    # the referee lets it run for a quarter of an hour
    np.testing.assert_allclose(fine.snow_liquid, referee.snow_liquid, atol=1.2)
    np.testing.assert_allclose(fine.snow_water, referee.snow_water, atol=2.0)


@pytest.mark.physics
def test_an_unshielded_gauge_misses_half_of_the_snow_in_the_wind():
    """Known answers of Kochendorfer's formula: rain, snow, and a storm that counts as 8 m s-1."""
    winds, warmth = jnp.asarray([2.0, 5.0, 8.0, 30.0, 0.0]), jnp.asarray([283.15, 263.15, 263.15, 263.15, 263.15])
    catch = snow.gauge_catch(winds, warmth)
    np.testing.assert_allclose(catch, [0.984669, 0.492443, 0.321936, 0.321936, 1.0], atol=2e-6)


@pytest.mark.slow
@pytest.mark.physics
def test_what_the_gauge_misses_is_in_the_budget():
    """True precipitation is what was measured over the catch; nothing changes where the gauge misses nothing."""
    inputs = helpers.weather(20, storms=True)
    bare = Parameters()
    exposed = dataclasses.replace(bare, undercatch_exposure=0.8)
    start = helpers.beginning(bare, inputs)
    kept, fed = (helpers.run(Process(each), start, inputs, lambda record: record.fluxes) for each in (bare, exposed))
    measured = inputs.forcing.precipitation
    np.testing.assert_array_equal(kept.rainfall + kept.snowfall, measured)
    to_gauge = np.log(10.0 / 0.07) / np.log((10.0 - 0.0) / 0.07)
    catch = snow.gauge_catch(inputs.forcing.wind_speed * to_gauge, inputs.forcing.air_temperature)
    np.testing.assert_allclose(fed.rainfall + fed.snowfall, measured * catch**-0.8, rtol=1e-12)
    assert float(jnp.abs(fed.water_residual).max()) < 1e-14

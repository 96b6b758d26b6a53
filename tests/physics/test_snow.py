"""Snow melts at the melting point, and its heat of fusion is accounted for to the joule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bowen.constants import FUSION, GRAVITY, HEAT_CAPACITY_AIR, LAYER_THICKNESS, MELTING_POINT, VAPORIZATION
from bowen.physics import thermo
from bowen.step import ImplicitStep, prescribed_radiation
from bowen.variables import Forcing, Parameters, State

DT = jnp.asarray(1800.0)


@jax.jit
def thaw(snow, cover_mass):
    """One step of an isothermal column at the melting point that gains 100 W m-2, in air saturated over its ice."""
    parameters = Parameters(snow_cover_mass=cover_mass)
    pressure = jnp.asarray(1e5)
    icy = thermo.specific_humidity(thermo.saturation_vapor_pressure_ice(jnp.asarray(MELTING_POINT)), pressure)
    forcing = Forcing(
        shortwave_down=0.0,
        air_temperature=MELTING_POINT - GRAVITY / HEAT_CAPACITY_AIR * parameters.reference_height,
        specific_humidity=icy,
        air_pressure=pressure,
        wind_speed=3.0,
        precipitation=0.0,
        radiation=100.0,
    )
    state = State(
        soil_warmth=jnp.zeros(len(LAYER_THICKNESS)), snow_water=snow, root_water=100.0, groundwater=0.0, quick_water=0.0
    )
    step = ImplicitStep(substeps=1, iterations=8, net_radiation=prescribed_radiation)
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
    np.testing.assert_array_equal(after.soil_warmth, 0.0)


@pytest.mark.physics
def test_thin_snow_vanishes_and_the_rest_warms_the_soil():
    """V11"""
    parameters = Parameters()
    after, fluxes = thaw(0.2, 1.0)
    assert after.snow_water == 0.0
    assert after.soil_warmth[0] > 0.0
    gained = (parameters.heat_capacity * jnp.asarray(LAYER_THICKNESS) * after.soil_warmth).sum()
    spent = fluxes.sensible_heat + VAPORIZATION * (fluxes.root_evaporation + fluxes.snow_sublimation)
    np.testing.assert_allclose(gained, DT * (fluxes.net_radiation - spent) - FUSION * 0.2, atol=1e-6)

"""The surface balance is that of Penman and Monteith wherever they can be compared."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bowen.physics import evaporation, thermodynamics
from bowen.physics.constants import GAS_CONSTANT_DRY_AIR, HEAT_CAPACITY_AIR, VAPOR_RATIO
from bowen.physics.surface_balance import GroundHeatCoupling, SurfaceFluxes, available_energy, balance_surface

AIR, PRESSURE, AVAILABLE_ENERGY = jnp.asarray(293.15), jnp.asarray(1e5), jnp.asarray(400.0)
ZERO, ONE = jnp.asarray(0.0), jnp.asarray(1.0)
OF_THE_KNOWN_VALUES = jnp.asarray(2.5e6)  # J kg-1, with which they were made
HEATS = pytest.mark.parametrize("heat", [OF_THE_KNOWN_VALUES, thermodynamics.vaporization_heat(AIR)])
NOTHING_BELOW = GroundHeatCoupling(ZERO, ZERO, ZERO)


def saturated(temperature):
    return thermodynamics.specific_humidity(thermodynamics.saturation_vapor_pressure(temperature), PRESSURE)


SATURATED, SLOPE = jax.jvp(saturated, (AIR,), (ONE,))
HUMIDITY = thermodynamics.specific_humidity(0.5 * thermodynamics.saturation_vapor_pressure(AIR), PRESSURE)
# the known values were made with R_v / R_d - 1 where the model has its rounding, 0.608
DENSITY = PRESSURE / (GAS_CONSTANT_DRY_AIR * AIR * (1.0 + (1.0 / VAPOR_RATIO - 1.0) * HUMIDITY))


def linear(temperature):
    return SATURATED + SLOPE * (temperature - AIR)


def latent_heat(surface_humidity, aerodynamic, canopy, stress, heat=OF_THE_KNOWN_VALUES):
    """Of a surface without heat capacity, that has the available energy to spend."""

    def fluxes(warming):
        temperature, conductance = AIR + warming, 1.0 / jnp.asarray(aerodynamic)
        potential = evaporation.potential_evaporation(
            surface_humidity(temperature), HUMIDITY, conductance, jnp.asarray(canopy), DENSITY
        )
        vapor = evaporation.root_evaporation(potential, jnp.asarray(stress), ONE, ZERO)
        return SurfaceFluxes(
            AVAILABLE_ENERGY, evaporation.sensible_heat(temperature, AIR, conductance, DENSITY), vapor, ZERO, ZERO, ZERO
        )

    balance = balance_surface(
        jax.tree_util.Partial(fluxes), NOTHING_BELOW, 273.16 - AIR, ZERO, jnp.asarray(False), heat, ONE, 8
    )
    return heat * balance.fluxes.root_evaporation


def penman_monteith(aerodynamic, canopy, stress, heat):
    drying = DENSITY * HEAT_CAPACITY_AIR * (SATURATED - HUMIDITY) / aerodynamic
    psychrometric = HEAT_CAPACITY_AIR / heat * (1.0 + canopy / aerodynamic) / stress
    return (SLOPE * AVAILABLE_ENERGY + drying) / (SLOPE + psychrometric)


@pytest.mark.physics
@pytest.mark.parametrize(("stress", "expected"), [(1.0, 287.64490), (0.4, 162.48814)])
def test_linear_humidity_gives_penman_monteith(stress, expected):
    """V8"""
    np.testing.assert_allclose(latent_heat(linear, 50.0, 70.0, stress), expected, rtol=1e-7)


@pytest.mark.physics
@HEATS
@pytest.mark.parametrize("stress", [1.0, 0.4])
def test_any_heat_of_vaporization_gives_penman_monteith(stress, heat):
    """V8, with the heat of vaporization of the air also."""
    ours = latent_heat(linear, 50.0, 70.0, stress, heat)
    np.testing.assert_allclose(ours, penman_monteith(50.0, 70.0, stress, heat), rtol=1e-10)


@pytest.mark.physics
@pytest.mark.parametrize(("stress", "expected"), [(1.0, 294.43464), (0.4, 180.46223)])
def test_curved_humidity_evaporates_more(stress, expected):
    """V8"""
    np.testing.assert_allclose(latent_heat(saturated, 50.0, 70.0, stress), expected, rtol=1e-7)


@pytest.mark.physics
@HEATS
def test_still_air_leaves_equilibrium_evaporation(heat):
    """V9"""
    share = latent_heat(linear, 1e9, 0.0, 1.0, heat) / AVAILABLE_ENERGY
    np.testing.assert_allclose(share, SLOPE / (SLOPE + HEAT_CAPACITY_AIR / heat), rtol=1e-6)
    assert heat != OF_THE_KNOWN_VALUES or share == pytest.approx(0.694544, rel=1e-6)


@HEATS
def test_open_water_evaporates_as_penman_says(heat):
    """V8 without stomata; and dew is none of it."""
    ours = evaporation.penman_evaporation(AVAILABLE_ENERGY, AIR, HUMIDITY, PRESSURE, jnp.asarray(0.02), DENSITY, heat)
    np.testing.assert_allclose(heat * ours, penman_monteith(50.0, 0.0, 1.0, heat), rtol=1e-10)
    assert (
        evaporation.penman_evaporation(-AVAILABLE_ENERGY, AIR, SATURATED, PRESSURE, jnp.asarray(0.02), DENSITY, heat)
        == 0.0
    )


@pytest.mark.parametrize("available", [0.0, 1e-3, 2.0, 500.0])
def test_several_demands_share_one_store(available):
    """However dry, no more leaves than is there; one demand alone is limited as ever."""
    dt, critical = jnp.asarray(1800.0), jnp.asarray([75.0, 5.0])
    asked, left = jnp.asarray([2e-4, 1e-4]), jnp.asarray(available)
    shared = evaporation.shared_evaporation(asked, left, critical, dt)
    assert 0.0 <= dt * shared <= available
    assert available < 100.0 or shared == pytest.approx(3e-4)
    alone = evaporation.shared_evaporation(asked[:1], left, critical[:1], dt)
    np.testing.assert_allclose(alone, evaporation.root_evaporation(asked[0], left, critical[0], dt), rtol=1e-14)


def test_energy_evaporates_by_the_coefficient_of_priestley_and_taylor():
    """1.26 times what would be in equilibrium (V9), and nothing where energy is lacking."""
    share = evaporation.equilibrium_share(AIR, PRESSURE, OF_THE_KNOWN_VALUES)
    np.testing.assert_allclose(share, 0.694544, rtol=1e-6)
    energy = jnp.asarray([400.0, 0.0, -80.0])
    vapor = evaporation.energy_evaporation(energy, 1.26 * share, OF_THE_KNOWN_VALUES)
    np.testing.assert_allclose(OF_THE_KNOWN_VALUES * vapor, [1.26 * 0.694544 * 400.0, 0.0, 0.0], rtol=1e-6)
    below = GroundHeatCoupling(jnp.asarray(3.0), jnp.asarray(20.0), jnp.asarray(5.0))
    np.testing.assert_allclose(available_energy(AVAILABLE_ENERGY, jnp.asarray(2.0), below), 400.0 - 6.0 - 20.0 - 10.0)


@pytest.mark.parametrize(
    ("law", "temperature", "expected"),
    [
        (thermodynamics.saturation_vapor_pressure, 293.15, 2332.60),
        (thermodynamics.saturation_vapor_pressure, 303.15, 4233.72),
        (thermodynamics.saturation_vapor_pressure, 253.15, 125.965),
        (thermodynamics.saturation_vapor_pressure_ice, 253.15, 103.261),
    ],
)
def test_saturation_vapor_pressure(law, temperature, expected):
    np.testing.assert_allclose(law(jnp.asarray(temperature)), expected, rtol=5e-6)

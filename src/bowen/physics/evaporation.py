"""Turbulent fluxes of heat and vapor for a given surface temperature, and their limits by water supply."""

import jax
import jax.numpy as jnp

from bowen.numerics.array_types import Scalar
from bowen.physics.constants import HEAT_CAPACITY_AIR
from bowen.physics.thermodynamics import saturation_vapor_pressure, specific_humidity


def sensible_heat(surface_temperature: Scalar, air_temperature: Scalar, conductance: Scalar, density: Scalar) -> Scalar:
    r"""Compute the sensible heat flux, $H = \rho c_p (T_1 - \theta_a) / r_a$.

    Args:
        surface_temperature: Surface temperature. [K]
        air_temperature: Potential temperature of the air. [K]
        conductance: Aerodynamic conductance, 1 / r_a. [m s-1]
        density: Air density. [kg m-3]

    Returns:
        Sensible heat flux, positive upward. [W m-2]

    Source:
        Milly & Shmakin (2002); GFDL FMS `surface_flux`.
    """
    return density * HEAT_CAPACITY_AIR * conductance * (surface_temperature - air_temperature)


def potential_evaporation(
    surface_humidity: Scalar, air_humidity: Scalar, conductance: Scalar, resistance: Scalar, density: Scalar
) -> Scalar:
    r"""Compute evaporation from a surface with ample water, $e = \rho (q^* - q_a) / (r_a + r_s)$.

    Args:
        surface_humidity: Saturation specific humidity at the surface temperature. [kg kg-1]
        air_humidity: Specific humidity of the air. [kg kg-1]
        conductance: Aerodynamic conductance, 1 / r_a. [m s-1]
        resistance: Surface (bulk stomatal) resistance. [s m-1]
        density: Air density. [kg m-3]

    Returns:
        Evaporation, negative for dew. [kg m-2 s-1]

    Source:
        Milly & Shmakin (2002): their two resistances in series, after eliminating the humidity of the canopy air.
    """
    return density * (surface_humidity - air_humidity) * conductance / (1.0 + resistance * conductance)


def equilibrium_share(air_temperature: Scalar, air_pressure: Scalar, vaporization_heat: Scalar) -> Scalar:
    r"""Compute the share of available energy in equilibrium evaporation, into saturated air: $s / (s + c_p / \lambda)$.

    Args:
        air_temperature: Air temperature. [K]
        air_pressure: Air pressure. [Pa]
        vaporization_heat: Latent heat of vaporization. [J kg-1]

    Returns:
        Share, with s the slope of saturation humidity with temperature. [1]

    Source:
        Slatyer & McIlroy (1961), as in Priestley & Taylor (1972), Mon. Weather Rev. 100, 81-92, eq. 3.
    """

    def saturated(temperature: Scalar) -> Scalar:
        return specific_humidity(saturation_vapor_pressure(temperature), air_pressure)

    _, slope = jax.jvp(saturated, (air_temperature,), (jnp.ones_like(air_temperature),))
    return slope / (slope + HEAT_CAPACITY_AIR / vaporization_heat)


def penman_evaporation(
    energy: Scalar,
    air_temperature: Scalar,
    air_humidity: Scalar,
    air_pressure: Scalar,
    conductance: Scalar,
    density: Scalar,
    vaporization_heat: Scalar,
) -> Scalar:
    r"""Compute open-water evaporation, $\lambda e = [s A + \rho c_p (q^*_a - q_a) / r_a] / (s + c_p / \lambda) \ge 0$.

    It does not depend on the warming of the surface, on which little water on leaves would act as a switch.

    Args:
        energy: Net radiation less ground heat. [W m-2]
        air_temperature: Potential temperature of the air. [K]
        air_humidity: Specific humidity of the air. [kg kg-1]
        air_pressure: Air pressure. [Pa]
        conductance: Aerodynamic conductance, 1 / r_a. [m s-1]
        density: Air density. [kg m-3]
        vaporization_heat: Latent heat of vaporization. [J kg-1]

    Returns:
        Evaporation. [kg m-2 s-1]

    Source:
        Penman (1948), Proc. R. Soc. A 193, 120-145, in the form of Monteith without stomata, as Rutter et al. (1971),
        Agric. Meteorol. 9, 367-384, have it for a wet canopy.
    """
    share = equilibrium_share(air_temperature, air_pressure, vaporization_heat)
    deficit = specific_humidity(saturation_vapor_pressure(air_temperature), air_pressure) - air_humidity
    vapor = share * energy / vaporization_heat + (1.0 - share) * density * conductance * deficit
    return jnp.maximum(vapor, 0.0)


def energy_evaporation(energy: Scalar, share: Scalar, vaporization_heat: Scalar) -> Scalar:
    r"""Compute evaporation from the available energy, $e = x \max(A, 0) / \lambda$.

    Args:
        energy: Net radiation less ground heat. [W m-2]
        share: Share x of the energy that evaporates water, at most 1. [1]
        vaporization_heat: Latent heat of vaporization. [J kg-1]

    Returns:
        Evaporation. [kg m-2 s-1]

    Source:
        Priestley & Taylor (1972), Mon. Weather Rev. 100, 81-92, eq. 5, with x their coefficient of 1.26 times the share
        in equilibrium.
    """
    return share * jnp.maximum(energy, 0.0) / vaporization_heat


def root_evaporation(potential: Scalar, available: Scalar, critical: Scalar, dt: Scalar) -> Scalar:
    r"""Compute evaporation from the root zone: $E = e \min[1, A / (W_c + \Delta t \max(e, 0))]$.

    This is the backward-Euler solution of dW/dt = -e min(1, W / W_c): however dry, no more leaves than is there.

    Args:
        potential: Evaporation of the unstressed surface. [kg m-2 s-1]
        available: Root-zone water, with the water that the step adds. [kg m-2]
        critical: Root-zone water below which plants are stressed. [kg m-2]
        dt: Step length. [s]

    Returns:
        Evaporation. [kg m-2 s-1]

    Source:
        Stress of Milly & Shmakin (2002), W over 0.75 of capacity; their cap on bone-dry soil as an implicit limit.
    """
    return potential * jnp.minimum(1.0, available / (critical + dt * jnp.maximum(potential, 0.0)))


def shared_evaporation(potential: Scalar, available: Scalar, critical: Scalar, dt: Scalar) -> Scalar:
    r"""Share a store among demands: $E = \sum_k e_k \min[1, A / (W_k + \Delta t \sum_j \max(e_j, 0))]$.

    However dry, no more leaves than is there; with one demand it is `root_evaporation`.

    Args:
        potential: Evaporation of each from a full store, along the first axis. [kg m-2 s-1]
        available: Root-zone water, with the water that the step adds. [kg m-2]
        critical: Root-zone water below which each is limited, along the first axis. [kg m-2]
        dt: Step length. [s]

    Returns:
        Evaporation. [kg m-2 s-1]

    Source:
        Ours; the limit of `root_evaporation`, with the sum of the demands.
    """
    demand = dt * jnp.maximum(potential, 0.0).sum(axis=0)
    return (potential * jnp.minimum(1.0, available / (critical + demand))).sum(axis=0)


def snow_evaporation(potential: Scalar, snow_supply: Scalar, cover_mass: Scalar, dt: Scalar) -> Scalar:
    r"""Compute sublimation from snow: $E = e\,B / (B + W_e + \Delta t \max(e, 0))$, always less than $B / \Delta t$.

    Args:
        potential: Evaporation of a surface all covered by snow. [kg m-2 s-1]
        snow_supply: Snow at the start of the step with the step's snowfall. [kg m-2]
        cover_mass: Snow that covers half of the ground for vapor. [kg m-2]
        dt: Step length. [s]

    Returns:
        Sublimation, negative for frost. [kg m-2 s-1]

    Source:
        Ours: a smooth form of the switch of GFDL LM2, where any snow at all supplies the whole vapor flux.
    """
    return potential * snow_supply / (snow_supply + cover_mass + dt * jnp.maximum(potential, 0.0))

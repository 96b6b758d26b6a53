"""Turbulent fluxes of heat and vapor for a given surface temperature, and the limits water supply puts on them."""

import jax.numpy as jnp

from bowen.constants import HEAT_CAPACITY_AIR
from bowen.quantities import Scalar


def sensible_heat(surface_temperature: Scalar, air_temperature: Scalar, conductance: Scalar, density: Scalar) -> Scalar:
    r"""Sensible heat flux, $H = \rho c_p (T_1 - \theta_a) / r_a$.

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
    r"""Evaporation from a surface that does not lack water, $e = \rho (q^* - q_a) / (r_a + r_s)$.

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


def root_evaporation(potential: Scalar, available: Scalar, critical: Scalar, dt: Scalar) -> Scalar:
    r"""Evaporation from the root zone: $E = e \min[1, A / (W_c + \Delta t \max(e, 0))]$.

    This is the backward-Euler solution of dW/dt = -e min(1, W / W_c): however dry, no more leaves than is there.

    Args:
        potential: Evaporation of the unstressed surface. [kg m-2 s-1]
        available: Root-zone water with what the step brings. [kg m-2]
        critical: Root-zone water below which the plants are short of it. [kg m-2]
        dt: Step length. [s]

    Returns:
        Evaporation. [kg m-2 s-1]

    Source:
        Stress of Milly & Shmakin (2002), W over 0.75 of capacity; their cap on bone-dry soil as an implicit limit.
    """
    return potential * jnp.minimum(1.0, available / (critical + dt * jnp.maximum(potential, 0.0)))


def snow_evaporation(potential: Scalar, snow_supply: Scalar, cover_mass: Scalar, dt: Scalar) -> Scalar:
    r"""Sublimation from snow: $E = e\,B / (B + W_e + \Delta t \max(e, 0))$, always less than $B / \Delta t$.

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

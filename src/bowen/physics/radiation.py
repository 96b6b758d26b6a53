"""Shortwave and longwave exchange of the surface."""

import jax.numpy as jnp

from bowen.numerics.array_types import Scalar
from bowen.physics.constants import MELTING_POINT, STEFAN_BOLTZMANN


def cold_fraction(surface_temperature: Scalar) -> Scalar:
    """Compute how far the surface has cooled from the melting point toward 10 K below it, as a fraction.

    Args:
        surface_temperature: Surface temperature. [K]

    Returns:
        0 at the melting point or above, 1 at 10 K below it or colder. [1]

    Source:
        GFDL LM2 (1 - b of its albedo, with Delta T = 10 K).
    """
    return 1.0 - jnp.clip((surface_temperature - MELTING_POINT + 10.0) / 10.0, 0.0, 1.0)


def snow_masking(snow_water: Scalar, masking_mass: Scalar) -> Scalar:
    """Compute the share of the surface that snow hides from the sun.

    Args:
        snow_water: Snow water equivalent. [kg m-2]
        masking_mass: Snow that hides half of the surface. [kg m-2]

    Returns:
        Share hidden. [1]

    Source:
        Milly & Shmakin (2002); GFDL LM2.
    """
    return snow_water / (snow_water + masking_mass)


def albedo(
    ground: Scalar, ground_rise: Scalar, snow: Scalar, snow_rise: Scalar, cold: Scalar, masking: Scalar
) -> Scalar:
    """Compute the albedo of the surface: ground and snow, each brighter when cold, weighted by snow masking.

    Args:
        ground: Snow-free albedo at the melting point or above. [1]
        ground_rise: Gain of the snow-free albedo in the cold. [1]
        snow: Albedo of deep snow at the melting point. [1]
        snow_rise: Gain of the snow albedo in the cold. [1]
        cold: Cold fraction of the surface. [1]
        masking: Share of the surface that snow hides. [1]

    Returns:
        Albedo. [1]

    Source:
        Milly & Shmakin (2002); GFDL LM2 (warm and cold albedo, linear between).
    """
    bare = ground + ground_rise * cold
    return bare + (snow + snow_rise * cold - bare) * masking


def net_radiation(
    surface_temperature: Scalar,
    surface_albedo: Scalar,
    emissivity: Scalar,
    shortwave_down: Scalar,
    longwave_down: Scalar,
) -> Scalar:
    r"""Compute net radiation, $R_n = (1-\alpha) S + \epsilon_s (L - \sigma T^4)$.

    Args:
        surface_temperature: Surface temperature. [K]
        surface_albedo: Albedo. [1]
        emissivity: Longwave emissivity. [1]
        shortwave_down: Incoming shortwave radiation. [W m-2]
        longwave_down: Incoming longwave radiation. [W m-2]

    Returns:
        Net radiation, positive downward. [W m-2]

    Source:
        Stefan-Boltzmann law for a gray surface; emissivity is 1 in the Land Dynamics model.
    """
    emitted = STEFAN_BOLTZMANN * surface_temperature**4
    return (1.0 - surface_albedo) * shortwave_down + emissivity * (longwave_down - emitted)

"""Snow: the phase of precipitation, and what melts or sublimates."""

import jax
import jax.numpy as jnp

from bowen.constants import MELTING_POINT
from bowen.quantities import Scalar


def snowfall_share(air_temperature: Scalar, threshold: Scalar) -> Scalar:
    r"""Share of precipitation that falls as snow, $1 / (1 + \exp[(T_a - T_{50}) / 0.5\,\mathrm{K}])$.

    Args:
        air_temperature: Air temperature. [K]
        threshold: Air temperature at which half of the precipitation is snow. [K]

    Returns:
        Share of snow. [1]

    Source:
        Jennings et al. (2018), Nat. Commun. 9, 1148: mean threshold of 1.0 degC; logistic width ours.
    """
    return jax.nn.sigmoid((threshold - air_temperature) / 0.5)


def degree_melt(surface_temperature: Scalar, cover: Scalar, rate: float) -> Scalar:
    """Melt in proportion to the warmth of the surface: the relaxed law an adaptive solver needs.

    Args:
        surface_temperature: Surface temperature. [K]
        cover: Share of the ground covered by snow. [1]
        rate: Melt of full cover per kelvin. [kg m-2 s-1 K-1]

    Returns:
        Melt. [kg m-2 s-1]

    Source:
        Ours; tends to the exact complementarity of melt and surface temperature as the rate grows.
    """
    return cover * rate * jnp.maximum(surface_temperature - MELTING_POINT, 0.0)

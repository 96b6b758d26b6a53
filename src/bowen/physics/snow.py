"""Snow: phase of precipitation, melt, and liquid water in the pack."""

import jax
import jax.numpy as jnp

from bowen.numerics.array_types import Scalar
from bowen.physics.constants import FUSION, ICE_POINT, MELTING_POINT

REFREEZING = 0.05  # share of the melt per kelvin; HBV
MAX_GAUGE_WIND = 8.0  # m s-1, above which the catch of a gauge falls no further


def snowfall_share(air_temperature: Scalar, threshold: Scalar) -> Scalar:
    r"""Compute the share of precipitation that falls as snow, $1 / (1 + \exp[(T_a - T_{50}) / 0.5\,\mathrm{K}])$.

    Args:
        air_temperature: Air temperature. [K]
        threshold: Air temperature at which half of the precipitation is snow. [K]

    Returns:
        Share of snow. [1]

    Source:
        Jennings et al. (2018), Nat. Commun. 9, 1148: mean threshold of 1.0 degC; logistic width ours.
    """
    return jax.nn.sigmoid((threshold - air_temperature) / 0.5)


def gauge_catch(wind_speed: Scalar, air_temperature: Scalar) -> Scalar:
    r"""Compute the catch of an unshielded gauge, $\exp\{-0.045\,U\,[1 - \arctan(1.21\,T) + 0.66]\}$ with T in degC.

    Args:
        wind_speed: Wind U at 10 m; more than 8 m s-1 counts as 8. [m s-1]
        air_temperature: Air temperature. [K]

    Returns:
        Measured over true precipitation, near one for rain and about one half for snow in a wind of 5 m s-1. [1]

    Source:
        Kochendorfer et al. (2017), Hydrol. Earth Syst. Sci. 21, 3525-3542, table 3.
    """
    wind = jnp.minimum(wind_speed, MAX_GAUGE_WIND)
    return jnp.exp(-0.045 * wind * (1.66 - jnp.arctan(1.21 * (air_temperature - ICE_POINT))))


def sheltered_melt(
    surface_temperature: Scalar, snow_supply: Scalar, cover_mass: Scalar, rate: Scalar, dt: Scalar
) -> Scalar:
    r"""Compute the melt of snow below a canopy, $M = m\,B / (B + W_e + \Delta t\, m)$ with $m = k (T - T_f)$.

    Args:
        surface_temperature: Surface temperature, which is that of the canopy. [K]
        snow_supply: Snow that there is to melt. [kg m-2]
        cover_mass: Snow that covers half of the ground. [kg m-2]
        rate: Melt of full cover per kelvin. [kg m-2 s-1 K-1]
        dt: Step length. [s]

    Returns:
        Melt; none of a cold canopy, and never more than there is. [kg m-2 s-1]

    Source:
        Degree-day melt as of Kuusisto (1980), Nord. Hydrol. 11, 235-242, driven by the canopy instead of the air;
        the limit is ours, and that of snow's evaporation.
    """
    potential = degree_melt(surface_temperature, jnp.ones_like(snow_supply), rate)
    return potential * snow_supply / (snow_supply + cover_mass + dt * potential)


def retain_liquid(liquid: Scalar, gain: Scalar, capacity: Scalar) -> Scalar:
    """Compute the liquid water that snow retains of its own and of what reaches it; the rest runs through.

    Args:
        liquid: Liquid water in the snow. [kg m-2]
        gain: Melt of the step, and rain on the snow. [kg m-2]
        capacity: Liquid water that the remaining snow can hold. [kg m-2]

    Returns:
        Liquid water in the snow before any of it freezes. [kg m-2]

    Source:
        Snow routine of the HBV model (Bergstrom 1995, in Computer Models of Watershed Hydrology, 443-476).
    """
    return jnp.minimum(liquid + gain, capacity)


def refreezing(warmth: Scalar, liquid: Scalar, capacity: Scalar, rate: Scalar, dt: Scalar | float) -> Scalar:
    r"""Compute the liquid water that freezes: at most $-C T / L_f$, which warms the surface to the melting point.

    Args:
        warmth: Surface temperature above the melting point. [K]
        liquid: Liquid water in the snow. [kg m-2]
        capacity: Heat capacity of the surface layer. [J m-2 K-1]
        rate: Melt per kelvin of snow that the surface shelters, and that freezes as much slower as HBV's does; 0: the
            surface is the snow's. [kg m-2 s-1 K-1]
        dt: Step length. [s]

    Returns:
        Water that freezes; none at a warm surface. [kg m-2]

    Source:
        Snow routine of the HBV model (Bergstrom 1995, in Computer Models of Watershed Hydrology, 443-476); that the
        surface gains its heat is ours.
    """
    cold = jnp.maximum(-warmth, 0.0)
    most = jnp.minimum(liquid, capacity * cold / FUSION)
    return jnp.where(rate > 0.0, jnp.minimum(most, dt * REFREEZING * rate * cold), most)


def degree_melt(surface_temperature: Scalar, cover: Scalar, rate: Scalar | float) -> Scalar:
    """Compute melt in proportion to the surface temperature above the melting point.

    Args:
        surface_temperature: Surface temperature. [K]
        cover: Share of the ground covered by snow. [1]
        rate: Melt of full cover per kelvin. [kg m-2 s-1 K-1]

    Returns:
        Melt. [kg m-2 s-1]

    Source:
        Degree-day melt; tends to the complementarity of melt and surface temperature as the rate grows.
    """
    return cover * rate * jnp.maximum(surface_temperature - MELTING_POINT, 0.0)

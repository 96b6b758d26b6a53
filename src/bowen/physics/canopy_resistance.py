"""Canopy resistance: stomata that close in the dark, in dry air and in the cold, in parallel with bare ground."""

import jax.numpy as jnp

from bowen.numerics.array_types import Scalar

DARK_RESISTANCE = 5000.0  # s m-1
OPTIMUM_TEMPERATURE = 298.0  # K
_MIN_LIGHT = 1e-3  # W m-2; keeps the ratio finite in the dark where there is no response to light
_MIN_SHARE = 0.02  # of the conductance, in the cold
_MIN_THAW = 1e-6  # K2; keeps the ratio finite at freezing where there is no response of the roots


def parallel_with_ground(stomatal: Scalar, ground_conductance: Scalar) -> Scalar:
    r"""Compute the resistance of plants in parallel with the ground between them: $r = r_s / (1 + g r_s)$.

    The ground does not close in the dark, in dry air or in the cold. It draws on the same water as the plants.

    Args:
        stomatal: Resistance of the plants. [s m-1]
        ground_conductance: Conductance of the ground between and below them; 0: plants alone. [m s-1]

    Returns:
        Surface resistance. [s m-1]

    Source:
        Kelliher et al. (1995), Agric. For. Meteorol. 73, 1-16: conductances of canopy and soil in parallel.
    """
    return stomatal / (1.0 + ground_conductance * stomatal)


def stomatal_resistance(
    minimum_resistance: Scalar,
    shortwave_down: Scalar,
    deficit: Scalar,
    air_temperature: Scalar,
    root_warmth: Scalar,
    light_half_saturation: Scalar,
    vpd_sensitivity: Scalar,
    cold_sensitivity: Scalar,
    root_temperature_half_saturation: Scalar,
) -> Scalar:
    r"""Compute stomatal resistance by the Jarvis responses, $r_s = r_m (1 + h D) / (F_S F_T F_R)$.

    $F_S = (S + I r_m / r_d) / (S + I)$, $F_T = 1 - c (298 - T_a)^2$ below 298 K, and $F_R = t^2 / (t^2 + t_h^2)$ for
    roots $t$ above freezing. Where no response is switched on (I = h = c = t_h = 0) it is the minimum resistance, as
    in LaD.

    Args:
        minimum_resistance: Resistance in full light and moist, warm air. [s m-1]
        shortwave_down: Incoming shortwave radiation. [W m-2]
        deficit: Saturation deficit of the air, as specific humidity; negative values count as none. [kg kg-1]
        air_temperature: Air temperature. [K]
        root_warmth: Temperature of the soil among the roots above freezing. [K]
        light_half_saturation: Shortwave radiation at which half of the conductance is reached. [W m-2]
        vpd_sensitivity: Gain of the resistance with the deficit. [1]
        cold_sensitivity: Loss of conductance with the square of the cold; 0.0016 in the Noah model. [K-2]
        root_temperature_half_saturation: Warmth of the roots at which half of the conductance is reached. [K]

    Returns:
        Surface resistance; in the dark that of the cuticle, 5000 s m-1, unless the minimum is above it, and in cold air
        or cold soil at most 50 times that of warm ones. [s m-1]

    Source:
        Jarvis (1976), Phil. Trans. R. Soc. B 273, 593-610, in the form of the Noah model (Chen et al. 1996, J. Geophys.
        Res. 101, 7251-7268), for a leaf area that is part of I. Heat is left to the deficit. That pines transpire less
        from cold soil: Mellander et al. (2004), Hydrol. Process. 18, 3033-3051; the form of F_R is ours.
    """
    shade = light_half_saturation * jnp.minimum(minimum_resistance / DARK_RESISTANCE, 1.0)
    light = (shortwave_down + light_half_saturation + _MIN_LIGHT) / (shortwave_down + shade + _MIN_LIGHT)
    cold = jnp.maximum(OPTIMUM_TEMPERATURE - air_temperature, 0.0)
    warmth = jnp.maximum(1.0 - cold_sensitivity * cold**2, _MIN_SHARE)
    thawed = jnp.maximum(root_warmth, 0.0) ** 2 + _MIN_THAW
    active = jnp.maximum(thawed / (thawed + root_temperature_half_saturation**2), _MIN_SHARE)
    return minimum_resistance * light * (1.0 + vpd_sensitivity * jnp.maximum(deficit, 0.0)) / (warmth * active)

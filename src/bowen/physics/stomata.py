"""How plants close their stomata: in the dark, and when the air is dry."""

import jax.numpy as jnp

from bowen.quantities import Scalar

DARK_RESISTANCE = 5000.0  # s m-1
_FAINT = 1e-3  # W m-2; keeps the ratio finite in the dark where there is no response to light


def stomatal_resistance(
    least: Scalar, shortwave_down: Scalar, deficit: Scalar, half_light: Scalar, dryness_response: Scalar
) -> Scalar:
    r"""Resistance in the light and the air there is: $r_s = r_m (1 + h D) / F$, $F = (S + I r_m / r_d) / (S + I)$.

    Where neither response is switched on (I = 0, h = 0) it is the least resistance, to the bit, as in LaD.

    Args:
        least: Resistance in full light and moist air. [s m-1]
        shortwave_down: Incoming shortwave radiation. [W m-2]
        deficit: Saturation deficit of the air, as specific humidity; what is negative counts as none. [kg kg-1]
        half_light: Shortwave radiation at which half of the conductance is reached. [W m-2]
        dryness_response: Gain of the resistance with the deficit. [1]

    Returns:
        Surface resistance; in the dark that of the cuticle, 5000 s m-1, unless the least is above it. [s m-1]

    Source:
        Jarvis (1976), Phil. Trans. R. Soc. B 273, 593-610, in the form of the Noah model (Chen et al. 1996, J. Geophys.
        Res. 101, 7251-7268), for a leaf area that is part of I.
    """
    shade = half_light * jnp.minimum(least / DARK_RESISTANCE, 1.0)
    light = (shortwave_down + half_light + _FAINT) / (shortwave_down + shade + _FAINT)
    return least * light * (1.0 + dryness_response * jnp.maximum(deficit, 0.0))

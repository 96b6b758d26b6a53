"""Moist air: saturation, humidity, density, and the latent heat of vaporization.

The formulas take and return NumPy or JAX arrays, or numbers, so that reading a file never imports JAX.
"""

from typing import Any, TypeVar

import numpy as np

from bowen.physics.constants import GAS_CONSTANT_DRY_AIR, GRAVITY, HEAT_CAPACITY_AIR, ICE_POINT, VAPOR_RATIO

Values = TypeVar("Values", bound=Any)  # NumPy or JAX array, or number

MIN_VAPOR_PRESSURE = 1.0  # Pa; perfectly dry air in a record is an instrument's error


def _array_namespace(values: Any) -> Any:
    """Return the module with the functions of an array's kind, by the array API standard; NumPy for numbers."""
    return values.__array_namespace__() if hasattr(values, "__array_namespace__") else np


def saturation_vapor_pressure(temperature: Values) -> Values:
    r"""Compute saturation vapor pressure over liquid water, $e = 611.2 \exp[17.62\,t/(243.12 + t)]$.

    Args:
        temperature: Temperature of the water. [K]

    Returns:
        Saturation vapor pressure. [Pa]

    Source:
        Magnus form with the constants of Sonntag (1990); within 0.6 % of Goff-Gratch from -20 to 50 degC.
    """
    celsius = temperature - ICE_POINT
    return 611.2 * _array_namespace(celsius).exp(17.62 * celsius / (243.12 + celsius))


def saturation_vapor_pressure_ice(temperature: Values) -> Values:
    r"""Compute saturation vapor pressure over ice, $e = 611.2 \exp[22.46\,t/(272.62 + t)]$.

    Args:
        temperature: Temperature of the ice. [K]

    Returns:
        Saturation vapor pressure. [Pa]

    Source:
        Magnus form with the constants of Sonntag (1990); within 0.3 % of Goff-Gratch from -40 to 0 degC.
    """
    celsius = temperature - ICE_POINT
    return 611.2 * _array_namespace(celsius).exp(22.46 * celsius / (272.62 + celsius))


def specific_humidity(vapor_pressure: Values, air_pressure: Values) -> Values:
    r"""Compute specific humidity, $q = \epsilon e / [p - (1 - \epsilon) e]$.

    Args:
        vapor_pressure: Partial pressure of water vapor; above the total pressure, where water boils, it counts as that,
            because the formula has a pole and negative values beyond it. [Pa]
        air_pressure: Total pressure. [Pa]

    Returns:
        Specific humidity, 1 at most. [kg kg-1]

    Source:
        Definition; Milly & Shmakin (2002) use the same in GFDL LM2.
    """
    partial = _array_namespace(vapor_pressure).minimum(vapor_pressure, air_pressure)
    return VAPOR_RATIO * partial / (air_pressure - (1.0 - VAPOR_RATIO) * partial)


def vapor_pressure(humidity: Values, air_pressure: Values) -> Values:
    r"""Compute vapor pressure from specific humidity, $e = q p / [\epsilon + (1 - \epsilon) q]$.

    Args:
        humidity: Specific humidity. [kg kg-1]
        air_pressure: Total pressure. [Pa]

    Returns:
        Partial pressure of water vapor. [Pa]

    Source:
        Definition; the inverse of `specific_humidity`.
    """
    return humidity * air_pressure / (VAPOR_RATIO + (1.0 - VAPOR_RATIO) * humidity)


def air_density(air_temperature: Values, humidity: Values, air_pressure: Values) -> Values:
    """Compute the density of moist air.

    Args:
        air_temperature: Air temperature. [K]
        humidity: Specific humidity. [kg kg-1]
        air_pressure: Total pressure. [Pa]

    Returns:
        Density. [kg m-3]

    Source:
        Ideal gas with virtual temperature T (1 + 0.608 q).
    """
    return air_pressure / (GAS_CONSTANT_DRY_AIR * air_temperature * (1.0 + 0.608 * humidity))


def potential_temperature(air_temperature: Values, height: Values) -> Values:
    """Compute the temperature of air that is brought down dry-adiabatically to the surface.

    Args:
        air_temperature: Air temperature at the height of measurement. [K]
        height: Height above the zero-plane displacement. [m]

    Returns:
        Potential temperature. [K]

    Source:
        Dry-adiabatic lapse rate g / c_p.
    """
    return air_temperature + GRAVITY / HEAT_CAPACITY_AIR * height


def vaporization_heat(air_temperature: Values) -> Values:
    """Compute the latent heat of vaporization at the air temperature, as eddy-covariance processing applies it.

    Args:
        air_temperature: Air temperature. [K]

    Returns:
        Latent heat of vaporization. [J kg-1]

    Source:
        Stull (1988), eq. C.1, as in R package bigleaf: (2.501 - 0.00237 t) 1e6 with t in degC.
    """
    return (2.501 - 0.00237 * (air_temperature - ICE_POINT)) * 1e6

"""Moist air on numpy arrays, with the formulas of the physics, so that reading a file never starts JAX."""

import numpy as np

from bowen.physics.constants import ICE_POINT, VAPOR_RATIO

LEAST_VAPOR_PRESSURE = 1.0  # Pa; perfectly dry air is an instrument's error


def saturation_vapor_pressure(temperature: np.ndarray) -> np.ndarray:
    """Saturation vapor pressure over water.

    Args:
        temperature: Air temperature. [K]

    Returns:
        Saturation vapor pressure. [Pa]

    Source:
        Magnus form with the constants of Sonntag (1990), as in `bowen.physics.thermodynamics`.
    """
    celsius = temperature - ICE_POINT
    return 611.2 * np.exp(17.62 * celsius / (243.12 + celsius))


def specific_humidity(vapor_pressure: np.ndarray, air_pressure: np.ndarray) -> np.ndarray:
    """Specific humidity from vapor pressure, which is held above 1 Pa.

    Args:
        vapor_pressure: Partial pressure of water vapor. [Pa]
        air_pressure: Total pressure. [Pa]

    Returns:
        Specific humidity. [kg kg-1]
    """
    vapor_pressure = np.maximum(vapor_pressure, LEAST_VAPOR_PRESSURE)
    return VAPOR_RATIO * vapor_pressure / (air_pressure - (1.0 - VAPOR_RATIO) * vapor_pressure)


def vapor_pressure(humidity: np.ndarray, air_pressure: np.ndarray) -> np.ndarray:
    """Vapor pressure from specific humidity, the inverse of `specific_humidity`.

    Args:
        humidity: Specific humidity. [kg kg-1]
        air_pressure: Total pressure. [Pa]

    Returns:
        Partial pressure of water vapor. [Pa]
    """
    return humidity * air_pressure / (VAPOR_RATIO + (1.0 - VAPOR_RATIO) * humidity)

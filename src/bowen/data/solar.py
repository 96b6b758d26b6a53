"""Position of the sun over a tower, and shortwave radiation under a clear sky."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

_DAYS = np.arange(367)  # days of the year count from 1
_SAMPLES = 6  # per step; at sunrise and sunset the mean of a step differs from its middle


def compute_elevation_sine(stamps: np.ndarray, site: Mapping[str, Any], utc_offset_hours: float) -> np.ndarray:
    """Compute the sine of the solar elevation.

    Args:
        stamps: Instants, datetime64.
        site: Attributes of a canonical dataset: latitude and longitude.
        utc_offset_hours: Hours by which the clock of the stamps is ahead of UTC. [h]

    Returns:
        Sine of the elevation, negative at night. [1]

    Source:
        Spencer (1971), Search 2, 172, for declination and equation of time, as in pvlib.
    """
    from pvlib import solarposition  # imported here because it is slow to import

    universal = pd.DatetimeIndex(stamps) - pd.Timedelta(hours=utc_offset_hours)
    day = universal.day_of_year.to_numpy()
    minutes = np.asarray(universal.hour * 60 + universal.minute)
    equation = solarposition.equation_of_time_spencer71(_DAYS)[day]
    declination, latitude = solarposition.declination_spencer71(_DAYS)[day], np.radians(site["latitude"])
    hour_angle = np.radians((minutes + equation) / 4.0 + site["longitude"] - 180.0)
    return np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(hour_angle)


def compute_clear_sky_radiation(stamps: np.ndarray, step: int, site: Mapping[str, Any]) -> np.ndarray:
    """Compute shortwave radiation under a clear sky, averaged over each step.

    Args:
        stamps: Start of each step in local standard time, datetime64.
        step: Length of a step. [s]
        site: Attributes of a canonical dataset: latitude, longitude, utc_offset_hours and, where known, elevation.

    Returns:
        Incoming shortwave radiation, 0 at night. [W m-2]

    Source:
        Allen et al. (1998), FAO Irrigation and Drainage Paper 56, eq. 37: clear-sky radiation is the fraction
        0.75 + 2e-5 z of extraterrestrial radiation, with elevation z in m.
    """
    from pvlib import irradiance

    within = [np.timedelta64(round((k + 0.5) / _SAMPLES * step), "s") for k in range(_SAMPLES)]
    heights = [
        np.maximum(compute_elevation_sine(stamps + later, site, site["utc_offset_hours"]), 0.0) for later in within
    ]
    above = np.asarray(
        irradiance.get_extra_radiation(pd.DatetimeIndex(stamps).day_of_year.to_numpy(), method="spencer")
    )
    return (0.75 + 2e-5 * max(site.get("elevation", 0.0), 0.0)) * above * np.mean(heights, axis=0)


def compute_sunrise_and_noon(days: np.ndarray, site: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Compute the hours of sunrise and solar noon.

    Args:
        days: Midnights in local standard time, datetime64.
        site: Attributes of a canonical dataset: latitude, longitude and utc_offset_hours.

    Returns:
        Sunrise (12 h before noon on a polar day, at noon in a polar night) and solar noon, both in hours after
        midnight of the clock. [h]

    Source:
        Spencer (1971), Search 2, 172, as in pvlib.
    """
    from pvlib import solarposition

    day = pd.DatetimeIndex(days).day_of_year.to_numpy()
    tangents = np.tan(solarposition.declination_spencer71(day)) * np.tan(np.radians(site["latitude"]))
    half = np.degrees(np.arccos(np.clip(-tangents, -1.0, 1.0))) / 15.0
    late = solarposition.equation_of_time_spencer71(day) / 60.0 + site["longitude"] / 15.0 - site["utc_offset_hours"]
    return 12.0 - late - half, 12.0 - late

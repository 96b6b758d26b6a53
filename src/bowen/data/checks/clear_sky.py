"""What the sky allows: light against a clear one, thermal radiation against that of a black one."""

import numpy as np
import xarray as xr

from bowen.data.solar import sun_height
from bowen.physics.constants import STEFAN_BOLTZMANN

_SOLAR, _THROUGH_AIR = 1361.0, 0.75  # W m-2; the share of FAO 56 at sea level
_BRIGHTEST = 0.995  # quantile; clouds that reflect make a few steps brighter than a clear sky
_EVERY = 3  # steps; the others would say the same
_HIGH_SUN = 300.0  # W m-2; below, mountains and haze take what they like
_DAYS_TO_JUDGE = 15


def clear_sky_share(dataset: xr.Dataset) -> float | None:
    """The brightest light over the brightest that a clear sky gives in the days of a record.

    Args:
        dataset: A canonical dataset with the attribute utc_offset_hours.

    Returns:
        Share, about 1; None where there is too little of a record, or of sun, to tell. [1]
    """
    step = dataset.attrs["timestep_s"]
    light, stamps = dataset.shortwave_down.values[::_EVERY], dataset.time.values[::_EVERY]
    known = np.isfinite(light)
    if known.sum() * step * _EVERY < _DAYS_TO_JUDGE * 86400:
        return None
    height = sun_height(stamps + np.timedelta64(round(step / 2), "s"), dataset.attrs, _clock(dataset))
    clear = np.quantile(_SOLAR * _THROUGH_AIR * np.maximum(height[known], 0.0), _BRIGHTEST)
    return float(np.quantile(light[known], _BRIGHTEST) / clear) if clear > _HIGH_SUN else None


def nightly_light(dataset: xr.Dataset) -> float | None:
    """The mean light while the sun is well below the horizon, None where it never is. [W m-2]."""
    step = dataset.attrs["timestep_s"]
    height = sun_height(dataset.time.values + np.timedelta64(round(step / 2), "s"), dataset.attrs, _clock(dataset))
    light = dataset.shortwave_down.values[height < -0.3]
    return float(np.nanmean(light)) if np.isfinite(light).any() else None


def black_body_share(dataset: xr.Dataset) -> float | None:
    """The median of longwave radiation over that of a black body as warm as the air.

    Args:
        dataset: A canonical dataset.

    Returns:
        Share, 0.7 under clear and 1 under overcast sky; None without longwave radiation. [1]
    """
    if "longwave_down" not in dataset:
        return None
    share = dataset.longwave_down.values / (STEFAN_BOLTZMANN * dataset.air_temperature.values**4)
    return float(np.nanmedian(share)) if np.isfinite(share).any() else None


def _clock(dataset: xr.Dataset) -> float:
    return float(dataset.attrs["utc_offset_hours"])

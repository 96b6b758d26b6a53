"""Comparison of radiation with its physical limits: a clear sky, and a black body at air temperature."""

import numpy as np
import xarray as xr

from bowen.data.solar import compute_clear_sky_radiation, compute_elevation_sine
from bowen.physics.constants import STEFAN_BOLTZMANN

_SOLAR_CONSTANT, _TRANSMISSIVITY = 1361.0, 0.75  # W m-2; the fraction of FAO 56 at sea level
_MAX_QUANTILE = 0.995  # reflecting clouds make a few steps brighter than a clear sky
_STRIDE = 3  # steps; every third is enough
_MIN_CLEAR_SKY = 300.0  # W m-2; below, mountains and haze matter too much
_MIN_DAYS = 15
_MIN_MONTHLY_DAYS, _MIN_MONTHS = 20, 2  # d of a month; months
_CLEAR_DAYS = 0.95  # quantile of the days of a month, of which nearly every one has a clear day
_MIN_CLEAR_DAY = 150.0  # W m-2, mean of a clear day; horizon and haze take more of darker ones


def compute_clear_sky_fraction(dataset: xr.Dataset) -> float | None:
    """Compute the ratio of the brightest shortwave radiation to that of a clear sky on the days of a record.

    Args:
        dataset: A canonical dataset with the attribute utc_offset_hours.

    Returns:
        Fraction, about 1; None if there is too little data or sun. [1]
    """
    step = dataset.attrs["timestep_s"]
    light, stamps = dataset.shortwave_down.values[::_STRIDE], dataset.time.values[::_STRIDE]
    known = np.isfinite(light)
    if known.sum() * step * _STRIDE < _MIN_DAYS * 86400:
        return None
    height = compute_elevation_sine(stamps + np.timedelta64(round(step / 2), "s"), dataset.attrs, _clock(dataset))
    clear = np.quantile(_SOLAR_CONSTANT * _TRANSMISSIVITY * np.maximum(height[known], 0.0), _MAX_QUANTILE)
    return float(np.quantile(light[known], _MAX_QUANTILE) / clear) if clear > _MIN_CLEAR_SKY else None


def compute_clear_day_fraction(dataset: xr.Dataset) -> float | None:
    """Compute the ratio of shortwave radiation on the clearest days of a month to that of a clear sky.

    Args:
        dataset: A canonical dataset.

    Returns:
        Median over the calendar months of the 95th percentile of the ratio over the days of a month; None if fewer than
        two months have twenty days on which a clear sky gives 150 W m-2. [1]

    Source:
        Allen et al. (1998), FAO Irrigation and Drainage Paper 56, eq. 37, for the clear sky.
    """
    step = dataset.attrs["timestep_s"]
    size = round(86400 / step)
    days = dataset.sizes["time"] // size
    clear = compute_clear_sky_radiation(dataset.time.values, step, dataset.attrs)
    light, clear = (
        values[: days * size].reshape(days, size).mean(1) for values in (dataset.shortwave_down.values, clear)
    )
    known = np.isfinite(light) & (clear > _MIN_CLEAR_DAY)
    months, ratio = dataset.time.dt.month.values[: days * size : size][known], (light / np.maximum(clear, 1.0))[known]
    best = [
        np.quantile(ratio[months == month], _CLEAR_DAYS)
        for month in range(1, 13)
        if (months == month).sum() >= _MIN_MONTHLY_DAYS
    ]
    return float(np.median(best)) if len(best) >= _MIN_MONTHS else None


def compute_nighttime_shortwave(dataset: xr.Dataset) -> float | None:
    """Compute mean shortwave radiation while the sun is well below the horizon; None if it never is. [W m-2]."""
    step = dataset.attrs["timestep_s"]
    height = compute_elevation_sine(
        dataset.time.values + np.timedelta64(round(step / 2), "s"), dataset.attrs, _clock(dataset)
    )
    light = dataset.shortwave_down.values[height < -0.3]
    return float(np.nanmean(light)) if np.isfinite(light).any() else None


def compute_black_body_fraction(dataset: xr.Dataset) -> float | None:
    """Compute the median ratio of longwave radiation to that of a black body at air temperature.

    Args:
        dataset: A canonical dataset.

    Returns:
        Fraction, 0.7 under clear and 1 under overcast sky; None without longwave radiation. [1]
    """
    if "longwave_down" not in dataset:
        return None
    fraction = dataset.longwave_down.values / (STEFAN_BOLTZMANN * dataset.air_temperature.values**4)
    return float(np.nanmedian(fraction)) if np.isfinite(fraction).any() else None


def _clock(dataset: xr.Dataset) -> float:
    return float(dataset.attrs["utc_offset_hours"])

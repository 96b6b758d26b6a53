"""Plausibility checks of size, sign and diurnal course, which reveal a wrong unit or column.

Each threshold is beyond the range of any two months at two dozen towers, by less than a factor of ten.
"""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from bowen.data.checks.clear_sky import (
    compute_black_body_fraction,
    compute_clear_sky_fraction,
    compute_nighttime_shortwave,
)
from bowen.data.forcing.disaggregation import has_daily_fluxes
from bowen.data.quality_flags import is_measured
from bowen.data.schema import TURBULENT
from bowen.data.solar import compute_clear_sky_radiation
from bowen.physics.thermodynamics import saturation_vapor_pressure

_MIN_DAYS = 15
_CLEAR_SKY = (0.4, 1.6)  # fraction of a clear sky; towers have 0.65 to 1.13
_MAX_NIGHT_LIGHT = 30.0  # W m-2
_BLACK_BODY = (0.5, 1.1)  # fraction of a black body; towers have 0.71 to 0.97
_BRIGHT_NOON, _DARK = 150.0, 2.0  # W m-2 under a clear sky, and of a sensor that misses it
_WIND, _GUSTS = (0.2, 15.0), (2.2, 35.0)  # m s-1, median and one step in a thousand; towers 0.44-7.3, 2.9-24
_SUNNY, _SUNSHINE, _MIN_SUNNY_DAYS = 0.7, 100.0, 3  # fraction of a clear day; its mean [W m-2]; days
_WARMING = (2.5, 45.0)  # K from night to day on sunny days; towers have 3.5 to 24
_MIN_MAX_HUMIDITY = 0.3  # relative humidity that nearly every place exceeds in some nights
_MAX_HUMIDITY_DIFFERENCE = 0.1  # of relative humidity from that of the deficit; towers have 0.006
_MAX_TIP = 0.7  # kg m-2 in a step; gauges resolve smaller amounts
_SHOWER = (0.2, 8.0)  # kg m-2 h-1, mean of wet steps; towers have 0.4 to 3
_MIN_WET_STEPS = 50
_NET_PER_SHORTWAVE = (0.15, 1.3)  # slope of net on shortwave radiation without snow; towers have 0.5 to 0.9
_WARM = 276.0  # K
_ENERGY_PER_FLUX = (0.1, 4.5)  # slope of available energy on a flux; towers have 0.58 to 2.1
_MIN_FLUX_FRACTION = 0.1  # of net radiation; smaller fluxes need not explain it
_MIN_NET_RADIATION = 200.0  # W m-2; in winters with less, the noise of the fluxes dominates
_MIN_DAY_LATENT = -8.0  # W m-2 of latent heat by day
_MIN_NIGHT_DIFFERENCE = -7.0  # W m-2 of latent minus sensible heat at night; towers have 8 to 46, some months -5
_MIN_STEPS = 200


def find_implausible_values(dataset: xr.Dataset) -> list[str]:
    """Find implausible statistics of a record whose single values are all possible.

    Args:
        dataset: A canonical dataset.

    Returns:
        A sentence for each doubt, with the variable, the number and a possible cause.
    """
    if dataset.sizes["time"] * dataset.attrs["timestep_s"] < _MIN_DAYS * 86400:
        return []
    return [*_light(dataset), *_air(dataset), *_rain(dataset), *_net_radiation(dataset), *_fluxes(dataset)]


def describe_implausible_values(doubts: list[str]) -> str:
    """Describe the result of `find_implausible_values` in a few sentences."""
    return (
        " ".join(doubts)
        or "Radiation, wind, temperature, rain and fluxes have plausible sizes, signs and diurnal courses."
    )


def _light(dataset: xr.Dataset) -> Iterator[str]:
    fraction, night = compute_clear_sky_fraction(dataset), compute_nighttime_shortwave(dataset)
    if fraction is not None and not _CLEAR_SKY[0] <= fraction <= _CLEAR_SKY[1]:
        yield f"Shortwave down reaches {fraction:.2g} times a clear sky: check its unit, its column and the position."
    if night is not None and night > _MAX_NIGHT_LIGHT:
        yield f"Shortwave down is {night:.0f} W m-2 on average at night: check its column and the clock."
    if dark := _dark_days(dataset):
        yield f"Shortwave down stays at zero on {dark} days with sun, flagged as measured: mark them as missing."
    fraction = compute_black_body_fraction(dataset)
    if fraction is not None and not _BLACK_BODY[0] <= fraction <= _BLACK_BODY[1]:
        yield (
            f"Longwave down is {fraction:.2g} times the radiation of a black body at air temperature: check its unit "
            "and that of air temperature."
        )


def _dark_days(dataset: xr.Dataset) -> int:
    """Count the days without any light although the sun is high enough."""
    step = dataset.attrs["timestep_s"]
    light = _by_day(dataset.shortwave_down.values, step)
    clear = _by_day(compute_clear_sky_radiation(dataset.time.values, step, dataset.attrs), step)
    dark = (light < _DARK) & _by_day(is_measured(dataset, "shortwave_down"), step)
    unseen = np.all(dark | (clear < _BRIGHT_NOON), axis=1)
    return int(np.sum(unseen & np.any(clear > _BRIGHT_NOON, axis=1)))


def _air(dataset: xr.Dataset) -> Iterator[str]:
    wind = dataset.wind_speed.values
    if np.isfinite(wind).any():
        usual, gusts = float(np.nanmedian(wind)), float(np.nanquantile(wind, 0.999))
        if not (_WIND[0] <= usual <= _WIND[1] and _GUSTS[0] <= gusts <= _GUSTS[1]):
            yield f"Wind speed has a median of {usual:.2g} and strongest winds of {gusts:.2g} m s-1: check its unit."
    warming = _warming(dataset)
    if warming is not None and not _WARMING[0] <= warming <= _WARMING[1]:
        yield f"Air temperature rises by {warming:.2g} K from night to day on sunny days: check its unit and column."
    humidity = 1.0 - dataset.vapor_pressure_deficit.values / saturation_vapor_pressure(dataset.air_temperature.values)
    if np.isfinite(humidity).any() and (most := float(np.nanquantile(humidity, 0.995))) < _MIN_MAX_HUMIDITY:
        yield f"Relative humidity never exceeds {most:.1%}: check the unit of the humidity in the file."
    if "relative_humidity" in dataset:
        off = np.abs(dataset.relative_humidity.values - humidity)
        if np.isfinite(off).any() and (usual := float(np.nanmedian(off))) > _MAX_HUMIDITY_DIFFERENCE:
            yield f"Relative humidity differs by {usual:.0%} from that of the deficit: check the units of both."


def _warming(dataset: xr.Dataset) -> float | None:
    """Compute the median daily range of air temperature on sunny days. [K]."""
    step = dataset.attrs["timestep_s"]
    light = _by_day(dataset.shortwave_down.values, step).mean(axis=1)
    clear = _by_day(compute_clear_sky_radiation(dataset.time.values, step, dataset.attrs), step).mean(axis=1)
    sunny = (light > _SUNNY * clear) & (clear > _SUNSHINE)
    ranges = np.ptp(_by_day(dataset.air_temperature.values, step), axis=1)[sunny]
    known = ranges[np.isfinite(ranges)]
    return float(np.median(known)) if len(known) >= _MIN_SUNNY_DAYS else None


def _rain(dataset: xr.Dataset) -> Iterator[str]:
    step = dataset.attrs["timestep_s"]
    rain = dataset.precipitation.values[is_measured(dataset, "precipitation")]
    wet = rain[rain > 0.0]
    if len(wet) < _MIN_WET_STEPS:
        return
    least, hourly = float(np.quantile(wet, 0.05)) * step, float(wet.mean()) * 3600.0
    if least > _MAX_TIP or not _SHOWER[0] <= hourly <= _SHOWER[1]:
        yield (
            f"Precipitation is {hourly:.2g} mm per hour in wet steps, and rarely less than {least:.2g} mm in a step: "
            "check its unit."
        )


def _net_radiation(dataset: xr.Dataset) -> Iterator[str]:
    if "net_radiation" not in dataset:
        return
    warm = dataset.air_temperature.values > _WARM
    slopes = _slopes(dataset.net_radiation.values[warm], [dataset.shortwave_down.values[warm]])
    if slopes is not None and not _NET_PER_SHORTWAVE[0] <= slopes[0] <= _NET_PER_SHORTWAVE[1]:
        yield (
            f"Net radiation rises by {slopes[0]:.2g} W m-2 per W m-2 of shortwave down: check its sign and unit, and "
            "which column is which."
        )


def _fluxes(dataset: xr.Dataset) -> Iterator[str]:
    names = TURBULENT
    if any(name not in dataset for name in names) or has_daily_fluxes(dataset):  # daily means have no night
        return
    latent, sensible = (dataset[name].values for name in names)
    if "net_radiation" in dataset:
        net = dataset.net_radiation.values
        ground = np.nan_to_num(dataset.ground_heat.values) if "ground_heat" in dataset else 0.0
        slopes = _slopes(net - ground, [latent, sensible])
        strong = _large(net)
        for name, flux, slope in zip(names, (latent, sensible), () if slopes is None else slopes, strict=False):
            large = strong > _MIN_NET_RADIATION and _large(flux) > _MIN_FLUX_FRACTION * strong
            if slope > _ENERGY_PER_FLUX[1] or (slope < _ENERGY_PER_FLUX[0] and large):
                yield (
                    f"{name.replace('_', ' ').capitalize()} rises by 1 W m-2 where available energy rises by "
                    f"{slope:.2g}: check its sign and unit."
                )
    light = dataset.shortwave_down.values
    known = np.isfinite(latent) & np.isfinite(sensible)
    day, night = known & (light > 200.0), known & (light < 1.0)
    if day.sum() >= _MIN_STEPS and (mean := float(latent[day].mean())) < _MIN_DAY_LATENT:
        yield f"Latent heat is {mean:.0f} W m-2 in full daylight: check its sign."
    if night.sum() >= _MIN_STEPS and (less := float((latent - sensible)[night].mean())) < _MIN_NIGHT_DIFFERENCE:
        yield f"Latent heat is {-less:.0f} W m-2 below sensible heat at night: check signs, and which column is which."
    if is_latent_heat_truncated(dataset):
        yield (
            "Latent heat is never negative, as if negative values had been removed, and its mean at night, "
            f"{latent[night].mean():.0f} W m-2, is too high: restore them, or let `latent_heat_noise_scale` be learned."
        )


def is_latent_heat_truncated(dataset: xr.Dataset) -> bool:
    """Check for removed negative values: many latent heat fluxes at night, none of them negative.

    Args:
        dataset: A canonical dataset.
    """
    if "latent_heat" not in dataset or has_daily_fluxes(dataset):
        return False
    night = dataset.latent_heat.values[is_measured(dataset, "latent_heat") & (dataset.shortwave_down.values < 1.0)]
    return bool(len(night) >= _MIN_STEPS and (night >= 0.0).all())


def _large(flux: np.ndarray) -> float:
    return float(np.nanquantile(np.abs(flux), 0.98))


def _slopes(y: np.ndarray, x: list[np.ndarray]) -> np.ndarray | None:
    """Regress `y` on `x` and return the slopes; None if there is too little data."""
    known = np.isfinite(y) & np.isfinite(x).all(axis=0)
    if known.sum() < _MIN_STEPS:
        return None
    table = np.column_stack([np.ones(known.sum()), *(column[known] for column in x)])
    return np.linalg.lstsq(table, y[known], rcond=None)[0][1:]


def _by_day(values: np.ndarray, step: int) -> np.ndarray:
    """Reshape a series to whole days by steps, from its first step on."""
    size = round(86400 / step)
    return values[: len(values) // size * size].reshape(-1, size)

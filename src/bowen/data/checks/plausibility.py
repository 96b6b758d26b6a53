"""Whether values are of the size, sign and daily course that nature gives them: what a wrong unit or column betrays.

Each threshold leaves room beyond what two months of any of two dozen towers show, and less than a factor of ten.
"""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from bowen.data.checks.clear_sky import black_body_share, clear_sky_share, nightly_light
from bowen.data.forcing.disaggregation import by_day
from bowen.data.quality_flags import measured
from bowen.data.schema import TURBULENT
from bowen.data.solar import clear_sky
from bowen.physics.thermodynamics import saturation_vapor_pressure

_DAYS_TO_JUDGE = 15
_BRIGHTEST = (0.4, 1.6)  # of a clear sky; towers have 0.65 to 1.13
_NIGHT_LIGHT = 30.0  # W m-2
_BLACK = (0.5, 1.1)  # of a black body; towers have 0.71 to 0.97
_BRIGHT_DAY, _DARK = 150.0, 2.0  # W m-2 of a clear noon, and of a sensor that does not see it
_WIND, _GUSTS = (0.2, 15.0), (2.2, 35.0)  # m s-1, median and one step in a thousand; towers 0.44-7.3, 2.9-24
_SUNNY, _SUNSHINE, _FEW = 0.7, 100.0, 3  # of a clear day's light; its mean [W m-2]; days
_WARMING = (2.5, 45.0)  # K from night to day on sunny days; towers have 3.5 to 24
_MOISTEST = 0.3  # relative humidity that nearly every place exceeds in some nights
_HUMIDITY_OFF = 0.1  # of relative humidity from that of the deficit; towers have 0.006
_TIP = 0.7  # kg m-2 in a step; gauges tell smaller amounts apart
_SHOWER = (0.2, 8.0)  # kg m-2 h-1, mean of wet steps; towers have 0.4 to 3
_WET_STEPS = 50
_NET_OF_LIGHT = (0.15, 1.3)  # W m-2 of net radiation for one of light, without snow; towers have 0.5 to 0.9
_WARM = 276.0  # K
_AVAILABLE = (0.1, 4.5)  # W m-2 of available energy for one of a flux; towers have 0.58 to 2.1
_TELLING = 0.1  # of the size of net radiation, from which on a flux has to explain it
_STRONG = 200.0  # W m-2 of net radiation; in a winter that has less, the noise of the fluxes decides
_CONDENSING = -8.0  # W m-2 of latent heat by day
_NIGHTLY = -7.0  # W m-2, of latent less sensible heat at night; towers have 8 to 46, in single months -5
_LEAST = 200  # steps


def doubts_of_values(dataset: xr.Dataset) -> list[str]:
    """What is unlike nature in a record, though no single value is impossible.

    Args:
        dataset: A canonical dataset.

    Returns:
        A sentence for each doubt, with the variable, the number and what may have happened.
    """
    if dataset.sizes["time"] * dataset.attrs["timestep_s"] < _DAYS_TO_JUDGE * 86400:
        return []
    return [*_light(dataset), *_air(dataset), *_rain(dataset), *_net_radiation(dataset), *_fluxes(dataset)]


def values_verdict(doubts: list[str]) -> str:
    """What `doubts_of_values` found, in a few sentences."""
    return " ".join(doubts) or "Radiation, wind, warmth, rain and fluxes have sizes, signs and courses as in nature."


def _light(dataset: xr.Dataset) -> Iterator[str]:
    share, night = clear_sky_share(dataset), nightly_light(dataset)
    if share is not None and not _BRIGHTEST[0] <= share <= _BRIGHTEST[1]:
        yield f"Shortwave down reaches {share:.2g} times a clear sky: check its unit, its column and the site's place."
    if night is not None and night > _NIGHT_LIGHT:
        yield f"Shortwave down is {night:.0f} W m-2 in the mean of the nights: check its column and the clock."
    if dark := _dark_days(dataset):
        yield f"Shortwave down stays at zero on {dark} days with sun, flagged as measured: mark them as missing."
    share = black_body_share(dataset)
    if share is not None and not _BLACK[0] <= share <= _BLACK[1]:
        yield (
            f"Longwave down is {share:.2g} times the radiation of a black body as warm as the air: check its unit and "
            "that of the air temperature."
        )


def _dark_days(dataset: xr.Dataset) -> int:
    """Days without any light under a sun that stands high enough."""
    step = dataset.attrs["timestep_s"]
    light = _by_day(dataset.shortwave_down.values, step)
    clear = _by_day(clear_sky(dataset.time.values, step, dataset.attrs), step)
    dark = (light < _DARK) & _by_day(measured(dataset, "shortwave_down"), step)
    unseen = np.all(dark | (clear < _BRIGHT_DAY), axis=1)
    return int(np.sum(unseen & np.any(clear > _BRIGHT_DAY, axis=1)))


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
    if np.isfinite(humidity).any() and (most := float(np.nanquantile(humidity, 0.995))) < _MOISTEST:
        yield f"Relative humidity never exceeds {most:.1%}: check the unit of the humidity that the file gives."
    if "relative_humidity" in dataset:
        off = np.abs(dataset.relative_humidity.values - humidity)
        if np.isfinite(off).any() and (usual := float(np.nanmedian(off))) > _HUMIDITY_OFF:
            yield f"Relative humidity is {usual:.0%} off what the deficit gives: check the units of both."


def _warming(dataset: xr.Dataset) -> float | None:
    """Median of the daily range of air temperature on sunny days. [K]."""
    step = dataset.attrs["timestep_s"]
    light = _by_day(dataset.shortwave_down.values, step).mean(axis=1)
    clear = _by_day(clear_sky(dataset.time.values, step, dataset.attrs), step).mean(axis=1)
    sunny = (light > _SUNNY * clear) & (clear > _SUNSHINE)
    ranges = np.ptp(_by_day(dataset.air_temperature.values, step), axis=1)[sunny]
    known = ranges[np.isfinite(ranges)]
    return float(np.median(known)) if len(known) >= _FEW else None


def _rain(dataset: xr.Dataset) -> Iterator[str]:
    step = dataset.attrs["timestep_s"]
    rain = dataset.precipitation.values[measured(dataset, "precipitation")]
    wet = rain[rain > 0.0]
    if len(wet) < _WET_STEPS:
        return
    least, hourly = float(np.quantile(wet, 0.05)) * step, float(wet.mean()) * 3600.0
    if least > _TIP or not _SHOWER[0] <= hourly <= _SHOWER[1]:
        yield (
            f"Precipitation is {hourly:.2g} mm in an hour while it falls, and hardly ever less than {least:.2g} mm in "
            "a step: check its unit."
        )


def _net_radiation(dataset: xr.Dataset) -> Iterator[str]:
    if "net_radiation" not in dataset:
        return
    warm = dataset.air_temperature.values > _WARM
    slopes = _slopes(dataset.net_radiation.values[warm], [dataset.shortwave_down.values[warm]])
    if slopes is not None and not _NET_OF_LIGHT[0] <= slopes[0] <= _NET_OF_LIGHT[1]:
        yield (
            f"Net radiation rises by {slopes[0]:.2g} W m-2 for one of shortwave down: check its sign and unit, and "
            "which column is which."
        )


def _fluxes(dataset: xr.Dataset) -> Iterator[str]:
    names = TURBULENT
    if any(name not in dataset for name in names) or by_day(dataset):  # means of days have no night
        return
    latent, sensible = (dataset[name].values for name in names)
    if "net_radiation" in dataset:
        net = dataset.net_radiation.values
        ground = np.nan_to_num(dataset.ground_heat.values) if "ground_heat" in dataset else 0.0
        slopes = _slopes(net - ground, [latent, sensible])
        strong = _large(net)
        for name, flux, slope in zip(names, (latent, sensible), () if slopes is None else slopes, strict=False):
            telling = strong > _STRONG and _large(flux) > _TELLING * strong
            if slope > _AVAILABLE[1] or (slope < _AVAILABLE[0] and telling):
                yield (
                    f"{name.replace('_', ' ').capitalize()} rises by 1 W m-2 where the energy for it rises by "
                    f"{slope:.2g}: check its sign and unit."
                )
    light = dataset.shortwave_down.values
    known = np.isfinite(latent) & np.isfinite(sensible)
    day, night = known & (light > 200.0), known & (light < 1.0)
    if day.sum() >= _LEAST and (mean := float(latent[day].mean())) < _CONDENSING:
        yield f"Latent heat is {mean:.0f} W m-2 in full daylight: check its sign."
    if night.sum() >= _LEAST and (less := float((latent - sensible)[night].mean())) < _NIGHTLY:
        yield f"Latent heat is {-less:.0f} W m-2 below sensible heat at night: check signs, and which column is which."
    if latent_heat_truncated(dataset):
        yield (
            "Latent heat is never negative, as if such values had been taken out, and the mean of its nights, "
            f"{latent[night].mean():.0f} W m-2, too high: put them back, or let `latent_heat_noise_scale` be learned."
        )


def latent_heat_truncated(dataset: xr.Dataset) -> bool:
    """Whether none of many latent heat fluxes of the night is negative: then such have been taken out of the record.

    Args:
        dataset: A canonical dataset.
    """
    if "latent_heat" not in dataset or by_day(dataset):
        return False
    night = dataset.latent_heat.values[measured(dataset, "latent_heat") & (dataset.shortwave_down.values < 1.0)]
    return bool(len(night) >= _LEAST and (night >= 0.0).all())


def _large(flux: np.ndarray) -> float:
    return float(np.nanquantile(np.abs(flux), 0.98))


def _slopes(y: np.ndarray, x: list[np.ndarray]) -> np.ndarray | None:
    """The slopes of the plane through `y` over `x`, None where there is too little to tell."""
    known = np.isfinite(y) & np.isfinite(x).all(axis=0)
    if known.sum() < _LEAST:
        return None
    table = np.column_stack([np.ones(known.sum()), *(column[known] for column in x)])
    return np.linalg.lstsq(table, y[known], rcond=None)[0][1:]


def _by_day(values: np.ndarray, step: int) -> np.ndarray:
    """A series as a table of whole days, from its first step on."""
    size = round(86400 / step)
    return values[: len(values) // size * size].reshape(-1, size)

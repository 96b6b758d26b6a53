"""Days to steps and back: forcing that comes once a day drives a model by stated rules that keep each day's values."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bowen.data.canonical import Flagged, build, build_daily
from bowen.data.forcing.diurnal import through_extremes, with_mean
from bowen.data.longwave import cloud_fraction, longwave_from_sky
from bowen.data.quality_flags import check_daily, name_of
from bowen.data.schema import QC, TARGETS, TURBULENT, WATER, WEATHER
from bowen.data.site_metadata import NUMBERS, WORDS, locate
from bowen.data.solar import clear_sky, sunrise
from bowen.data.time_axis import LONGEST_STEP, SHORTEST_STEP, days_of, minute, regular
from bowen.errors import ConfigError, DataError
from bowen.physics.thermodynamics import MIN_VAPOR_PRESSURE, saturation_vapor_pressure

_DAY = 86400  # s
_NEEDED = ("shortwave_down", "air_temperature_min", "air_temperature_max", "precipitation")
_HUMIDITY = ("vapor_pressure_deficit", "vapor_pressure")
_AS_THEY_ARE = ("air_pressure", "leaf_area_index", "precipitation", "wind_speed")  # the same all day
_SHORTEST_MORNING, _LONGEST_MORNING = 3.0, 9.0  # h from sunrise to noon, in polar night and day
_COOLEST, _WARMEST = -0.17, 1.86  # h after sunrise, after noon; Parton & Logan (1981) for air at 1.5 m
_BRIGHTEST = 1.5  # of a clear sky; a low sun may brighten a day that much, by broken clouds and snow
_UNEXPLAINED, _SOME_DAYS = 20.0, 0.02  # W m-2 beyond that, and the share of days that may have it
_DRY_UNIT = 0.02  # of saturation; air is nowhere so dry for long, so the vapor pressure is not in Pa
_RULES = (
    "Light of a day has the shape of a clear sky; what no sun explains is spread evenly.",
    "Air temperature is lowest at sunrise and highest two hours after noon, with a monotone cubic between.",
    "Vapor pressure is the same all day, but for saturation; rain falls evenly; wind and pressure are constant.",
)


def disaggregate(daily: xr.Dataset, step: int = 1800) -> xr.Dataset:
    """A record that can drive a model, from values of days, which are found again in the means over its days.

    - Shortwave radiation has the shape of a clear sky (Allen et al. 1998), scaled to the day's mean. What exceeds 1.5
      times the clear sky, as the offset of an instrument does in a polar night, is spread evenly over the day.
    - Air temperature is lowest at sunrise and highest 1.86 h after solar noon (Parton & Logan 1981, Agric. Meteorol.
      23, 205-216), with a monotone cubic between that is continuous at midnight. Where the mean is given besides the
      extremes, the curve is bent to have it.
    - Vapor pressure is constant over the day, but never above saturation, at the level that gives the mean deficit,
      or the mean vapor pressure (Kimball et al. 1997, Agric. For. Meteorol. 85, 87-98, hold the dew point so).
    - Precipitation falls evenly over the day, as is to be expected where nobody knows the hour. The land of bowen
      intercepts no rain and takes up all that comes, so that the hour decides only whether it snows.
    - Longwave radiation is that of `longwave_from_sky`, with clouds by the light, scaled to the mean where given.
    - Wind is constant; where absent, 2 m s-1 at 2 m, the mean of over 2000 stations, carried to the reference height
      by the logarithmic profile of Allen et al. (1998), eq. 47.
    - Air pressure and leaf area index are constant; pressure that is absent follows from the elevation.

    Of a day that contradicts itself (negative light or deficit, more vapor than saturated air holds, a mean temperature
    nearer to an extreme than one step in the day allows) the nearest possible is made. Days that are missing, in whole
    or in one variable, come out missing, for `fill_forcing`. Targets and states of days have no course over the day
    and are left out; see `with_daily_fluxes`.

    Args:
        daily: Canonical daily dataset, as `read_daily_tower`, `read_camels` and `aggregate` make it: `shortwave_down`
            (mean over 24 h), `air_temperature_min`, `air_temperature_max`, `precipitation`, `vapor_pressure_deficit`
            or `vapor_pressure`, and, where known, `air_temperature`, `longwave_down`, `wind_speed`, `air_pressure`
            and `leaf_area_index`; the site is in its attributes.
        step: Length of a step. [s]

    Returns:
        The canonical dataset, in local standard time, every value flagged `QC.ESTIMATED`.

    Raises:
        ConfigError: The step is not between 15 and 60 min or does not divide a day.
        DataError: A variable is missing or impossible, or the light is not that of the place; see also `check`.
    """
    if not SHORTEST_STEP <= step <= LONGEST_STEP or _DAY % step:
        raise ConfigError(f"step = {step}: has to lie between 900 and 3600 s and divide a day, such as 1800.")
    where = name_of(daily)
    check_daily(daily, need=(*_NEEDED, next((name for name in _HUMIDITY if name in daily), _HUMIDITY[0])))
    site, of_site = locate({"site": "the record", **_place(daily)}, None, where)
    site.setdefault("utc_offset_hours", float(round(site["longitude"] / 15.0)))
    whole = _every_day(daily, where)
    given = {str(name): whole[name].values for name in whole.data_vars if not str(name).endswith("_qc")}
    notes = [*_lines(daily), *of_site, *_RULES]
    if "wind_speed" not in given:
        speed = 2.0 * np.log(67.8 * site["reference_height"] - 5.42) / 4.87
        given["wind_speed"] = np.full(whole.sizes["time"], speed)
        notes.append(f"Wind was not measured; {speed:.2g} m s-1 assumed, 2 m s-1 at 2 m above grass.")
    stamps = regular(whole.time.values[0], step, whole.sizes["time"] * _DAY // step)
    made = _courses(given, whole.time.values, stamps, site, where)
    return build(
        {name: (values.ravel(), np.full(values.size, QC.ESTIMATED)) for name, values in made.items()},
        stamps,
        Path(daily.encoding.get("source", site["site"])),
        found=site,
        given=None,
        source=f"{daily.attrs.get('source', 'daily values')}, disaggregated",
        told=notes,
    )


def with_daily_fluxes(record: xr.Dataset, daily: xr.Dataset) -> xr.Dataset:
    """A record with the turbulent fluxes, runoff and snow of days beside it, to train models by.

    Args:
        record: What `disaggregate` made of `daily`, or the weather of a tower whose fluxes are known by day.
        daily: Canonical daily dataset.

    Returns:
        The record, in which every step has the mean of its day. Its attribute `flux_interval_s` says so: models are
        held to their own means over days.
    """
    names = [name for known in (*TURBULENT, *WATER) if known in daily for name in (known, f"{known}_qc")]
    days = record.time.values.astype("datetime64[D]").astype(daily.time.dtype)
    fluxes = daily[names].reindex(time=days, fill_value={name: QC.MISSING for name in names if name.endswith("_qc")})
    return record.assign({name: ("time", fluxes[name].values, fluxes[name].attrs) for name in names}).assign_attrs(
        flux_interval_s=_DAY
    )


def in_steps(dataset: xr.Dataset) -> xr.Dataset:
    """A record that can drive a model: half-hours with what was observed by day, of a daily one; any other as it is."""
    daily = dataset.attrs["timestep_s"] == _DAY
    return with_daily_fluxes(disaggregate(dataset), dataset) if daily else dataset


def by_day(dataset: xr.Dataset) -> bool:
    """Whether the turbulent fluxes of a record are means over days; see `with_daily_fluxes`."""
    return "flux_interval_s" in dataset.attrs


def whole_days(dataset: xr.Dataset) -> xr.Dataset:
    """The part of a record from its first midnight to its last.

    Raises:
        DataError: It holds no whole day.
    """
    into_day = dataset.time.values - dataset.time.values.astype("datetime64[D]")
    steps = _DAY // dataset.attrs["timestep_s"]
    first = int(np.argmin(into_day))
    count = (dataset.sizes["time"] - first) // steps
    if count < 1 or into_day[first] != np.timedelta64(0, "s"):
        raise DataError(f"{name_of(dataset)}: holds no whole day from midnight to midnight. Pass a longer record.")
    return dataset.isel(time=slice(first, first + count * steps))


def aggregate(dataset: xr.Dataset) -> xr.Dataset:
    """The days of a record: means of weather and targets, and the extremes of air temperature.

    Args:
        dataset: A canonical dataset.

    Returns:
        The canonical daily dataset. A day that lacks a step of a variable is missing; its flag is the worst of its
        steps'.

    Raises:
        DataError: The record has no whole day.
    """
    where = name_of(dataset)
    steps = _DAY // dataset.attrs["timestep_s"]
    record = whole_days(dataset)
    count = record.sizes["time"] // steps
    series: dict[str, Flagged] = {}
    for name in [name for name in (*WEATHER, *TARGETS) if name in record]:
        values, qc = (record[key].values.reshape(count, steps) for key in (name, f"{name}_qc"))
        series[name] = values.mean(axis=1), qc.max(axis=1)
        if name == "air_temperature":
            series["air_temperature_min"] = values.min(axis=1), qc.max(axis=1)
            series["air_temperature_max"] = values.max(axis=1), qc.max(axis=1)
    return build_daily(
        series,
        record.time.values[::steps],
        Path(dataset.encoding.get("source", where)),
        found=_place(dataset),
        given=None,
        source=f"{dataset.attrs.get('source', 'a record')}, days",
        told=_lines(dataset),
    )


def _place(dataset: xr.Dataset) -> dict[str, Any]:
    return {key: dataset.attrs[key] for key in (*WORDS, *NUMBERS) if key in dataset.attrs}


def _lines(dataset: xr.Dataset) -> list[str]:
    return [line for line in str(dataset.attrs.get("assumptions", "")).split("\n") if line]


def _every_day(daily: xr.Dataset, where: str) -> xr.Dataset:
    days = days_of(daily.time.values, where)
    count = int((days[-1] - days[0]) / np.timedelta64(_DAY, "s")) + 1
    return daily.assign_coords(time=days).reindex(time=regular(days[0], _DAY, count))


def _courses(
    given: Mapping[str, np.ndarray], days: np.ndarray, stamps: np.ndarray, site: Mapping[str, Any], where: str
) -> dict[str, np.ndarray]:
    """Each variable of the forcing, days by steps, from one value a day."""
    shape = len(days), len(stamps) // len(days)
    step = _DAY // shape[1]
    sky = clear_sky(stamps, step, site).reshape(shape)
    light = _light(given["shortwave_down"], sky, days, where)
    warmth = _warmth(given, days, site, shape[1])
    deficit = _deficit(warmth, given, where)
    vapor = np.maximum(saturation_vapor_pressure(warmth) - deficit, MIN_VAPOR_PRESSURE)
    clouds = cloud_fraction(light.ravel(), sky.ravel(), step).reshape(shape)
    longwave = _with_day_mean(longwave_from_sky(warmth, vapor, clouds), given.get("longwave_down"))
    return {
        "shortwave_down": light,
        "air_temperature": warmth,
        "vapor_pressure_deficit": deficit,
        "longwave_down": longwave,
        **{name: np.broadcast_to(given[name][:, None], shape) for name in _AS_THEY_ARE if name in given},
    }


def _light(mean: np.ndarray, sky: np.ndarray, days: np.ndarray, where: str) -> np.ndarray:
    clear = sky.mean(axis=1)
    mean = np.maximum(mean, 0.0)
    by_sun = np.minimum(mean, _BRIGHTEST * clear)
    beyond = mean - by_sun
    if np.mean(beyond > _UNEXPLAINED) > _SOME_DAYS:
        at = int(np.argmax(beyond > _UNEXPLAINED))
        raise DataError(
            f"{where}: shortwave_down is {mean[at]:.4g} W m-2 on {minute(days[at]):.10}, where a clear sky gives "
            f"{clear[at]:.4g} ({np.sum(beyond > _UNEXPLAINED)} such days). Check latitude and unit; it has to be the "
            "mean over 24 h, not over daylight."
        )
    share = np.divide(by_sun, clear, out=np.zeros_like(by_sun), where=clear > 0.0)
    return share[:, None] * sky + beyond[:, None]


def _warmth(given: Mapping[str, np.ndarray], days: np.ndarray, site: Mapping[str, Any], steps: int) -> np.ndarray:
    index = np.arange(len(days))
    missing = np.isnan(given["air_temperature_min"] + given["air_temperature_max"])
    low, high = (
        np.interp(index, index[~missing], given[name][~missing])
        for name in ("air_temperature_min", "air_temperature_max")
    )
    rise, noon = sunrise(days, site)
    rise = np.clip(rise, noon - _LONGEST_MORNING, noon - _SHORTEST_MORNING)
    low_at, high_at = ((hour % 24.0 / 24.0 * steps).astype(int) for hour in (rise + _COOLEST, noon + _WARMEST))
    curve = through_extremes(low, high, low_at, high_at, steps)
    curve[missing] = np.nan
    return with_mean(curve, given["air_temperature"]) if "air_temperature" in given else curve


def _deficit(warmth: np.ndarray, given: Mapping[str, np.ndarray], where: str) -> np.ndarray:
    """The deficit of air whose vapor pressure is one number a day, or saturated where that is more."""
    saturated = saturation_vapor_pressure(warmth)
    mean = given.get("vapor_pressure_deficit", np.full(len(warmth), np.nan))
    if "vapor_pressure" in given:
        vapor = given["vapor_pressure"]
        if np.nanmedian(vapor / saturated.mean(axis=1)) < _DRY_UNIT:
            raise DataError(
                f"{where}: vapor_pressure has a median of {np.nanmedian(vapor):.3g} Pa, less than a fiftieth of "
                "saturation, as if hPa or kPa were given where Pa are due. Correct the unit and read it again."
            )
        mean = np.where(np.isnan(mean), saturated.mean(axis=1) - vapor, mean)
    mean = np.maximum(mean, 0.0)[:, None]
    # The deficit is what rises above a level, as over water filled into a basin: of all levels that k of the steps
    # would give, the true one is the highest.
    count = np.arange(1, warmth.shape[1] + 1)
    highest = -np.sort(-saturated, axis=1)
    level = ((np.cumsum(highest, axis=1) - count[-1] * mean) / count).max(axis=1, keepdims=True)
    deficit = np.maximum(saturated - np.maximum(level, MIN_VAPOR_PRESSURE), 0.0)
    too_dry = level < MIN_VAPOR_PRESSURE  # for these temperatures; the mean is kept all the same
    return deficit * np.where(too_dry, mean / (saturated.mean(axis=1, keepdims=True) - MIN_VAPOR_PRESSURE), 1.0)


def _with_day_mean(values: np.ndarray, mean: np.ndarray | None) -> np.ndarray:
    if mean is None:
        return values
    scaled = values * (mean / values.mean(axis=1))[:, None]
    return np.where(np.isnan(mean)[:, None], values, scaled)

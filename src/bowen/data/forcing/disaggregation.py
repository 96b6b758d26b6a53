"""Disaggregation of daily records to steps, with the daily values preserved, and aggregation back to days."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bowen.data.canonical import FlaggedSeries, build_daily_record, build_record
from bowen.data.checks.required import check_daily_record, get_record_name
from bowen.data.forcing.diurnal import bend_to_mean, interpolate_extremes
from bowen.data.longwave import estimate_cloud_fraction, estimate_longwave, estimate_net_radiation
from bowen.data.quality_flags import list_assumptions
from bowen.data.schema import QC, TARGETS, TURBULENT, WATER, WEATHER
from bowen.data.site_metadata import SITE_NUMBERS, SITE_TEXTS, complete_site_metadata
from bowen.data.solar import compute_clear_sky_radiation, compute_sunrise_and_noon
from bowen.data.time_axis import MAX_STEP, MIN_STEP, find_days, format_minute, make_regular_axis
from bowen.errors import ConfigError, DataError
from bowen.physics.thermodynamics import MIN_VAPOR_PRESSURE, saturation_vapor_pressure

_DAY = 86400  # s
_NEEDED = ("shortwave_down", "air_temperature_min", "air_temperature_max", "precipitation")
_HUMIDITY = ("vapor_pressure_deficit", "vapor_pressure")
_AS_THEY_ARE = ("air_pressure", "leaf_area_index", "precipitation", "wind_speed")  # constant over the day
_MIN_MORNING, _MAX_MORNING = 3.0, 9.0  # h from sunrise to noon, in polar night and day
_MINIMUM_LAG, _MAXIMUM_LAG = -0.17, 1.86  # h after sunrise, after noon; Parton & Logan (1981) for air at 1.5 m
_MAX_BRIGHTNESS = 1.5  # of a clear sky, reached under a low sun by broken clouds and snow
_MAX_EXCESS, _MAX_EXCESS_DAYS = 20.0, 0.02  # W m-2 beyond that, and the fraction of days that may exceed it
_NET_OVER_SHORTWAVE = 0.77  # of their courses within a day; 0.65 to 0.87 at 19 half-hourly records, r2 above 0.93 at 17
_MIN_SATURATION = 0.02  # air is nowhere so dry for long, so vapor pressure is not in Pa
_RULES = (
    "Shortwave radiation has the shape of a clear sky; the excess over 1.5 times a clear sky is spread evenly.",
    "Air temperature is lowest at sunrise and highest two hours after noon, with a monotone cubic between.",
    "Vapor pressure is constant over the day up to saturation; rain falls evenly; wind and pressure are constant.",
)


def disaggregate(daily: xr.Dataset, step: int = 1800) -> xr.Dataset:
    """Disaggregate daily values to steps that can drive a model; their daily means are the given values.

    - Shortwave radiation has the shape of a clear sky (Allen et al. 1998), scaled to the day's mean. The excess
      over 1.5 times a clear sky, such as an instrument's offset in a polar night, is spread evenly over the day.
    - Air temperature is lowest at sunrise and highest 1.86 h after solar noon (Parton & Logan 1981, Agric. Meteorol.
      23, 205-216), with a monotone cubic between that is continuous at midnight. If the mean is given in addition to
      the extremes, the curve is bent to match it.
    - Vapor pressure is constant over the day, but never above saturation, at the level that gives the mean deficit,
      or the mean vapor pressure (as the dew point in Kimball et al. 1997, Agric. For. Meteorol. 85, 87-98).
    - Precipitation falls evenly over the day, because the hour is unknown. Without interception and infiltration
      excess, the hour only decides between rain and snow.
    - Longwave radiation is that of `estimate_longwave`, with cloud fraction from shortwave radiation, scaled to the
      mean if it is given.
    - Net radiation, if it is given, varies within the day as 0.77 of shortwave radiation does, around the given mean;
      its flag is that of the day. On days without it, it is that of `estimate_net_radiation`.
    - Wind is constant; if missing, 2 m s-1 at 2 m, the mean of over 2000 stations, extrapolated to the reference height
      by the logarithmic profile of Allen et al. (1998), eq. 47.
    - Air pressure and leaf area index are constant; missing pressure is estimated from the elevation.

    A contradictory day (negative radiation or deficit, vapor above saturation, a mean temperature closer to an extreme
    than one step of the day allows) gets the nearest possible values. Missing days, or variables of a day, stay missing
    for `fill_forcing`. Daily targets and states have no diurnal course and are left out; see `add_daily_fluxes`.

    Args:
        daily: Canonical daily dataset from `read_daily_tower`, `read_camels` or `aggregate_to_days`: `shortwave_down`
            (mean over 24 h), `air_temperature_min`, `air_temperature_max`, `precipitation`, `vapor_pressure_deficit`
            or `vapor_pressure`, and, if known, `air_temperature`, `longwave_down`, `net_radiation`, `wind_speed`,
            `air_pressure` and `leaf_area_index`; the site metadata are its attributes.
        step: Length of a step. [s]

    Returns:
        The canonical dataset, in local standard time, every value but net radiation flagged `QC.ESTIMATED`.

    Raises:
        ConfigError: The step is not between 15 and 60 min or does not divide a day.
        DataError: A variable is missing or impossible, or shortwave radiation does not fit the place; see also
            `check_record`.
    """
    if not MIN_STEP <= step <= MAX_STEP or _DAY % step:
        raise ConfigError(f"step = {step}", "must be between 900 and 3600 s and divide a day", fix="set 1800")
    where = get_record_name(daily)
    check_daily_record(daily, need=(*_NEEDED, next((name for name in _HUMIDITY if name in daily), _HUMIDITY[0])))
    site, of_site = complete_site_metadata({"site": "the record", **_get_site_metadata(daily)}, None, where)
    site.setdefault("utc_offset_hours", float(round(site["longitude"] / 15.0)))
    whole = _insert_missing_days(daily, where)
    given = {str(name): whole[name].values for name in whole.data_vars if not str(name).endswith("_qc")}
    notes = [*list_assumptions(daily), *of_site, *_RULES]
    if "wind_speed" not in given:
        speed = 2.0 * np.log(67.8 * site["reference_height"] - 5.42) / 4.87
        given["wind_speed"] = np.full(whole.sizes["time"], speed)
        notes.append(f"Wind was not measured; {speed:.2g} m s-1 assumed, from 2 m s-1 at 2 m above grass.")
    stamps = make_regular_axis(whole.time.values[0], step, whole.sizes["time"] * _DAY // step)
    made = _disaggregate_variables(given, whole.time.values, stamps, site, where)
    flags = {name: np.full(values.shape, QC.ESTIMATED) for name, values in made.items()}
    if "net_radiation" in given:
        is_known = np.isfinite(given["net_radiation"])
        flags["net_radiation"][is_known] = whole["net_radiation_qc"].values[is_known, None]
    return build_record(
        {name: (values.ravel(), flags[name].ravel()) for name, values in made.items()},
        stamps,
        Path(daily.encoding.get("source", site["site"])),
        found=site,
        given=None,
        source=f"{daily.attrs.get('source', 'daily values')}, disaggregated",
        notes=notes,
    )


def add_daily_fluxes(record: xr.Dataset, daily: xr.Dataset) -> xr.Dataset:
    """Add daily turbulent fluxes, runoff and snow to a record, as training targets.

    Args:
        record: `daily` disaggregated, or the weather of a tower with daily fluxes.
        daily: Canonical daily dataset.

    Returns:
        The record, in which every step has the mean of its day. With its attribute `flux_interval_s`, daily means of
        models are compared with these targets.
    """
    names = [name for known in (*TURBULENT, *WATER) if known in daily for name in (known, f"{known}_qc")]
    days = record.time.values.astype("datetime64[D]").astype(daily.time.dtype)
    fluxes = daily[names].reindex(time=days, fill_value={name: QC.MISSING for name in names if name.endswith("_qc")})
    return record.assign({name: ("time", fluxes[name].values, fluxes[name].attrs) for name in names}).assign_attrs(
        flux_interval_s=_DAY
    )


def disaggregate_if_daily(dataset: xr.Dataset) -> xr.Dataset:
    """Disaggregate a daily record to half-hours, with its daily targets; return any other record unchanged."""
    daily = dataset.attrs["timestep_s"] == _DAY
    return add_daily_fluxes(disaggregate(dataset), dataset) if daily else dataset


def has_daily_fluxes(dataset: xr.Dataset) -> bool:
    """Check for turbulent fluxes that are daily means; see `add_daily_fluxes`."""
    return "flux_interval_s" in dataset.attrs


def cut_to_whole_days(dataset: xr.Dataset) -> xr.Dataset:
    """Cut a record to the part from its first midnight to its last.

    Raises:
        DataError: It has no whole day.
    """
    into_day = dataset.time.values - dataset.time.values.astype("datetime64[D]")
    steps = _DAY // dataset.attrs["timestep_s"]
    first = int(np.argmin(into_day))
    count = (dataset.sizes["time"] - first) // steps
    if count < 1 or into_day[first] != np.timedelta64(0, "s"):
        raise DataError(
            get_record_name(dataset), "has no whole day from midnight to midnight", fix="pass a longer record"
        )
    return dataset.isel(time=slice(first, first + count * steps))


def aggregate_to_days(dataset: xr.Dataset) -> xr.Dataset:
    """Aggregate a record to days: means of weather and targets, and the extremes of air temperature.

    Args:
        dataset: A canonical dataset.

    Returns:
        The canonical daily dataset. A day with a missing step is missing; its flag is the worst of its steps.

    Raises:
        DataError: The record has no whole day.
    """
    where = get_record_name(dataset)
    steps = _DAY // dataset.attrs["timestep_s"]
    record = cut_to_whole_days(dataset)
    count = record.sizes["time"] // steps
    series: dict[str, FlaggedSeries] = {}
    for name in [name for name in (*WEATHER, *TARGETS) if name in record]:
        values, qc = (record[key].values.reshape(count, steps) for key in (name, f"{name}_qc"))
        series[name] = values.mean(axis=1), qc.max(axis=1)
        if name == "air_temperature":
            series["air_temperature_min"] = values.min(axis=1), qc.max(axis=1)
            series["air_temperature_max"] = values.max(axis=1), qc.max(axis=1)
    return build_daily_record(
        series,
        record.time.values[::steps],
        Path(dataset.encoding.get("source", where)),
        found=_get_site_metadata(dataset),
        given=None,
        source=f"{dataset.attrs.get('source', 'a record')}, days",
        notes=list_assumptions(dataset),
    )


def _get_site_metadata(dataset: xr.Dataset) -> dict[str, Any]:
    return {key: dataset.attrs[key] for key in (*SITE_TEXTS, *SITE_NUMBERS) if key in dataset.attrs}


def _insert_missing_days(daily: xr.Dataset, where: str) -> xr.Dataset:
    days = find_days(daily.time.values, where)
    count = int((days[-1] - days[0]) / np.timedelta64(_DAY, "s")) + 1
    return daily.assign_coords(time=days).reindex(time=make_regular_axis(days[0], _DAY, count))


def _disaggregate_variables(
    given: Mapping[str, np.ndarray], days: np.ndarray, stamps: np.ndarray, site: Mapping[str, Any], where: str
) -> dict[str, np.ndarray]:
    """Compute each variable of the forcing, days by steps, from one value a day."""
    shape = len(days), len(stamps) // len(days)
    step = _DAY // shape[1]
    sky = compute_clear_sky_radiation(stamps, step, site).reshape(shape)
    light = _disaggregate_shortwave(given["shortwave_down"], sky, days, where)
    temperature = _disaggregate_temperature(given, days, site, shape[1])
    deficit = _disaggregate_deficit(temperature, given, where)
    vapor = np.maximum(saturation_vapor_pressure(temperature) - deficit, MIN_VAPOR_PRESSURE)
    clouds = estimate_cloud_fraction(light.ravel(), sky.ravel(), step).reshape(shape)
    longwave = _scale_to_mean(estimate_longwave(temperature, vapor, clouds), given.get("longwave_down"))
    net = {}
    if "net_radiation" in given:
        computed = estimate_net_radiation(light, longwave, temperature)
        net = {"net_radiation": _disaggregate_net_radiation(given["net_radiation"], light, computed)}
    return {
        "shortwave_down": light,
        "air_temperature": temperature,
        "vapor_pressure_deficit": deficit,
        "longwave_down": longwave,
        **net,
        **{name: np.broadcast_to(given[name][:, None], shape) for name in _AS_THEY_ARE if name in given},
    }


def _disaggregate_shortwave(mean: np.ndarray, sky: np.ndarray, days: np.ndarray, where: str) -> np.ndarray:
    clear = sky.mean(axis=1)
    mean = np.maximum(mean, 0.0)
    by_sun = np.minimum(mean, _MAX_BRIGHTNESS * clear)
    beyond = mean - by_sun
    if np.mean(beyond > _MAX_EXCESS) > _MAX_EXCESS_DAYS:
        at = int(np.argmax(beyond > _MAX_EXCESS))
        raise DataError(
            where,
            f"shortwave_down is {mean[at]:.4g} W m-2 on {format_minute(days[at]):.10}, where a clear sky gives "
            f"{clear[at]:.4g} ({np.sum(beyond > _MAX_EXCESS)} such days)",
            fix="check latitude and unit; it must be the mean over 24 h, not over daylight",
        )
    fraction = np.divide(by_sun, clear, out=np.zeros_like(by_sun), where=clear > 0.0)
    return fraction[:, None] * sky + beyond[:, None]


def _disaggregate_temperature(
    given: Mapping[str, np.ndarray], days: np.ndarray, site: Mapping[str, Any], steps: int
) -> np.ndarray:
    index = np.arange(len(days))
    missing = np.isnan(given["air_temperature_min"] + given["air_temperature_max"])
    low, high = (
        np.interp(index, index[~missing], given[name][~missing])
        for name in ("air_temperature_min", "air_temperature_max")
    )
    rise, noon = compute_sunrise_and_noon(days, site)
    rise = np.clip(rise, noon - _MAX_MORNING, noon - _MIN_MORNING)
    low_at, high_at = ((hour % 24.0 / 24.0 * steps).astype(int) for hour in (rise + _MINIMUM_LAG, noon + _MAXIMUM_LAG))
    curve = interpolate_extremes(low, high, low_at, high_at, steps)
    curve[missing] = np.nan
    return bend_to_mean(curve, given["air_temperature"]) if "air_temperature" in given else curve


def _disaggregate_deficit(temperature: np.ndarray, given: Mapping[str, np.ndarray], where: str) -> np.ndarray:
    """Compute the deficit of air with a constant vapor pressure over the day, limited by saturation."""
    saturated = saturation_vapor_pressure(temperature)
    mean = given.get("vapor_pressure_deficit", np.full(len(temperature), np.nan))
    if "vapor_pressure" in given:
        vapor = given["vapor_pressure"]
        if np.nanmedian(vapor / saturated.mean(axis=1)) < _MIN_SATURATION:
            raise DataError(
                where,
                f"vapor_pressure has a median of {np.nanmedian(vapor):.3g} Pa, less than a fiftieth of saturation, as "
                "if it were in hPa or kPa instead of Pa",
                fix="correct the unit and read it again",
            )
        mean = np.where(np.isnan(mean), saturated.mean(axis=1) - vapor, mean)
    mean = np.maximum(mean, 0.0)[:, None]
    # The deficit is the part of saturation above a level, which is zero in the other steps. Each number k of steps with
    # a deficit gives one candidate for the level that matches the mean; the right one is the highest.
    count = np.arange(1, temperature.shape[1] + 1)
    highest = -np.sort(-saturated, axis=1)
    level = ((np.cumsum(highest, axis=1) - count[-1] * mean) / count).max(axis=1, keepdims=True)
    deficit = np.maximum(saturated - np.maximum(level, MIN_VAPOR_PRESSURE), 0.0)
    too_dry = level < MIN_VAPOR_PRESSURE  # for these temperatures; the mean is kept nevertheless
    return deficit * np.where(too_dry, mean / (saturated.mean(axis=1, keepdims=True) - MIN_VAPOR_PRESSURE), 1.0)


def _disaggregate_net_radiation(mean: np.ndarray, light: np.ndarray, computed: np.ndarray) -> np.ndarray:
    """Vary net radiation around the day's mean with shortwave radiation; take it as computed on days without a mean."""
    course = mean[:, None] + _NET_OVER_SHORTWAVE * (light - light.mean(axis=1, keepdims=True))
    return np.where(np.isnan(mean)[:, None], computed, course)


def _scale_to_mean(values: np.ndarray, mean: np.ndarray | None) -> np.ndarray:
    if mean is None:
        return values
    scaled = values * (mean / values.mean(axis=1))[:, None]
    return np.where(np.isnan(mean)[:, None], values, scaled)

"""From the columns of any reader to the one canonical dataset: regular time, complete humidity, site, attributes."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bowen.data.checks.clock import offset_by_light
from bowen.data.longwave import cloud_fraction, longwave_from_sky
from bowen.data.quality_flags import check, check_daily, check_warmth, measured
from bowen.data.schema import FORCING, QC, WEATHER, describe
from bowen.data.site_metadata import locate
from bowen.data.solar import clear_sky
from bowen.data.time_axis import days_of, positions, regular, step_of
from bowen.physics.thermodynamics import (
    MIN_VAPOR_PRESSURE,
    saturation_vapor_pressure,
    specific_humidity,
    vapor_pressure,
)

Flagged = tuple[np.ndarray, np.ndarray]  # values and flags

_DAY = 86400  # s
_FEW_DAYS = 0.01  # of a record, which may be odd
_KEPT_IF_EMPTY = (*FORCING, "latent_heat", "sensible_heat")  # so that a check can say they are empty
_ORDER = ("site", "latitude", "longitude", "elevation", "igbp", "reference_height", "canopy_height", "utc_offset_hours")


def build(
    series: Mapping[str, Flagged],
    stamps: np.ndarray,
    path: Path,
    *,
    found: Mapping[str, Any],
    given: Mapping[str, Any] | None,
    source: str,
    told: Iterable[str] | None = None,
) -> xr.Dataset:
    """The canonical dataset of one tower, checked.

    Args:
        series: Values in SI and flags, under canonical names.
        stamps: Start of each averaging interval, in the order of the file.
        path: The file.
        found: What the file says of the site; holds at least `site`.
        given: What the caller says of the site, which wins.
        source: What the record is, e.g. "PLUMBER2".
        told: Sentences on where the series come from, in the place of those that their flags give.

    Returns:
        The dataset; rows that were missing are inserted with flag 9.

    Raises:
        DataError: The record cannot drive a model; see `check`.
    """
    step = step_of(stamps, path.name)
    dataset, of_file = _laid_out(series, stamps, step, path)
    of_file += _origin(series) if told is None else [*told]
    site, of_site = locate(found, given, path.name)
    dataset.attrs = {**site, "timestep_s": step, "source": source}
    check_warmth(dataset, path.name)
    complete = (_complete_pressure, _complete_humidity, _complete_clock, _complete_longwave)
    notes = [note for fill_in in complete for note in fill_in(dataset)]
    dataset = _finished(dataset, path, [*of_file, *of_site, *notes])
    check(dataset)
    return dataset


def build_daily(
    series: Mapping[str, Flagged],
    stamps: np.ndarray,
    path: Path,
    *,
    found: Mapping[str, Any],
    given: Mapping[str, Any] | None,
    source: str,
    told: Iterable[str] = (),
) -> xr.Dataset:
    """The canonical dataset of one value a day, checked; `bowen.data.disaggregate` takes it.

    Args:
        series: Values in SI and flags, under canonical names.
        stamps: The days in local standard time, in the order of the file, at whatever hour.
        path: The file.
        found: What the file says of the site; holds at least `site`.
        given: What the caller says of the site, which wins.
        source: What the record is, e.g. "CAMELS".
        told: Sentences on where the series come from.

    Returns:
        The dataset, stamped at midnight; days that were missing are inserted with flag 9.

    Raises:
        DataError: The record cannot be used; see `check_daily`.
    """
    dataset, of_file = _laid_out(series, days_of(stamps, path.name), _DAY, path)
    site, of_site = locate(found, given, path.name)
    of_clock = []
    if "utc_offset_hours" not in site:
        site["utc_offset_hours"] = float(round(site["longitude"] / 15.0))
        of_clock = [f"Local standard time taken to be UTC{site['utc_offset_hours']:+g} h, from the longitude."]
    dataset.attrs = {**site, "timestep_s": _DAY, "source": source}
    dataset = _finished(dataset, path, [*of_file, *_without_odd_days(dataset), *told, *of_site, *of_clock])
    check_daily(dataset)
    return dataset


def _without_odd_days(dataset: xr.Dataset) -> list[str]:
    """Forget extremes of temperature that contradict each other, unless there are many; then a check says so."""
    names = ("air_temperature_min", "air_temperature_max")
    if not set(names) <= set(dataset.data_vars):
        return []
    odd = dataset[names[0]].values > dataset[names[1]].values
    if not 0.0 < odd.mean() < _FEW_DAYS:
        return []
    for name in names:
        known = np.where(odd, np.nan, dataset[name].values)
        dataset.update(_flagged(name, known, dataset[f"{name}_qc"].values))
    return [f"Air temperature has its minimum above the maximum on {odd.sum()} days, which count as missing."]


def _laid_out(series: Mapping[str, Flagged], stamps: np.ndarray, step: int, path: Path) -> tuple[xr.Dataset, list[str]]:
    """The series on a regular axis, and a sentence if rows had to be inserted."""
    place = positions(stamps, step, path.name)
    time = regular(stamps[0], step, int(place[-1]) + 1)
    variables: dict[str, tuple[str, np.ndarray]] = {}
    for name, (values, qc) in series.items():
        if np.isfinite(values).any() or name in _KEPT_IF_EMPTY:
            spread = _spread(values, place, len(time), np.nan), _spread(qc, place, len(time), QC.MISSING)
            variables |= _flagged(name, *spread)
    dataset = xr.Dataset(variables, coords={"time": time})
    inserted = len(time) - len(stamps)
    return dataset, [f"{inserted} rows are not in the file and count as missing."] * (inserted > 0)


def _finished(dataset: xr.Dataset, path: Path, assumptions: list[str]) -> xr.Dataset:
    """Variables described and in the order of their names, the site first among the attributes."""
    dataset = describe(dataset[sorted(map(str, dataset.data_vars))])
    first = {key: dataset.attrs[key] for key in _ORDER if key in dataset.attrs}
    dataset.attrs = {**first, **dataset.attrs, "assumptions": "\n".join(assumptions)}
    dataset.encoding["source"] = str(path)
    return dataset


def _origin(series: Mapping[str, Flagged]) -> list[str]:
    """A sentence for each forcing that was not measured at most steps."""
    shares = {name: float(np.mean(qc != QC.MEASURED)) for name, (values, qc) in series.items() if name in WEATHER}
    return [
        f"{name.replace('_', ' ').capitalize()} was not measured at {share:.0%} of the steps (modeled, filled, none)."
        for name, share in shares.items()
        if share > 0.5 and np.isfinite(series[name][0]).any()
    ]


def _spread(values: np.ndarray, place: np.ndarray, size: int, blank: float) -> np.ndarray:
    if len(values) == size:  # no row was inserted
        return values
    spread = np.full(size, blank, dtype=values.dtype)
    spread[place] = values
    return spread


def _flagged(name: str, values: np.ndarray, qc: np.ndarray) -> dict[str, tuple[str, np.ndarray]]:
    """A variable and its flags, as a dataset takes them."""
    return {
        name: ("time", values.astype(float)),
        f"{name}_qc": ("time", np.where(np.isfinite(values), qc, QC.MISSING).astype(np.int8)),
    }


def _complete_pressure(dataset: xr.Dataset) -> list[str]:
    """Pressure and elevation stand in for each other, through the standard atmosphere, where one is unknown."""
    has_pressure = "air_pressure" in dataset and not np.isnan(dataset.air_pressure.values).all()
    if has_pressure and "elevation" not in dataset.attrs:
        mean = float(dataset.air_pressure.mean())
        dataset.attrs["elevation"] = float(round(44331.0 * (1.0 - (mean / 101325.0) ** 0.1903)))
        return [f"Elevation {dataset.attrs['elevation']:g} m estimated from the mean air pressure."]
    if not has_pressure and "elevation" in dataset.attrs:
        pressure = 101325.0 * (1.0 - dataset.attrs["elevation"] / 44331.0) ** (1.0 / 0.1903)
        size = dataset.sizes["time"]
        dataset.update(_flagged("air_pressure", np.full(size, pressure), np.full(size, QC.ESTIMATED)))
        return [f"Air pressure was not measured; {pressure:.0f} Pa estimated from the elevation."]
    return []


def _complete_humidity(dataset: xr.Dataset) -> list[str]:
    """One humidity from whatever was measured: the deficit first, then relative, then specific humidity.

    Specific humidity always follows from the deficit, because files disagree with themselves: in PLUMBER2 files it
    is a mixing ratio by another formula, off by 1 % in the median and by several in humid air.
    """
    if not {"air_temperature", "air_pressure"} <= set(dataset.data_vars):
        return []
    saturated = saturation_vapor_pressure(dataset.air_temperature.values)
    pressure = dataset.air_pressure.values
    size = dataset.sizes["time"]
    deficit, qc = np.full(size, np.nan), np.full(size, QC.MISSING)
    notes = []
    for name in ("vapor_pressure_deficit", "relative_humidity", "vapor_pressure", "specific_humidity"):
        if name not in dataset:
            continue
        values = dataset[name].values
        if name == "relative_humidity":
            values = saturated * (1.0 - values)
        elif name == "vapor_pressure":
            values = saturated - values
        elif name == "specific_humidity":
            values = saturated - vapor_pressure(values, pressure)
        use = np.isnan(deficit) & np.isfinite(values)
        if use.any() and name != "vapor_pressure_deficit":
            above = use & (values < 0.0)
            values = np.maximum(values, 0.0)
            saturation = f", {above.sum()} of them above saturation and taken as saturated" if above.any() else ""
            how = f"computed from {name.replace('_', ' ')} at {use.sum()} steps"
            notes.append(f"Vapor pressure deficit {how}{saturation}.")
        deficit, qc = np.where(use, values, deficit), np.where(use, dataset[f"{name}_qc"].values, qc)
    if np.isfinite(deficit).any():
        specific = specific_humidity(np.maximum(saturated - deficit, MIN_VAPOR_PRESSURE), pressure)
        dataset.update(_flagged("vapor_pressure_deficit", deficit, qc) | _flagged("specific_humidity", specific, qc))
    return notes


def _complete_clock(dataset: xr.Dataset) -> list[str]:
    if "utc_offset_hours" in dataset.attrs or "shortwave_down" not in dataset:
        return []
    offset = dataset.attrs["utc_offset_hours"] = offset_by_light(dataset)
    return [f"Local standard time taken to be UTC{offset:+g} h, from the longitude and the daily course of light."]


def _complete_longwave(dataset: xr.Dataset) -> list[str]:
    """Longwave radiation from the temperature and humidity of the air, and the clouds that the light tells of."""
    needed = {"shortwave_down", "air_temperature", "vapor_pressure_deficit"}
    if "longwave_down" in dataset or not needed <= set(dataset.data_vars):
        return []
    step = dataset.attrs["timestep_s"]
    temperature = dataset.air_temperature.values
    vapor = saturation_vapor_pressure(temperature) - dataset.vapor_pressure_deficit.values
    clouds = cloud_fraction(dataset.shortwave_down.values, clear_sky(dataset.time.values, step, dataset.attrs), step)
    longwave = longwave_from_sky(temperature, np.maximum(vapor, MIN_VAPOR_PRESSURE), clouds)
    dataset.update(_flagged("longwave_down", longwave, np.full(longwave.shape, QC.ESTIMATED)))
    note = "Longwave down was not measured; estimated after Brutsaert (1975) and Crawford & Duchon (1999)."
    return [f'{note} Net radiation was measured: radiation = "prescribed" uses it.' if _has_net(dataset) else note]


def _has_net(dataset: xr.Dataset) -> bool:
    return "net_radiation" in dataset and bool(measured(dataset, "net_radiation").mean() > 0.5)

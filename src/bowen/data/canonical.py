"""Canonical dataset of a record: regular time axis, complete humidity, site metadata and attributes."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bowen.data.checks.clock import estimate_utc_offset
from bowen.data.checks.missing_codes import describe_missing_codes, find_missing_codes
from bowen.data.checks.required import check_air_temperature, check_daily_record, check_record, get_record_name
from bowen.data.longwave import estimate_cloud_fraction, estimate_longwave
from bowen.data.quality_flags import is_measured
from bowen.data.schema import FORCING, QC, SCHEMA, TURBULENT, WEATHER, add_attributes
from bowen.data.site_metadata import complete_site_metadata
from bowen.data.solar import compute_clear_sky_radiation
from bowen.data.time_axis import compute_positions, find_days, find_time_step, make_regular_axis
from bowen.errors import DataError
from bowen.physics.thermodynamics import (
    MIN_VAPOR_PRESSURE,
    saturation_vapor_pressure,
    specific_humidity,
    vapor_pressure,
)

FlaggedSeries = tuple[np.ndarray, np.ndarray]  # values and flags

_DAY = 86400  # s
_MAX_GREENWICH = 52.5  # degrees; no legal time farther from Greenwich is that of Greenwich
_MAX_ODD_FRACTION = 0.01  # fraction of days with contradictory temperatures that are dropped
_KEPT_IF_EMPTY = (*FORCING, "latent_heat", "sensible_heat")  # so that a check can report them as empty
_MAX_SUPERSATURATION = 0.15  # of the saturation vapor pressure; instruments err so far in cold air
_ORDER = ("site", "latitude", "longitude", "elevation", "igbp", "reference_height", "canopy_height", "utc_offset_hours")


def build_record(
    series: Mapping[str, FlaggedSeries],
    stamps: np.ndarray,
    path: Path,
    *,
    found: Mapping[str, Any],
    given: Mapping[str, Any] | None,
    source: str,
    notes: Iterable[str] | None = None,
    reading: Iterable[str] = (),
) -> xr.Dataset:
    """Build and check the canonical dataset of one tower.

    Args:
        series: Values in SI and flags, under canonical names.
        stamps: Start of each averaging interval, in the order of the file.
        path: The file.
        found: Site metadata in the file, at least `site`.
        given: Site metadata from the caller, which take precedence.
        source: Kind of the record, e.g. "PLUMBER2".
        notes: Sentences on the origin of the series, instead of those derived from the flags.
        reading: Sentences on the reading of the file.

    Returns:
        The dataset; missing rows are inserted with flag 9.

    Raises:
        DataError: The record cannot drive a model; see `check_record`.
    """
    step = find_time_step(stamps, path.name)
    series, of_codes = _drop_missing_codes(series, step)
    dataset, of_file = _put_on_axis(series, stamps, step, path)
    of_file += [*reading, *of_codes, *(_describe_origin(series) if notes is None else notes)]
    site, of_site = complete_site_metadata(found, given, path.name)
    dataset.attrs = {**site, "timestep_s": step, "source": source}
    check_air_temperature(dataset, path.name)
    complete = (_complete_pressure, _complete_humidity, _complete_clock, _complete_longwave)
    completed = [note for fill_in in complete for note in fill_in(dataset)]
    dataset = _finish(dataset, path, [*of_file, *of_site, *completed])
    check_record(dataset)
    return dataset


def build_daily_record(
    series: Mapping[str, FlaggedSeries],
    stamps: np.ndarray,
    path: Path,
    *,
    found: Mapping[str, Any],
    given: Mapping[str, Any] | None,
    source: str,
    notes: Iterable[str] = (),
) -> xr.Dataset:
    """Build and check a canonical dataset of one value a day, the input of `disaggregate`.

    Args:
        series: Values in SI and flags, under canonical names.
        stamps: The days in local standard time, in the order of the file, at any hour.
        path: The file.
        found: Site metadata in the file, at least `site`.
        given: Site metadata from the caller, which take precedence.
        source: Kind of the record, e.g. "CAMELS".
        notes: Sentences on the origin of the series.

    Returns:
        The dataset, stamped at midnight; missing days are inserted with flag 9.

    Raises:
        DataError: The record cannot be used; see `check_daily_record`.
    """
    series, of_codes = _drop_missing_codes(series, _DAY)
    dataset, of_file = _put_on_axis(series, find_days(stamps, path.name), _DAY, path)
    site, of_site = complete_site_metadata(found, given, path.name)
    of_clock = []
    if "utc_offset_hours" not in site:
        site["utc_offset_hours"] = float(round(site["longitude"] / 15.0))
        of_clock = [f"Local standard time assumed to be UTC{site['utc_offset_hours']:+g} h, from the longitude."]
    dataset.attrs = {**site, "timestep_s": _DAY, "source": source}
    dataset = _finish(dataset, path, [*of_file, *of_codes, *_drop_odd_days(dataset), *notes, *of_site, *of_clock])
    check_daily_record(dataset)
    return dataset


def _drop_missing_codes(series: Mapping[str, FlaggedSeries], step: int) -> tuple[dict[str, FlaggedSeries], list[str]]:
    """Mark undeclared codes of missing values as missing, with a note for each."""
    cleaned, notes = dict(series), []
    for name, (values, qc) in series.items():
        if (codes := find_missing_codes(values, name, step)).any():
            label = name.replace("_", " ").capitalize()
            notes += describe_missing_codes(label, values[codes], SCHEMA[name].units)
            cleaned[name] = np.where(codes, np.nan, values), np.where(codes, QC.MISSING, qc)
    return cleaned, notes


def _drop_odd_days(dataset: xr.Dataset) -> list[str]:
    """Drop contradictory extremes of temperature if they are few; if there are many, a check reports them."""
    names = ("air_temperature_min", "air_temperature_max")
    if not set(names) <= set(dataset.data_vars):
        return []
    odd = dataset[names[0]].values > dataset[names[1]].values
    if not 0.0 < odd.mean() < _MAX_ODD_FRACTION:
        return []
    for name in names:
        known = np.where(odd, np.nan, dataset[name].values)
        dataset.update(_pair_with_flags(name, known, dataset[f"{name}_qc"].values))
    return [f"Air temperature has its minimum above the maximum on {odd.sum()} days, which count as missing."]


def _put_on_axis(
    series: Mapping[str, FlaggedSeries], stamps: np.ndarray, step: int, path: Path
) -> tuple[xr.Dataset, list[str]]:
    """Put the series on a regular axis, with a note if rows were inserted."""
    place = compute_positions(stamps, step, path.name)
    time = make_regular_axis(stamps[0], step, int(place[-1]) + 1)
    variables: dict[str, tuple[str, np.ndarray]] = {}
    for name, (values, qc) in series.items():
        if np.isfinite(values).any() or name in _KEPT_IF_EMPTY:
            spread = _spread(values, place, len(time), np.nan), _spread(qc, place, len(time), QC.MISSING)
            variables |= _pair_with_flags(name, *spread)
    dataset = xr.Dataset(variables, coords={"time": time})
    inserted = len(time) - len(stamps)
    return dataset, [f"{inserted} rows are not in the file and count as missing."] * (inserted > 0)


def _finish(dataset: xr.Dataset, path: Path, assumptions: list[str]) -> xr.Dataset:
    """Sort and describe the variables, and put the site first among the attributes."""
    dataset = add_attributes(dataset[sorted(map(str, dataset.data_vars))])
    first = {key: dataset.attrs[key] for key in _ORDER if key in dataset.attrs}
    dataset.attrs = {**first, **dataset.attrs, "assumptions": "\n".join(assumptions)}
    dataset.encoding["source"] = str(path)
    return dataset


def _describe_origin(series: Mapping[str, FlaggedSeries]) -> list[str]:
    """Note each forcing variable that was not measured at most steps, and each flux that was measured at none."""
    has_values = [name for name, (values, _) in series.items() if np.isfinite(values).any()]
    shares = {name: float(np.mean(series[name][1] != QC.MEASURED)) for name in has_values}
    notes = [
        f"{name.replace('_', ' ').capitalize()} was not measured at {shares[name]:.0%} of steps (modeled, filled or "
        "missing)."
        for name in has_values
        if name in WEATHER and shares[name] > 0.5
    ]
    return notes + [
        f"{name.replace('_', ' ').capitalize()} is not flagged as measured at any step, so all its values count as "
        "filled."
        for name in has_values
        if name in TURBULENT and shares[name] == 1.0
    ]


def _spread(values: np.ndarray, place: np.ndarray, size: int, blank: float) -> np.ndarray:
    if len(values) == size:  # no row was inserted
        return values
    spread = np.full(size, blank, dtype=values.dtype)
    spread[place] = values
    return spread


def _pair_with_flags(name: str, values: np.ndarray, qc: np.ndarray) -> dict[str, tuple[str, np.ndarray]]:
    """Pair a variable with its flags for a dataset."""
    return {
        name: ("time", values.astype(float)),
        f"{name}_qc": ("time", np.where(np.isfinite(values), qc, QC.MISSING).astype(np.int8)),
    }


def _complete_pressure(dataset: xr.Dataset) -> list[str]:
    """Estimate air pressure from elevation, or elevation from air pressure, by the standard atmosphere."""
    has_pressure = "air_pressure" in dataset and not np.isnan(dataset.air_pressure.values).all()
    if has_pressure and "elevation" not in dataset.attrs:
        mean = float(dataset.air_pressure.mean())
        dataset.attrs["elevation"] = float(round(44331.0 * (1.0 - (mean / 101325.0) ** 0.1903)))
        return [f"Elevation {dataset.attrs['elevation']:g} m estimated from the mean air pressure."]
    if not has_pressure and "elevation" in dataset.attrs:
        pressure = 101325.0 * (1.0 - dataset.attrs["elevation"] / 44331.0) ** (1.0 / 0.1903)
        size = dataset.sizes["time"]
        dataset.update(_pair_with_flags("air_pressure", np.full(size, pressure), np.full(size, QC.ESTIMATED)))
        return [f"Air pressure was not measured; {pressure:.0f} Pa estimated from the elevation."]
    if not has_pressure:
        raise DataError(
            get_record_name(dataset),
            "no air_pressure, and no elevation to estimate it from",
            fix='pass site={"elevation": ...} [m], or `--site site.toml` on the command line',
        )
    return []


def _complete_humidity(dataset: xr.Dataset) -> list[str]:
    """Complete the vapor pressure deficit and specific humidity from the measured humidity variables.

    The deficit itself is preferred, then relative humidity, vapor pressure and specific humidity. Specific humidity is
    always recomputed from the deficit, because files are not consistent: in PLUMBER2 files it is a mixing ratio by
    another formula, off by 1 % in the median and by several percent in humid air.
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
        above = use & (values < 0.0)
        if name == "vapor_pressure_deficit":
            low = SCHEMA[name].valid_range[0]
            above &= (values < low) & (values >= -_MAX_SUPERSATURATION * saturated)
            values = np.where(above, 0.0, values)
            if above.any():
                notes.append(f"Vapor pressure deficit is below {low:g} Pa at {above.sum()} steps, taken as saturated.")
        elif use.any():
            values = np.maximum(values, 0.0)
            saturation = f", {above.sum()} of them above saturation and taken as saturated" if above.any() else ""
            how = f"computed from {name.replace('_', ' ')} at {use.sum()} steps"
            notes.append(f"Vapor pressure deficit {how}{saturation}.")
        deficit, qc = np.where(use, values, deficit), np.where(use, dataset[f"{name}_qc"].values, qc)
    if np.isfinite(deficit).any():
        pressure = np.maximum(pressure, MIN_VAPOR_PRESSURE)  # of a column that is none; `check_record` refuses it
        specific = specific_humidity(np.maximum(saturated - deficit, MIN_VAPOR_PRESSURE), pressure)
        dataset.update(
            _pair_with_flags("vapor_pressure_deficit", deficit, qc)
            | _pair_with_flags("specific_humidity", specific, qc)
        )
    return notes


def _complete_clock(dataset: xr.Dataset) -> list[str]:
    if "utc_offset_hours" in dataset.attrs or "shortwave_down" not in dataset:
        return []
    offset = dataset.attrs["utc_offset_hours"] = estimate_utc_offset(dataset)
    far = offset == 0.0 and abs(dataset.attrs["longitude"]) > _MAX_GREENWICH
    reason = "longitude and the course of" if not far else "stamps in UTC, which fit"
    return [f"Local standard time assumed to be UTC{offset:+g} h, from the {reason} shortwave radiation."]


def _complete_longwave(dataset: xr.Dataset) -> list[str]:
    """Estimate longwave radiation from air temperature, humidity, and cloud fraction by shortwave radiation."""
    needed = {"shortwave_down", "air_temperature", "vapor_pressure_deficit"}
    if "longwave_down" in dataset or not needed <= set(dataset.data_vars):
        return []
    step = dataset.attrs["timestep_s"]
    temperature = dataset.air_temperature.values
    vapor = saturation_vapor_pressure(temperature) - dataset.vapor_pressure_deficit.values
    clouds = estimate_cloud_fraction(
        dataset.shortwave_down.values, compute_clear_sky_radiation(dataset.time.values, step, dataset.attrs), step
    )
    longwave = estimate_longwave(temperature, np.maximum(vapor, MIN_VAPOR_PRESSURE), clouds)
    dataset.update(_pair_with_flags("longwave_down", longwave, np.full(longwave.shape, QC.ESTIMATED)))
    note = "Longwave down was not measured; estimated after Prata (1996) and Crawford & Duchon (1999)."
    return [
        f'{note} Net radiation was measured: net_radiation = "measured" uses it.'
        if _has_net_radiation(dataset)
        else note
    ]


def _has_net_radiation(dataset: xr.Dataset) -> bool:
    return "net_radiation" in dataset and bool(is_measured(dataset, "net_radiation").mean() > 0.5)

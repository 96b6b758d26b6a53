"""From the columns of any reader to the one canonical dataset: regular time, complete humidity, site, attributes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bowen.data.axis import positions, regular, step_of
from bowen.data.clock import offset_by_light
from bowen.data.humidity import saturation_vapor_pressure, specific_humidity, vapor_pressure
from bowen.data.quality import check
from bowen.data.schema import FORCING, QC, WEATHER, describe
from bowen.data.site import locate

Flagged = tuple[np.ndarray, np.ndarray]  # values and flags

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
) -> xr.Dataset:
    """The canonical dataset of one tower, checked.

    Args:
        series: Values in SI and flags, under canonical names.
        stamps: Start of each averaging interval, in the order of the file.
        path: The file.
        found: What the file says of the site; holds at least `site`.
        given: What the caller says of the site, which wins.
        source: What the record is, e.g. "PLUMBER2".

    Returns:
        The dataset; rows that were missing are inserted with flag 9.

    Raises:
        DataError: The record cannot drive a model; see `check`.
    """
    step = step_of(stamps, path.name)
    place = positions(stamps, step, path.name)
    time = regular(stamps[0], step, int(place[-1]) + 1)
    variables: dict[str, tuple[str, np.ndarray]] = {}
    for name, (values, qc) in series.items():
        if np.isfinite(values).any() or name in _KEPT_IF_EMPTY:
            spread = _spread(values, place, len(time), np.nan), _spread(qc, place, len(time), QC.MISSING)
            variables |= _flagged(name, *spread)
    dataset = xr.Dataset(variables, coords={"time": time})
    inserted = len(time) - len(stamps)
    of_file = [f"{inserted} rows are not in the file and count as missing."] * (inserted > 0) + _origin(series)
    site, of_site = locate(found, given, path.name)
    dataset.attrs = {**site, "timestep_s": step, "source": source}
    notes = [*_complete_pressure(dataset), *_complete_humidity(dataset), *_complete_clock(dataset)]
    dataset = describe(dataset[sorted(map(str, dataset.data_vars))])
    first = {key: dataset.attrs[key] for key in _ORDER if key in dataset.attrs}
    dataset.attrs = {**first, **dataset.attrs, "assumptions": "\n".join([*of_file, *of_site, *notes])}
    dataset.encoding["source"] = str(path)
    check(dataset)
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
    has_pressure = "air_pressure" in dataset and bool(dataset.air_pressure.notnull().any())
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
        dataset.update(_flagged("vapor_pressure_deficit", deficit, qc))
        dataset.update(_flagged("specific_humidity", specific_humidity(saturated - deficit, pressure), qc))
    return notes


def _complete_clock(dataset: xr.Dataset) -> list[str]:
    if "utc_offset_hours" in dataset.attrs or "shortwave_down" not in dataset:
        return []
    offset = dataset.attrs["utc_offset_hours"] = offset_by_light(dataset)
    return [f"Local standard time taken to be UTC{offset:+g} h, from the longitude and the daily course of light."]

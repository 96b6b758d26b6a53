"""Stuck sensors: constant or straight-line values, from broken sensors or from gaps bridged without a flag."""

from typing import Any

import numpy as np
import xarray as xr

from bowen.data.quality_flags import is_measured
from bowen.data.schema import SCHEMA, TARGETS, TURBULENT, WEATHER
from bowen.data.time_axis import find_runs, find_time_step, format_minute

_MAX_CALM = 86400.0  # s; no air variable stays constant or on a line for longer
_MAX_EQUAL_DAYS = 3.0  # of daily fluxes, which are rounded and seldom far apart
_MAX_BEND = 1e-5  # of the standard deviation, at one step of a line
_ROUNDING = 4.0 * np.finfo(np.float32).eps  # of the largest value, in single-precision files
_MIN_EQUAL = 24  # equal values, with missing ones between them
_MAY_STAY = ("leaf_area_index",)  # weekly or monthly values
_MAX_ZERO = {"net_radiation": 1.0, "latent_heat": 1.0, "sensible_heat": 1.0, "wind_speed": 2.0}  # d of zeros


def list_present_variables(dataset: xr.Dataset) -> list[str]:
    """List the catalog's weather variables and targets that a record has, in this order."""
    return [name for name in (*WEATHER, *TARGETS) if name in dataset]


def find_constant_stretches(dataset: xr.Dataset, name: str) -> np.ndarray:
    """Find stretches longer than a day, flagged as measured, that are constant or on a straight line.

    Zeros and saturated air may last, but not zero net radiation, heat or wind.

    Args:
        dataset: A canonical dataset.
        name: One of its variables.

    Returns:
        Rows of the first step of a stretch and the first step after it. [1]
    """
    values = dataset[name].values
    known = is_measured(dataset, name) & ~((name == "relative_humidity") & (values >= 1.0))
    known &= (values != 0.0) | (name in _MAX_ZERO)
    if name in _MAY_STAY or not known.any():
        return np.empty((0, 2), int)
    tolerance = _MAX_BEND * np.nanstd(values) + _ROUNDING * np.nanmax(np.abs(values))
    straight = np.zeros(len(values), bool)
    bend = np.abs(values[2:] - 2.0 * values[1:-1] + values[:-2])
    straight[1:-1] = (bend <= tolerance) & known[2:] & known[1:-1] & known[:-2]
    straight |= _constant(values, is_measured(dataset, name), known, tolerance)
    found = find_runs(straight) + np.array([-1, 1])  # with the steps the line ends at
    longest = _MAX_EQUAL_DAYS if "flux_interval_s" in dataset.attrs and name in TURBULENT else 1.0
    calm = [_MAX_CALM * (longest if values[a:b].any() else max(longest, _MAX_ZERO[name])) for a, b in found]
    return found[np.diff(found, axis=1)[:, 0] * find_time_step(dataset.time.values, "the record") > calm]


def _constant(values: np.ndarray, original: np.ndarray, known: np.ndarray, tolerance: float) -> np.ndarray:
    """Mark the inside of stretches of one value, even if steps between are missing or filled."""
    position = np.flatnonzero(original)
    within = np.zeros(len(values), bool)
    equal = (np.abs(np.diff(values[position])) <= tolerance) & known[position][1:] & known[position][:-1]
    for first, end in find_runs(equal):
        if end - first >= _MIN_EQUAL:
            within[position[first] + 1 : position[end]] = True
    return within


def list_stuck_sensors(dataset: xr.Dataset) -> list[dict[str, Any]]:
    """List all stretches of all variables at which the sensor is stuck.

    Args:
        dataset: A canonical dataset.

    Returns:
        In order of time `name`, `start`, `hours`, `value` at the start, `last` value and `units` of each stretch; see
        `find_constant_stretches`.
    """
    step = find_time_step(dataset.time.values, "the record")
    found = [
        {
            "name": name,
            "start": format_minute(dataset.time.values[first]),
            "hours": float((end - first) * step / 3600.0),
            "value": float(dataset[name].values[first]),
            "last": float(dataset[name].values[end - 1]),
            "units": SCHEMA[name].units,
        }
        for name in list_present_variables(dataset)
        for first, end in find_constant_stretches(dataset, name)
    ]
    return sorted(found, key=lambda stretch: stretch["start"])


def describe_stuck_sensors(stretches: list[dict[str, Any]]) -> str:
    """Describe the result of `list_stuck_sensors` in a sentence."""
    if not stretches:
        return "No variable is constant, or on a straight line, for longer than a day."
    hours = dict.fromkeys((stretch["name"] for stretch in stretches), 0.0)
    for stretch in stretches:
        hours[stretch["name"]] += stretch["hours"]
    listed = ", ".join(
        f"{name.replace('_', ' ')} for {hours[name]:.0f} h"
        for name in sorted(hours, key=hours.__getitem__, reverse=True)
    )
    return (
        f"Constant or on a straight line for longer than a day, though flagged as measured: {listed}. Working sensors "
        "vary from hour to hour, apart from air pressure of a coarse resolution: mark these steps as missing."
    )

"""Sensors that do not move: broken ones, and gaps that somebody bridged without a flag."""

from typing import Any

import numpy as np
import xarray as xr

from bowen.data.quality_flags import measured
from bowen.data.schema import SCHEMA, TARGETS, WEATHER
from bowen.data.time_axis import minute, spells, step_of

_LONGEST_CALM = 86400.0  # s; nothing in the air stays the same, or on one line, for longer
_STRAIGHT = 1e-5  # of the standard deviation, that a line may bend at a step
_ROUNDING = 4.0 * np.finfo(np.float32).eps  # of the largest value, in files of single precision
_MANY = 24  # values alike, between which others are missing
_MAY_STAY = ("leaf_area_index",)  # given by the week or the month
_NO_ZERO = {"net_radiation": 1.0, "latent_heat": 1.0, "sensible_heat": 1.0, "wind_speed": 2.0}  # d, at most


def present(dataset: xr.Dataset) -> list[str]:
    """The variables of the catalogue that a record has, in its order: the weather, then the targets."""
    return [name for name in (*WEATHER, *TARGETS) if name in dataset]


def still(dataset: xr.Dataset, name: str) -> np.ndarray:
    """Where a variable is constant or follows a straight line, flagged as measured, for longer than a day.

    Zero, and saturated air, may last, but not zero net radiation, heat or wind.

    Args:
        dataset: A canonical dataset.
        name: One of its variables.

    Returns:
        Rows of the first step of a stretch and the first after it. [1]
    """
    values = dataset[name].values
    known = measured(dataset, name) & ~((name == "relative_humidity") & (values >= 1.0))
    known &= (values != 0.0) | (name in _NO_ZERO)
    if name in _MAY_STAY or not known.any():
        return np.empty((0, 2), int)
    tolerance = _STRAIGHT * np.nanstd(values) + _ROUNDING * np.nanmax(np.abs(values))
    straight = np.zeros(len(values), bool)
    bend = np.abs(values[2:] - 2.0 * values[1:-1] + values[:-2])
    straight[1:-1] = (bend <= tolerance) & known[2:] & known[1:-1] & known[:-2]
    straight |= _constant(values, measured(dataset, name), known, tolerance)
    found = spells(straight) + np.array([-1, 1])  # with the steps the line ends at
    calm = [_LONGEST_CALM * (1.0 if values[a:b].any() else _NO_ZERO[name]) for a, b in found]
    return found[np.diff(found, axis=1)[:, 0] * step_of(dataset.time.values, "the record") > calm]


def _constant(values: np.ndarray, original: np.ndarray, known: np.ndarray, tolerance: float) -> np.ndarray:
    """Within stretches of one value, though steps in between are missing or filled; without the two ends."""
    place = np.flatnonzero(original)
    within = np.zeros(len(values), bool)
    alike = (np.abs(np.diff(values[place])) <= tolerance) & known[place][1:] & known[place][:-1]
    for first, end in spells(alike):
        if end - first >= _MANY:
            within[place[first] + 1 : place[end]] = True
    return within


def stuck(dataset: xr.Dataset) -> list[dict[str, Any]]:
    """All stretches of all variables at which the sensor does not move.

    Args:
        dataset: A canonical dataset.

    Returns:
        By time `name`, `start`, `hours`, `value` at the start, `last` value and `units` of each stretch; see `still`.
    """
    step = step_of(dataset.time.values, "the record")
    found = [
        {
            "name": name,
            "start": minute(dataset.time.values[first]),
            "hours": float((end - first) * step / 3600.0),
            "value": float(dataset[name].values[first]),
            "last": float(dataset[name].values[end - 1]),
            "units": SCHEMA[name].units,
        }
        for name in present(dataset)
        for first, end in still(dataset, name)
    ]
    return sorted(found, key=lambda stretch: stretch["start"])


def sensors_verdict(stretches: list[dict[str, Any]]) -> str:
    """What `stuck` found, in a sentence."""
    if not stretches:
        return "No variable stays the same, or on a straight line, for longer than a day."
    hours = dict.fromkeys((stretch["name"] for stretch in stretches), 0.0)
    for stretch in stretches:
        hours[stretch["name"]] += stretch["hours"]
    told = ", ".join(
        f"{name.replace('_', ' ')} for {hours[name]:.0f} h"
        for name in sorted(hours, key=hours.__getitem__, reverse=True)
    )
    return f"Constant or on a straight line for longer than a day, though flagged as measured: {told}."

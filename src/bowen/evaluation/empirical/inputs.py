"""What an empirical model looks at: the weather of a step, and its means over the days before."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from bowen.errors import DataError
from bowen.physics.thermodynamics import saturation_vapor_pressure

_YEAR = 365 * 86400  # s


@dataclass(frozen=True)
class Lag:
    """The mean of an input over the days before a step, from `nearest` to `farthest`, in days."""

    name: str
    nearest: float
    farthest: float


def inputs_of(names: Iterable[str | Lag], dataset: xr.Dataset) -> np.ndarray:
    """Lay the inputs of a model at a tower side by side.

    Args:
        names: Canonical names, or lags of them.
        dataset: A canonical record whose forcing has no gaps.

    Returns:
        The inputs, (step, input), each in its canonical unit.

    Raises:
        DataError: An input is absent or has gaps.
    """
    return np.stack([_input(of, dataset) for of in names], axis=1)


def _input(of: str | Lag, dataset: xr.Dataset) -> np.ndarray:
    if isinstance(of, Lag):
        return lagged(_input(of.name, dataset), of, dataset.time.values)
    if of == "relative_humidity":  # from what is filled, because the humidity as measured may have gaps
        saturated = saturation_vapor_pressure(_input("air_temperature", dataset))
        return np.clip(1.0 - _input("vapor_pressure_deficit", dataset) / saturated, 0.0, 1.0)
    where = dataset.attrs.get("site", "the record")
    if of not in dataset:
        advice = " `bowen.data.longwave_from_sky` estimates it." if of == "longwave_down" else ""
        raise DataError(
            f"{where}: no {of}, which an empirical model looks at.{advice} Add it, or choose another model."
        )
    values = dataset[of].values.astype(float)
    if (lost := ~np.isfinite(values)).any():
        raise DataError(
            f"{where}: {of} is missing at {lost.sum()} of {lost.size} steps, first at "
            f"{dataset.time.values[lost][0]:.16}.\n  fix: fill it with `bowen.data.fill_forcing`."
        )
    return values


def lagged(values: np.ndarray, lag: Lag, time: np.ndarray) -> np.ndarray:
    """The mean of a series over the days before each step.

    What was before a record is taken from the end of its first year, as where a model is spun up.

    Args:
        values: A series at regular steps, in any unit.
        lag: From how many to how many days before the step. [d]
        time: Stamps of the series.

    Returns:
        The mean at each step, in the unit of the series.
    """
    step = float((time[1] - time[0]) / np.timedelta64(1, "s"))
    near, far = (round(days * 86400 / step) for days in (lag.nearest, lag.farthest))
    year = min(round(_YEAR / step), len(values))
    before = values[np.arange(-far, 0) % year]
    sums = np.cumsum(np.concatenate([[0.0], before, values]))
    here = np.arange(len(values))
    return (sums[here + far - near] - sums[here]) / (far - near)

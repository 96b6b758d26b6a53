"""Inputs of the empirical models: the weather of a step, and its means over the days before."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from bowen.errors import DataError
from bowen.physics.thermodynamics import saturation_vapor_pressure

_YEAR = 365 * 86400  # s


@dataclass(frozen=True)
class Lag:
    """Mean of an input over the days before a step, from `nearest` to `farthest` in days."""

    name: str
    nearest: float
    farthest: float


def stack_inputs(names: Iterable[str | Lag], dataset: xr.Dataset) -> np.ndarray:
    """Stack the inputs of a model at a tower.

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
        return lagged_mean(_input(of.name, dataset), of, dataset.time.values)
    if of == "relative_humidity":  # from filled variables, as measured humidity may have gaps
        saturated = saturation_vapor_pressure(_input("air_temperature", dataset))
        return np.clip(1.0 - _input("vapor_pressure_deficit", dataset) / saturated, 0.0, 1.0)
    where = dataset.attrs.get("site", "the record")
    if of not in dataset:
        advice = " e.g. by `bowen.data.estimate_longwave`," if of == "longwave_down" else ""
        raise DataError(
            str(where),
            f"there is no {of}, an input of the empirical model",
            fix=f"add it,{advice} or choose another model",
        )
    values = dataset[of].values.astype(float)
    if (gap := ~np.isfinite(values)).any():
        raise DataError(
            str(where),
            f"{of} is missing at {gap.sum()} of {gap.size} steps, first at {dataset.time.values[gap][0]:.16}",
            fix="fill it with `bowen.data.fill_forcing`",
        )
    return values


def lagged_mean(values: np.ndarray, lag: Lag, time: np.ndarray) -> np.ndarray:
    """Compute the mean of a series over the days before each step.

    The days before the record are those at the end of its first year, as in the spin-up of a model.

    Args:
        values: A series at regular steps, in any unit.
        lag: The days before the step to average. [d]
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

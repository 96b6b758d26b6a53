"""Gaps of the forcing, filled and flagged; targets are never filled."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import xarray as xr

from bowen.data.checks.stuck_sensors import still
from bowen.data.schema import FORCING, QC, RADIATION
from bowen.errors import DataError
from bowen.physics.thermodynamics import MIN_VAPOR_PRESSURE, saturation_vapor_pressure, specific_humidity

_SHORT = 7200  # s; shorter gaps are bridged by a line
_WINDOWS = (15, 31)  # d; the mean diurnal course is that of the days around, of the nearer if they have it
_MOST_MISSING = 0.5
_MAY_STAND = ("precipitation", "air_pressure", "specific_humidity")  # the last follows from the deficit
_NEVER_NEGATIVE = ("shortwave_down", "vapor_pressure_deficit", "precipitation")  # but for an instrument's offset


def fill_forcing(dataset: xr.Dataset, need: Iterable[str] | None = None) -> xr.Dataset:
    """Fill the gaps of the forcing: short ones by a line, long ones by the mean diurnal course, rain by none.

    What stands still or follows a straight line for longer than a day, though flagged as measured, counts as a gap:
    somebody bridged it. Small negative values of what cannot be negative (shortwave radiation at night) become zero.

    Args:
        dataset: A canonical dataset.
        need: The variables to fill. By default all that drive a model: longwave radiation where it is there,
            else net radiation, and the rest of the forcing.

    Returns:
        A new dataset with no gap in those variables; flags 6 (line, or no rain) and 7 (diurnal course) where it was
        filled, and a sentence for each in `assumptions`.

    Raises:
        DataError: A variable is absent, more than half missing, or is a gap over all days at some hour.
    """
    names = list(need) if need is not None else [*FORCING, next((n for n in RADIATION if n in dataset), RADIATION[0])]
    where = dataset.attrs.get("site", "the record")
    filled = dataset.copy(deep=True)
    step = float(np.diff(dataset.time.values[:2])[0] / np.timedelta64(1, "s"))
    notes = []
    for name in dict.fromkeys(names):
        if name not in dataset:
            raise DataError(f"{where}: no {name} to fill. Add it to the file; see `bowen inspect`.")
        missing = np.isnan(dataset[name].values)
        stood = [] if name in _MAY_STAND else _forget_standstill(filled, name, missing)
        notes += stood
        if missing.mean() > _MOST_MISSING:
            what = "is missing or stands still" if stood else "is missing"
            raise DataError(
                f"{where}: {name} {what} at {missing.mean():.0%} of the steps, more than can be filled. "
                "Take it from another instrument or a reanalysis, or choose a period that has it."
            )
        if name in _NEVER_NEGATIVE:
            filled[name] = filled[name].clip(min=0.0, keep_attrs=True)
        if name != "specific_humidity" and missing.any():
            notes.append(_fill(filled, name, missing, step, where))
    if "specific_humidity" in names and np.isnan(filled.specific_humidity.values).any():
        notes.append(_humidity(filled, where))
    lines = [line for line in (dataset.attrs.get("assumptions", ""), *notes) if line]
    filled.attrs["assumptions"] = "\n".join(lines)
    return filled


def _forget_standstill(filled: xr.Dataset, name: str, missing: np.ndarray) -> list[str]:
    """Count as missing, in place, what stands still or follows a straight line for longer than a day."""
    stretches = still(filled, name)
    for first, end in stretches:
        missing[first:end] = True
    filled[name].values[missing] = np.nan
    steps = int((stretches[:, 1] - stretches[:, 0]).sum())
    spoken = name.replace("_", " ").capitalize()
    return [f"{spoken}: {steps} steps on straight lines longer than a day count as missing."] if steps else []


def mean_diurnal_course(variable: xr.DataArray, step: float) -> np.ndarray:
    """At each step the mean over the days around at that hour, over the whole record where they have none.

    Args:
        variable: A series at regular steps.
        step: Length of a step. [s]

    Returns:
        The course, NaN at hours that no day has, in the units of the variable.
    """
    per_day = round(86400 / step)
    values = variable.values
    days = -(-len(values) // per_day)
    padded = np.concatenate([values, np.full(days * per_day - len(values), np.nan)])
    table = pd.DataFrame(padded.reshape(days, per_day))
    course = np.full(table.shape, np.nan)
    for window in (*_WINDOWS, 2 * days):
        around = np.asarray(table.rolling(window, center=True, min_periods=1).mean())
        course = np.where(np.isnan(course), around, course)
    return course.ravel()[: len(values)]


def _fill(filled: xr.Dataset, name: str, missing: np.ndarray, step: float, where: str) -> str:
    """Fill one variable in place; returns the sentence about it."""
    values, qc = filled[name].values.copy(), filled[f"{name}_qc"].values.copy()
    spoken = name.replace("_", " ").capitalize()
    long = missing & (_run_length(missing) * step >= _SHORT)
    if name == "precipitation":
        values[missing], qc[missing] = 0.0, QC.INTERPOLATED
        note = f"{spoken}: {missing.sum()} missing steps taken as dry."
    else:
        index = np.arange(len(values))
        values[missing] = np.interp(index[missing], index[~missing], values[~missing])
        qc[missing] = QC.INTERPOLATED
        values[long] = mean_diurnal_course(filled[name], step)[long]
        qc[long] = QC.MEAN_DIURNAL_COURSE
        note = f"{spoken}: {(missing & ~long).sum()} steps interpolated, {long.sum()} from mean days."
    if np.isnan(values).any():
        raise DataError(f"{where}: {name} is missing at the same hours of every day. Choose a period that has them.")
    filled[name].values, filled[f"{name}_qc"].values = values, qc
    return note


def _run_length(missing: np.ndarray) -> np.ndarray:
    """For each step the length of the run of equal values it is part of, in steps."""
    run = np.concatenate([[0], np.cumsum(np.diff(missing.astype(np.int8)) != 0)])
    return np.bincount(run)[run]


def _humidity(filled: xr.Dataset, where: str) -> str:
    """Specific humidity from what has just been filled, so that the two humidities agree."""
    names = ("vapor_pressure_deficit", "air_temperature", "air_pressure")
    deficit, temperature, pressure = (filled[name].values for name in names)
    missing = np.isnan(filled.specific_humidity.values)
    vapor = np.maximum(saturation_vapor_pressure(temperature) - deficit, MIN_VAPOR_PRESSURE)
    computed = specific_humidity(vapor, pressure)
    if np.isnan(computed[missing]).any():
        raise DataError(f"{where}: specific_humidity follows from {', '.join(names)}; let all of them be filled.")
    filled["specific_humidity"].values = np.where(missing, computed, filled.specific_humidity.values)
    worst = np.max([filled[f"{name}_qc"].values for name in names], axis=0)
    filled["specific_humidity_qc"].values = np.where(missing, worst, filled.specific_humidity_qc.values).astype(np.int8)
    return f"Specific humidity: {missing.sum()} missing steps computed from the filled deficit."

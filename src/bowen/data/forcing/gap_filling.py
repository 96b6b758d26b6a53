"""Gap filling of the forcing, with flags; targets are never filled."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import xarray as xr

from bowen.data.checks.required import check_canonical
from bowen.data.checks.stuck_sensors import find_constant_stretches
from bowen.data.schema import FORCING, QC, RADIATION
from bowen.errors import DataError
from bowen.physics.thermodynamics import MIN_VAPOR_PRESSURE, saturation_vapor_pressure, specific_humidity

_MAX_LINE = 7200  # s; shorter gaps are interpolated
_WINDOWS = (15, 31)  # d around a gap for the mean diurnal course; the shorter is preferred
_MAX_MISSING = 0.5
_MAY_STAND = ("precipitation", "air_pressure", "specific_humidity")  # the last is computed from the deficit
_NEVER_NEGATIVE = ("shortwave_down", "vapor_pressure_deficit", "precipitation")  # except for an instrument's offset


def fill_forcing(dataset: xr.Dataset, need: Iterable[str] | None = None) -> xr.Dataset:
    """Fill gaps of the forcing: short ones by interpolation, long ones by the mean diurnal course, rain by zero.

    Values flagged as measured that are constant or on a straight line for longer than a day count as a gap that was
    bridged. Small negative values of variables that cannot be negative (shortwave radiation at night) become zero.

    Args:
        dataset: A canonical dataset.
        need: The variables to fill. By default all that drive a model: the forcing, and longwave radiation if the
            record has it, else net radiation.

    Returns:
        A new dataset without gaps in those variables; flags 6 (interpolated, or no rain) and 7 (diurnal course) mark
        filled steps, with a sentence for each variable in `assumptions`.

    Raises:
        DataError: The dataset is not canonical; or a variable is absent, more than half missing, or missing on all days
            at some hour.
    """
    check_canonical(dataset)
    names = list(need) if need is not None else [*FORCING, next((n for n in RADIATION if n in dataset), RADIATION[0])]
    where = dataset.attrs.get("site", "the record")
    filled = dataset.copy(deep=True)
    step = float(np.diff(dataset.time.values[:2])[0] / np.timedelta64(1, "s"))
    notes = []
    for name in dict.fromkeys(names):
        if name not in dataset:
            raise DataError(where, f"no {name} to fill", fix="add it to the file; see `bowen inspect`")
        missing = np.isnan(dataset[name].values)
        constant = [] if name in _MAY_STAND else _drop_constant_stretches(filled, name, missing)
        notes += constant
        if missing.mean() > _MAX_MISSING:
            what = "is missing or constant" if constant else "is missing"
            raise DataError(
                where,
                f"{name} {what} at {missing.mean():.0%} of the steps, more than can be filled",
                fix="take it from another instrument or a reanalysis, or choose a period that has it",
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


def _drop_constant_stretches(filled: xr.Dataset, name: str, missing: np.ndarray) -> list[str]:
    """Mark as missing, in place, values constant or on a straight line for longer than a day."""
    stretches = find_constant_stretches(filled, name)
    for first, end in stretches:
        missing[first:end] = True
    filled[name].values[missing] = np.nan
    steps = int((stretches[:, 1] - stretches[:, 0]).sum())
    label = name.replace("_", " ").capitalize()
    return [f"{label}: {steps} steps on straight lines longer than a day count as missing."] if steps else []


def compute_mean_diurnal_course(variable: xr.DataArray, step: float) -> np.ndarray:
    """Compute the mean diurnal course over the days around each step, or over the whole record if they have none.

    Args:
        variable: A series at regular steps.
        step: Length of a step. [s]

    Returns:
        The course in the units of the variable, NaN at hours missing on all days.
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
    """Fill one variable in place, and return a note about it."""
    values, qc = filled[name].values.copy(), filled[f"{name}_qc"].values.copy()
    label = name.replace("_", " ").capitalize()
    long = missing & (_run_length(missing) * step >= _MAX_LINE)
    if name == "precipitation":
        values[missing], qc[missing] = 0.0, QC.INTERPOLATED
        note = f"{label}: {missing.sum()} missing steps assumed dry."
    else:
        index = np.arange(len(values))
        values[missing] = np.interp(index[missing], index[~missing], values[~missing])
        qc[missing] = QC.INTERPOLATED
        values[long] = compute_mean_diurnal_course(filled[name], step)[long]
        qc[long] = QC.MEAN_DIURNAL_COURSE
        note = f"{label}: {(missing & ~long).sum()} steps interpolated, {long.sum()} from the mean diurnal course."
    if np.isnan(values).any():
        raise DataError(where, f"{name} is missing at the same hours of every day", fix="choose a period that has them")
    filled[name].values, filled[f"{name}_qc"].values = values, qc
    return note


def _run_length(missing: np.ndarray) -> np.ndarray:
    """Compute the length in steps of the run of equal values around each step."""
    run = np.concatenate([[0], np.cumsum(np.diff(missing.astype(np.int8)) != 0)])
    return np.bincount(run)[run]


def _humidity(filled: xr.Dataset, where: str) -> str:
    """Compute specific humidity from the filled deficit, so that the two agree."""
    names = ("vapor_pressure_deficit", "air_temperature", "air_pressure")
    deficit, temperature, pressure = (filled[name].values for name in names)
    missing = np.isnan(filled.specific_humidity.values)
    vapor = np.maximum(saturation_vapor_pressure(temperature) - deficit, MIN_VAPOR_PRESSURE)
    computed = specific_humidity(vapor, pressure)
    if np.isnan(computed[missing]).any():
        raise DataError(where, f"specific_humidity is computed from {', '.join(names)}", fix="fill all of them")
    filled["specific_humidity"].values = np.where(missing, computed, filled.specific_humidity.values)
    worst = np.max([filled[f"{name}_qc"].values for name in names], axis=0)
    filled["specific_humidity_qc"].values = np.where(missing, worst, filled.specific_humidity_qc.values).astype(np.int8)
    return f"Specific humidity: {missing.sum()} missing steps computed from the filled deficit."

"""Time axis: conversion of the stamps of a file to one regular axis, with an error at the first row that breaks it."""

import numpy as np

from bowen.errors import DataError

MIN_STEP, MAX_STEP = 900, 3600  # s
_ROUNDING = 300  # s; averaging intervals are multiples of it, single-precision stamps are off by a minute
_TOLERANCE = 0.05  # of a step
_OTHER_STEPS, _MIN_STRETCH = (2, 3, 4), 12  # multiples of the step, as often in a row, are no missing rows


def find_time_step(stamps: np.ndarray, where: str) -> int:
    """Find the averaging interval, after checking the order of the stamps.

    Args:
        stamps: The stamps in the order of the file.
        where: The file, for messages.

    Returns:
        Step. [s]

    Raises:
        DataError: Fewer than two stamps, duplicates, stamps out of order, or a step that is not between 15
            and 60 min or does not divide a day.
    """
    if len(stamps) < 2:
        raise DataError(where, f"has {len(stamps)} time steps; a record needs at least two", fix="get the file again")
    differences = _differences(stamps, where)
    step = int(_ROUNDING * np.round(np.median(differences) / _ROUNDING))
    if not MIN_STEP <= step <= MAX_STEP or 86400 % step:
        raise DataError(
            where,
            f"the step is {np.median(differences):g} s; it must be between 15 and 60 min and divide a day",
            fix="use the half-hourly or hourly file of the tower (`_HH_` or `_HR_` in FLUXNET names)",
        )
    return step


def check_interval(starts: np.ndarray, ends: np.ndarray, where: str) -> None:
    """Refuse a table whose averaging intervals, from the start to the end in each row, are not the step of its rows.

    Args:
        starts: Start of each interval, in the order of the file.
        ends: End of each interval; NaT where it is unknown.
        where: The file, for messages.

    Raises:
        DataError: An interval differs from the step, or the stamps are not in order; see `find_time_step`.
    """
    step = find_time_step(starts, where)
    compute_positions(starts, step, where)
    length = (ends - starts).astype("timedelta64[s]")
    other = ~np.isnat(ends) & (np.abs(length.astype(float) - step) > _TOLERANCE * step)
    if other.any():
        at = int(np.argmax(other))
        raise DataError(
            where,
            f"the row of {format_minute(starts[at])} ends after {length[at].astype(int) / 60:g} min where the rows are "
            f"{step / 60:g} min apart ({other.sum()} such rows)",
            fix="correct the stamps, or keep only the rows of one step; precipitation must be the sum over the step",
        )


def find_days(stamps: np.ndarray, where: str) -> np.ndarray:
    """Find the days of a daily record, at whatever hour its stamps are, after checking their order.

    Args:
        stamps: The stamps in the order of the file.
        where: The file, for messages.

    Returns:
        Midnights, datetime64[ns], increasing; days may be absent.

    Raises:
        DataError: There are no stamps, two on one day, or days out of order.
    """
    if not len(stamps):
        raise DataError(where, "has no day", fix="get the file again")
    days = stamps.astype("datetime64[D]")
    _differences(days, where)
    return days.astype("datetime64[ns]")


def compute_positions(stamps: np.ndarray, step: int, where: str) -> np.ndarray:
    """Compute the position of each stamp on the regular axis that begins with the first.

    Args:
        stamps: Stamps in increasing order.
        step: The averaging interval. [s]
        where: The file, for messages.

    Returns:
        Whole numbers of steps since the first stamp. [1]

    Raises:
        DataError: A stamp is between the steps of the axis, or the rows of a stretch have a longer step.
    """
    elapsed = (stamps - stamps[0]).astype("timedelta64[s]").astype(np.int64) / step
    whole = np.round(elapsed)
    _refuse(
        stamps,
        (np.abs(elapsed - whole) > _TOLERANCE)[1:],
        where,
        f"irregular time steps, off the axis of {step} s that begins at {format_minute(stamps[0])}",
        "average or shift the rows to one regular axis",
    )
    places = whole.astype(np.int64)
    _refuse_longer_step(stamps, np.diff(places), step, where)
    return places


def make_regular_axis(start: np.datetime64, step: int, size: int) -> np.ndarray:
    """Make the axis of `size` steps that begins at `start`, rounded to 5 min if it is off by seconds.

    Args:
        start: First stamp.
        step: The averaging interval. [s]
        size: Number of steps. [1]

    Returns:
        Stamps, datetime64[ns].
    """
    seconds = int(start.astype("datetime64[s]").astype(np.int64))
    rounded = _ROUNDING * round(seconds / _ROUNDING)
    first = rounded if abs(rounded - seconds) <= _TOLERANCE * step else seconds
    return (first + step * np.arange(size)).astype("datetime64[s]").astype("datetime64[ns]")


def find_runs(true: np.ndarray) -> np.ndarray:
    """Find the runs of true values.

    Args:
        true: A series of booleans.

    Returns:
        Rows of the first position of a run and the first position after it. [1]
    """
    return np.flatnonzero(np.diff(np.concatenate([[0], true.astype(np.int8), [0]]))).reshape(-1, 2)


def format_minute(stamp: np.datetime64) -> str:
    """Format a stamp to the minute, such as "2014-01-01 00:30"."""
    return str(stamp.astype("datetime64[m]")).replace("T", " ")


def _refuse_longer_step(stamps: np.ndarray, jumps: np.ndarray, step: int, where: str) -> None:
    """Refuse a stretch of rows with a longer step, as hours in a record of half-hours."""
    for times in _OTHER_STEPS if (jumps > 1).any() else ():
        runs = find_runs(jumps == times)
        long = runs[np.diff(runs, axis=1)[:, 0] >= _MIN_STRETCH]
        if len(long):
            first, last = (int(row) for row in long[0])
            raise DataError(
                where,
                f"two time steps in one file: from {format_minute(stamps[first])} to "
                f"{format_minute(stamps[last])} the rows are {times * step / 60:g} min apart, otherwise "
                f"{step / 60:g} min",
                fix="keep the rows of one step, and read those of the other as a file of their own",
            )


def _differences(stamps: np.ndarray, where: str) -> np.ndarray:
    """Compute the seconds from each stamp to the next, after checking that all are positive."""
    differences = np.diff(stamps).astype("timedelta64[s]").astype(np.int64)
    _refuse(
        stamps,
        differences == 0,
        where,
        "duplicated time stamps",
        "keep one row of each; local standard time repeats no hour, so do not use daylight saving time",
    )
    _refuse(stamps, differences < 0, where, "time stamps out of order", "sort the rows by time")
    return differences


def _refuse(stamps: np.ndarray, wrong: np.ndarray, where: str, what: str, fix: str) -> None:
    """Raise an error at the first wrong step, if there is one; `wrong[k]` is about the stamps k and k+1."""
    if wrong.any():
        at = int(np.argmax(wrong))
        raise DataError(
            where,
            f"{what}: {format_minute(stamps[at])} is followed by {format_minute(stamps[at + 1])} (rows {at + 1} and "
            f"{at + 2} of the data; {wrong.sum()} in total)",
            fix=fix,
        )

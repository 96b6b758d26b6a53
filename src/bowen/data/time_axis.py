"""The time axis: from the stamps of a file to one regular axis, or to the row that breaks it."""

import numpy as np

from bowen.errors import DataError

SHORTEST_STEP, LONGEST_STEP = 900, 3600  # s
_ROUNDING = 300  # s; every averaging interval in use is a multiple, stamps of single precision are off by a minute
_TOLERANCE = 0.05  # of a step


def step_of(stamps: np.ndarray, where: str) -> int:
    """The averaging interval, after a look at the order of the stamps.

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
        raise DataError(f"{where}: holds {len(stamps)} time steps; a record needs at least two. Get the file again.")
    differences = _differences(stamps, where)
    step = int(_ROUNDING * np.round(np.median(differences) / _ROUNDING))
    if not SHORTEST_STEP <= step <= LONGEST_STEP or 86400 % step:
        raise DataError(
            f"{where}: the step is {np.median(differences):g} s; it has to lie between 15 and 60 min and divide a day. "
            "Use the half-hourly or hourly file of the tower (`_HH_` or `_HR_` in FLUXNET names)."
        )
    return step


def days_of(stamps: np.ndarray, where: str) -> np.ndarray:
    """The days of a daily record, whatever the hour of its stamps, after a look at their order.

    Args:
        stamps: The stamps in the order of the file.
        where: The file, for messages.

    Returns:
        Midnights, datetime64[ns], increasing; days may be absent.

    Raises:
        DataError: No stamps, two on one day, or days out of order.
    """
    if not len(stamps):
        raise DataError(f"{where}: holds no day. Get the file again.")
    days = stamps.astype("datetime64[D]")
    _differences(days, where)
    return days.astype("datetime64[ns]")


def positions(stamps: np.ndarray, step: int, where: str) -> np.ndarray:
    """The place of each stamp on the regular axis that begins with the first.

    Args:
        stamps: Stamps in increasing order.
        step: The averaging interval. [s]
        where: The file, for messages.

    Returns:
        Whole numbers of steps since the first stamp. [1]

    Raises:
        DataError: A stamp lies between the steps of the axis.
    """
    elapsed = (stamps - stamps[0]).astype("timedelta64[s]").astype(np.int64) / step
    whole = np.round(elapsed)
    _refuse(
        stamps,
        (np.abs(elapsed - whole) > _TOLERANCE)[1:],
        f"{where}: irregular time steps, off the axis of {step} s that begins at {minute(stamps[0])}",
        "Average or shift the rows to one regular axis.",
    )
    return whole.astype(np.int64)


def regular(start: np.datetime64, step: int, size: int) -> np.ndarray:
    """The axis of `size` steps that begins at `start`, which is rounded to 5 min if it is off by seconds.

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


def spells(true: np.ndarray) -> np.ndarray:
    """Where the runs of true values begin and end.

    Args:
        true: A series of truths.

    Returns:
        Rows of the first place of a run and the first place after it. [1]
    """
    return np.flatnonzero(np.diff(np.concatenate([[0], true.astype(np.int8), [0]]))).reshape(-1, 2)


def minute(stamp: np.datetime64) -> str:
    """A stamp as people write it, to the minute."""
    return str(stamp.astype("datetime64[m]")).replace("T", " ")


def _differences(stamps: np.ndarray, where: str) -> np.ndarray:
    """Seconds from each stamp to the next, all of them positive."""
    differences = np.diff(stamps).astype("timedelta64[s]").astype(np.int64)
    _refuse(
        stamps,
        differences == 0,
        f"{where}: duplicated time stamps",
        "Keep one row of each; local standard time has no hour twice, so do not use daylight saving time.",
    )
    _refuse(stamps, differences < 0, f"{where}: time stamps out of order", "Sort the rows by time.")
    return differences


def _refuse(stamps: np.ndarray, wrong: np.ndarray, what: str, remedy: str) -> None:
    """Raise with the first wrong step, if there is one; `wrong[k]` is about the stamps k and k+1."""
    if wrong.any():
        at = int(np.argmax(wrong))
        raise DataError(
            f"{what}: {minute(stamps[at])} is followed by {minute(stamps[at + 1])} (rows {at + 1} and {at + 2} of the "
            f"data; {wrong.sum()} in all). {remedy}"
        )

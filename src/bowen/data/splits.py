"""Which steps train, which choose, which judge."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bowen.errors import ConfigError

SPLITS = ("train", "validation", "test")


def block_split(
    record: xr.Dataset | np.ndarray,
    days: int = 20,
    pattern: Sequence[str] = ("train", "train", "train", "validation", "test"),
) -> np.ndarray:
    """Interleaved blocks, so that each split sees every season.

    Args:
        record: A record, or its stamps.
        days: Length of a block, whole days from the midnight before the first stamp. [d]
        pattern: The labels of successive blocks, over and over.

    Returns:
        A label for each step.

    Raises:
        ConfigError: A block is shorter than a day, or a label is unknown.
    """
    if days < 1:
        raise ConfigError(f"split: blocks of {days} days; a block has at least one day.")
    _check_labels(pattern)
    stamps = pd.DatetimeIndex(_stamps(record))
    block = (stamps - stamps[0].normalize()) // pd.Timedelta(days=days)
    return np.asarray(pattern)[np.asarray(block) % len(pattern)]


def period_split(record: xr.Dataset | np.ndarray, periods: Mapping[str, tuple[str, str]]) -> np.ndarray:
    """Whole periods, as in "train 2006-2011, validation 2012, test 2013".

    Args:
        record: A record, or its stamps.
        periods: First and last date of each label, both inclusive: years, months or days.

    Returns:
        A label for each step, "" outside all periods.

    Raises:
        ConfigError: A label is unknown, a date cannot be read, or a period is empty or overlaps another.
    """
    _check_labels(periods)
    stamps = _stamps(record)
    labels = np.full(len(stamps), "", dtype=f"<U{max(map(len, SPLITS))}")
    for label, (first, last) in periods.items():
        where = f"split: {label} = [{first}, {last}]"
        inside = period(stamps, first, last, where)
        if (taken := labels[inside & (labels != "")]).size:
            raise ConfigError(f"{where} overlaps {taken[0]}. Choose other dates.")
        labels[inside] = label
    return labels


def _stamps(record: xr.Dataset | np.ndarray) -> np.ndarray:
    return record["time"].values if isinstance(record, xr.Dataset) else np.asarray(record)


def period(time: np.ndarray, first: str | None, last: str | None, where: str) -> np.ndarray:
    """The steps of a period, both of its ends inclusive.

    Args:
        time: Stamps of a record.
        first: Year, month or day; None is the beginning of the record.
        last: Year, month or day; None is the end of the record.
        where: Who asks, for messages.

    Returns:
        True at the steps of the period.

    Raises:
        ConfigError: A date cannot be read, or the period holds no step.
    """
    try:
        begin, end = np.datetime64(str(first or time[0])), np.datetime64(str(last or time[-1]))
        unit, _ = np.datetime_data(end.dtype)  # of a year, a month or a day
        inside = (time >= begin) & (time < end + np.timedelta64(1, unit))
    except ValueError as problem:
        raise ConfigError(f"{where} are not dates like 2012 or 2012-05-31.") from problem
    if not inside.any():
        raise ConfigError(f"{where} holds no step; the record spans {time[0]:.10} to {time[-1]:.10}.")
    return inside


def _check_labels(labels: Sequence[str] | Mapping[str, object]) -> None:
    if unknown := [label for label in labels if label not in SPLITS]:
        raise ConfigError(f"split: unknown label `{unknown[0]}`. Known: {', '.join(SPLITS)}.")

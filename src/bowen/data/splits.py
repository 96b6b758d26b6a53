"""Splits of a record into training, validation and test steps."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bowen.data.checks.required import check_canonical
from bowen.errors import ConfigError

_MAX_DAYS = 36500
SPLITS = ("train", "validation", "test")


def block_split(
    record: xr.Dataset | np.ndarray,
    days: int = 20,
    pattern: Sequence[str] = ("train", "train", "train", "validation", "test"),
) -> np.ndarray:
    """Split a record into interleaved blocks, so that each split has every season.

    Args:
        record: A record, or its stamps.
        days: Length of a block, whole days from the midnight before the first stamp. [d]
        pattern: The labels of successive blocks, over and over.

    Returns:
        A label for each step.

    Raises:
        DataError: The record is not canonical.
        ConfigError: A block is shorter than a day or longer than a century, or a label is unknown.
    """
    if not 1 <= days <= _MAX_DAYS:
        raise ConfigError("split", f"blocks of {days} days", fix="make blocks of at least one day, at most a century")
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
        DataError: The record is not canonical.
        ConfigError: A label is unknown, a date cannot be read, or a period is empty or overlaps another.
    """
    _check_labels(periods)
    stamps = _stamps(record)
    labels = np.full(len(stamps), "", dtype=f"<U{max(map(len, SPLITS))}")
    for label, (first, last) in periods.items():
        where = f"split: {label} = [{first}, {last}]"
        inside = select_period(stamps, first, last, where)
        if (taken := labels[inside & (labels != "")]).size:
            raise ConfigError(where, f"overlaps {taken[0]}", fix="choose other dates")
        labels[inside] = label
    return labels


def _stamps(record: xr.Dataset | np.ndarray) -> np.ndarray:
    if isinstance(record, xr.Dataset):
        check_canonical(record)
    return record["time"].values if isinstance(record, xr.Dataset) else np.asarray(record)


def select_period(time: np.ndarray, first: str | None, last: str | None, where: str) -> np.ndarray:
    """Select the steps of a period, both of its ends inclusive.

    Args:
        time: Stamps of a record.
        first: Year, month or day; None for the beginning of the record.
        last: Year, month or day; None for the end of the record.
        where: The setting, for messages.

    Returns:
        True at the steps of the period.

    Raises:
        ConfigError: A date cannot be read, or the period has no step.
    """
    try:
        begin, end = np.datetime64(str(first or time[0])), np.datetime64(str(last or time[-1]))
        unit, _ = np.datetime_data(end.dtype)  # year, month or day
        inside = (time >= begin) & (time < end + np.timedelta64(1, unit))
    except ValueError as problem:
        raise ConfigError(where, "a date cannot be read", fix="write dates like 2012 or 2012-05-31") from problem
    if not inside.any():
        raise ConfigError(
            where, f"has no step; the record is from {time[0]:.10} to {time[-1]:.10}", fix="choose other dates"
        )
    return inside


def _check_labels(labels: Sequence[str] | Mapping[str, object]) -> None:
    if unknown := [label for label in labels if label not in SPLITS]:
        raise ConfigError(
            "split", f"unknown label `{unknown[0]}`", details={"known": ", ".join(SPLITS)}, fix="use one of these"
        )

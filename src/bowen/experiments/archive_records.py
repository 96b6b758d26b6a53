"""Records of an archive, read one at a time, so that memory does not grow with their number."""

import functools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from bowen import data
from bowen.config.schema import Config
from bowen.errors import ConfigError
from bowen.experiments.run import prepare_record
from bowen.experiments.training_sites import LabeledRecord, period_covered

MAX_IN_MEMORY = 32  # records in memory at a time


class ArchiveRecords(Mapping[str, xr.Dataset]):
    """Records of an archive with their forcing filled, by key: read when needed, and the last of them kept.

    Raises:
        ConfigError: On access, the configuration uses none of the days of the record.
        DataError: On access, the record cannot drive a model.
    """

    def __init__(self, keys: Sequence[str], config: Config):
        self._keys, self._config = keys, config
        self._kept = functools.lru_cache(MAX_IN_MEMORY)(self._read)

    def _read(self, key: str) -> xr.Dataset:
        record = data.open_record(self._config.data.met, key)
        used = days_used(record, self._config)
        loaded = data.load_record(record) if used is record else used.load()
        return prepare_record(data.disaggregate_if_daily(loaded), self._config)

    def read_fingerprints(self, keys: Sequence[str]) -> dict[str, str]:
        """Read the fingerprints of records as archived, by key."""
        return {key: data.read_fingerprint(self._config.data.met, key) for key in keys}

    def __getitem__(self, key: str) -> xr.Dataset:
        return self._kept(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


class LabeledRecords(Sequence[LabeledRecord]):
    """Records to train on with the labels of their steps, each read when it is needed."""

    def __init__(
        self, records: Mapping[str, xr.Dataset], keys: Sequence[str], label: Callable[[xr.Dataset], np.ndarray]
    ):
        self._records, self._keys, self._label = records, keys, label

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, place: Any):
        record = self._records[self._keys[operator.index(place)]]
        return record, self._label(record)


def read_archive(config: Config) -> ArchiveRecords:
    """Open the records of an archive that a configuration uses.

    Raises:
        ConfigError: The configuration names no archive, or excludes a record that is not in it.
    """
    archive, left_out = config.data.met, config.data.exclude
    keys = data.list_records(archive)
    if unknown := [name for name in left_out if not any(key == name or site_in(key) == name for key in keys)]:
        raise ConfigError(
            "[data]",
            f"`exclude` names {unknown[0]}, and {archive.name} holds {', '.join(keys)}",
            fix="take it out of `exclude`, or correct its name.",
        )
    kept = [key for key in keys if key not in left_out and site_in(key) not in left_out]
    return ArchiveRecords(kept, config)


def days_used(record: xr.Dataset, config: Config) -> xr.Dataset:
    """Select the days of a daily record that the configuration uses; other records are used whole.

    Raises:
        ConfigError: It has none of them.
    """
    if not config.data.basin_days or record.attrs["timestep_s"] != 86400:
        return record
    first, last = map(str, config.data.basin_days)
    used = record.sel(time=slice(first, last))
    if not used.sizes["time"]:
        raise ConfigError(
            "[data]",
            f"`basin_days` is {first} to {last}, and {record.attrs['site']} has {period_covered(record)}",
            fix="choose days that all basins have, or name this one in `exclude`.",
        )
    return used


def site_in(key: str) -> str:
    """Return the site of a record's key: "US-Hn1" of "US-Hn1_2016-2017"."""
    return key.split("_", maxsplit=1)[0]

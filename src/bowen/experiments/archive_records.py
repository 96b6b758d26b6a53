"""The records of an archive, read one at a time: what many towers take of memory does not grow with their number."""

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

DAY = 86400  # s
MAX_IN_MEMORY = 32  # records in memory at a time


class ArchiveRecords(Mapping[str, xr.Dataset]):
    """The records of an archive with their forcing filled, by key: read when asked for, and the last of them kept.

    Raises:
        ConfigError: On asking, the configuration uses none of the days of the record.
        DataError: On asking, the record cannot drive a model.
    """

    def __init__(self, keys: Sequence[str], config: Config):
        self._keys, self._config = keys, config
        self._kept = functools.lru_cache(MAX_IN_MEMORY)(self._read)

    def _read(self, key: str) -> xr.Dataset:
        used = days_used(data.open_record(self._config.data.met, key), self._config)
        return prepare_record(data.disaggregate_if_daily(used).load(), self._config)

    def __getitem__(self, key: str) -> xr.Dataset:
        return self._kept(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


class LabeledRecords(Sequence[LabeledRecord]):
    """Records to train on and what their steps are for, each read when it is asked for."""

    def __init__(
        self, records: Mapping[str, xr.Dataset], keys: Sequence[str], deal: Callable[[xr.Dataset], np.ndarray]
    ):
        self._records, self._keys, self._deal = records, keys, deal

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, place: Any):
        record = self._records[self._keys[operator.index(place)]]
        return record, self._deal(record)


def read_archive(config: Config) -> ArchiveRecords:
    """The records of an archive that a configuration uses.

    Raises:
        ConfigError: The configuration names no archive, or leaves out a record that is not there.
    """
    archive, left_out = config.data.met, config.data.exclude
    keys = data.list_records(archive)
    if unknown := [name for name in left_out if not any(key == name or site_in(key) == name for key in keys)]:
        raise ConfigError(f"[data]: `exclude` names {unknown[0]}, and {archive.name} holds {', '.join(keys)}.")
    kept = [key for key in keys if key not in left_out and site_in(key) not in left_out]
    return ArchiveRecords(kept, config)


def days_used(record: xr.Dataset, config: Config) -> xr.Dataset:
    """A record of an archive; of one that is kept by day, the days that the configuration uses.

    Raises:
        ConfigError: It has none of them.
    """
    if not config.data.basin_days or record.attrs["timestep_s"] != DAY:
        return record
    first, last = map(str, config.data.basin_days)
    used = record.sel(time=slice(first, last))
    if not used.sizes["time"]:
        raise ConfigError(
            f"[data]: `basin_days` is {first} to {last}, and {record.attrs['site']} has {period_covered(record)}.\n"
            "  fix: choose days that all basins have, or name this one in `exclude`."
        )
    return used


def site_in(key: str) -> str:
    """The site of a record's key: "US-Hn1" of "US-Hn1_2016-2017"."""
    return key.split("_", maxsplit=1)[0]

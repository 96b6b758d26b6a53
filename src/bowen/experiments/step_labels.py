"""Labels of the steps of a record: which of them train a model, which validate it, and which test it.

The rule by which the steps were labeled is kept with a trained model, so that steps of the same site and time have the
same label in any version of the record.
"""

import functools
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np
import xarray as xr

from bowen import data
from bowen.config.schema import Config
from bowen.config.split import BlockSplit
from bowen.errors import ConfigError
from bowen.experiments.run_directory import Manifest

# Rules of labeling: the table [split]; every tenth block of four days for validation; the standard periods of a site.
BY_SPLIT, BY_VALIDATION_BLOCKS, BY_STANDARD_PERIODS = "split", "validation_blocks", "standard_periods"
# Labels by precedence, where several records have a step; first that of a step on which nothing was trained.
PRECEDENCE = ("unseen", "", "test", "validation", "train")
WARMUP_DAYS = 15  # at the beginning of a record that was not trained on, which are not scored
VALIDATION_BLOCK_DAYS, VALIDATION_BLOCKS = 4, (*("train",) * 5, "validation", *("train",) * 4)


@functools.cache
def standard_splits() -> Mapping[str, Any]:
    """Read the standard splits: folds of sites, and the periods of a site."""
    return tomllib.loads(
        resources.files("bowen.experiments").joinpath("standard_splits.toml").read_text(encoding="utf-8")
    )


def split_record(config: Config, dataset: xr.Dataset) -> np.ndarray:
    """Label each step by the table [split]: "train", "validation", "test" or nothing."""
    times = dataset["time"].values
    if isinstance(config.split, BlockSplit):
        return data.block_split(times, config.split.days, config.split.pattern)
    return data.period_split(times, split_periods(config))


def split_periods(config: Config) -> dict[str, tuple[str, str]]:
    """Collect the periods of the table [split] by label."""
    assert not isinstance(config.split, BlockSplit)
    periods = {"train": config.split.train, "validation": config.split.validation, "test": config.split.test}
    return {label: (str(period[0]), str(period[1])) for label, period in periods.items() if period}


def label_to_train(labeling: str, config: Config, dataset: xr.Dataset) -> np.ndarray:
    """Label the steps of a record to train on.

    Args:
        labeling: Rule.
        config: Settings, among them those of the rule.
        dataset: Canonical dataset.

    Raises:
        ConfigError: A period holds no step of the record, or the site has no standard periods.
    """
    if labeling == BY_SPLIT:
        return split_record(config, dataset)
    times = dataset["time"].values
    if labeling == BY_STANDARD_PERIODS:
        return data.period_split(times, standard_periods(dataset.attrs["site"]))
    return data.block_split(times, VALIDATION_BLOCK_DAYS, VALIDATION_BLOCKS)


def standard_periods(site: str) -> dict[str, tuple[str, str]]:
    """Return the standard periods of a site by label.

    Raises:
        ConfigError: It has none.
    """
    periods = standard_splits()["time"]
    if site not in periods:
        raise ConfigError(site, "has no standard periods", fix=f"choose among {', '.join(periods)}.")
    return {label: (first, last) for label, (first, last) in periods[site].items()}


def label_after_warmup(dataset: xr.Dataset) -> np.ndarray:
    """Label all steps of a record that was not trained on "test", but for 15 days of warm-up."""
    elapsed = np.arange(dataset.sizes["time"]) * dataset.attrs["timestep_s"]
    return np.where(elapsed >= WARMUP_DAYS * 86400, "test", "")


def label_as_trained(manifest: Manifest, config: Config, dataset: xr.Dataset) -> np.ndarray:
    """Label the steps of any record as they were in training.

    Steps of a site and time that were trained on have the label they had, whatever the version of the record; all
    others are "test", but for 15 days of warm-up where the record begins with them. Where the beginning of the blocks
    in training is not known, all steps of the site are "train".

    Args:
        manifest: Of the trained model.
        config: Its settings.
        dataset: Canonical dataset, of whatever site, period and version.
    """
    times = dataset["time"].values
    labels = label_after_warmup(dataset).astype("<U10")
    trained = np.zeros(len(times), int)  # places in PRECEDENCE, where the site was trained on
    for record in (manifest.records[number] for number in manifest.numbers_at(dataset)):
        inside, origin = record.covers(times), np.datetime64(record.first) if record.first else None
        if origin is None and data.compute_fingerprint(dataset) == record.fingerprint:
            origin = times[0]
        if inside.any():
            found = _label_by_time(manifest.labeling, config, times[inside], origin, record.site)
            trained[inside] = np.maximum(trained[inside], [PRECEDENCE.index(label) for label in found])
    return np.where(trained > 0, np.asarray(PRECEDENCE)[trained], labels)


def _label_by_time(
    labeling: str, config: Config, times: np.ndarray, origin: np.datetime64 | None, site: str
) -> Sequence[str] | np.ndarray:
    """Label steps of a record that began at `origin` when it was trained on; None: that is not known."""
    if labeling == BY_VALIDATION_BLOCKS:
        return _blocks_since(origin, times, VALIDATION_BLOCK_DAYS, VALIDATION_BLOCKS)
    if labeling == BY_SPLIT and isinstance(config.split, BlockSplit):
        return _blocks_since(origin, times, config.split.days, config.split.pattern)
    if labeling in (BY_SPLIT, BY_STANDARD_PERIODS):
        periods = split_periods(config) if labeling == BY_SPLIT else standard_periods(site)
        return data.period_split(times, {label: period for label, period in periods.items() if _any(times, *period)})
    return np.full(len(times), "train")  # written by a version that did not keep the rule


def _blocks_since(origin: np.datetime64 | None, times: np.ndarray, days: int, pattern: Sequence[str]) -> np.ndarray:
    if origin is None:
        return np.full(len(times), "train")
    return data.block_split(np.concatenate([[origin.astype(times.dtype)], times]), days, pattern)[1:]


def _any(times: np.ndarray, first: str, last: str) -> bool:
    """Check that a period, both of its ends inclusive, holds a step."""
    return bool(((times >= np.datetime64(first)) & (times < np.datetime64(last) + 1)).any())

"""Benchmark: models on the standard splits of many towers, with the same records, masks and metrics."""

import functools
import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from bowen import data
from bowen.config import schema as configs
from bowen.config.schema import Config
from bowen.errors import ConfigError
from bowen.evaluation import empirical
from bowen.evaluation.ensemble import ensemble_mean
from bowen.evaluation.ranking import BENCHMARKS, summarize_normalized, summarize_over_sites
from bowen.evaluation.scores import SCORE_COLUMNS, read_scores, score, write_scores
from bowen.experiments.archive_records import ArchiveRecords, LabeledRecords, read_archive, site_in
from bowen.experiments.comparison import uncalibrated_lad, with_overrides
from bowen.experiments.origin import Origin, describe_origin, find_changes, has_origin, write_origin
from bowen.experiments.run import Run, TrainingWatch, configure_jax, guide_hybrid, simulate_run, train_on
from bowen.experiments.run_directory import Manifest, RunDirectory
from bowen.experiments.step_labels import (
    BY_STANDARD_PERIODS,
    BY_VALIDATION_BLOCKS,
    label_after_warmup,
    label_to_train,
    standard_splits,
)
from bowen.experiments.trained_record import find_site_code
from bowen.files import file_name

TARGET_SYMBOLS = {"latent_heat": "LE", "sensible_heat": "H"}
UNTRAINED, HYBRID, PRIESTLEY_TAYLOR_HYBRID, NETWORK = "LaD", "hybrid", "hybrid by energy", "LSTM"
GUIDED = "guided hybrid"  # by the LSTM
AND = " + "  # between models whose mean flux is evaluated
# Settings of a model that differ from the configuration's hybrid.
LEARNED: Mapping[str, Callable[[Config], Mapping[str, object]]] = {
    "calibrated LaD": lambda config: {"kind": "process", "static": calibrated_parameters(config)},
    HYBRID: lambda config: {},
    PRIESTLEY_TAYLOR_HYBRID: lambda config: priestley_taylor_settings(config),
    "hybrid without states": lambda config: {"state_feedback": "off"},
    "hybrid without gradient of states": lambda config: {"state_feedback": "stop_gradient"},
    NETWORK: lambda config: {"kind": "network"},
}


class Fold(NamedTuple):
    """Records to train on and records to test on, by key, and rules to label their steps."""

    name: str
    train: Sequence[str]
    test: Sequence[str]
    labeling: str = BY_VALIDATION_BLOCKS  # rule for the steps to train on
    label_test: Callable[[xr.Dataset], np.ndarray] = label_after_warmup


def calibrated_parameters(config: Config) -> tuple[str, ...]:
    """Return the static parameters of calibrated LaD: those of [comparison], and those of the hybrid."""
    return tuple(dict.fromkeys((*config.comparison.calibrated, *config.model.static)))


def priestley_taylor_settings(config: Config) -> Mapping[str, object]:
    """Return the settings of a hybrid with Priestley-Taylor evaporation instead of resistances."""

    def instead(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(
            "priestley_taylor_coefficient" if name == "minimum_stomatal_resistance" else name for name in names
        )

    lists = config.model.model_dump(include={"dynamic", "static", "regionalized", "site_specific"})
    return {"evaporation": "priestley_taylor"} | {name: instead(names) for name, names in lists.items()}


def assign_folds(config: Config, records: Mapping[str, xr.Dataset]) -> Iterator[Fold]:
    """Assign records to the folds of a standard split that the configuration names.

    A smaller number of training records is drawn in one order for all folds, so that few are a subset of more.

    Raises:
        ConfigError: A fold is unknown, or none has a tower in the archive, or `train_records` is set for the split
            of years.
    """
    chosen = standard_splits()[config.benchmark.split]
    known = ["years"] if config.benchmark.split == "time" else list(chosen)
    if unknown := [name for name in config.benchmark.folds if name not in known]:
        raise ConfigError(
            "[benchmark]",
            f"`folds` names {unknown[0]}; there are {', '.join(known)}",
            fix="choose among these, or leave `folds` empty for all.",
        )
    fewer, found = config.benchmark.train_records, []
    if config.benchmark.split == "time":
        if fewer:
            raise ConfigError(
                "[benchmark]",
                "`train_records` is for the splits of towers; in that of years all train",
                fix="leave out `train_records`, or choose another `split`.",
            )
        keys = [
            key
            for key, dataset in records.items()
            if site_in(key) in chosen and covers_periods(dataset, chosen[site_in(key)])
        ]
        label = functools.partial(label_to_train, BY_STANDARD_PERIODS, config)
        found = [Fold("years", keys, keys, BY_STANDARD_PERIODS, label)] if keys else []
    else:
        by_day = config.benchmark.split.startswith("daily")
        candidates = [key for key, dataset in records.items() if data.has_daily_fluxes(dataset) == by_day]
        lot = np.random.default_rng(0).permutation(list(records))
        for name in config.benchmark.folds or known:
            held_out = {site_identity(site) for site in chosen[name]}
            test = [key for key in candidates if site_identity(key) in held_out]
            drawn = [key for key in lot if site_identity(key) not in held_out][: fewer or None]
            train = [key for key in records if key in drawn]
            found += [Fold(name, train, test)] if train and test else []
    if not found:
        raise ConfigError(
            config.data.met.name,
            f"holds no tower of the split `{config.benchmark.split}`",
            fix="add one with `bowen archive`, or choose another `split`.",
        )
    return iter(found)


def covers_periods(dataset: xr.Dataset, periods: Mapping[str, list[str]]) -> bool:
    """Check that a record has steps in all periods."""
    first, last = str(dataset.time.values[0]), str(dataset.time.values[-1])
    return all(first <= end + "~" and last >= begin for begin, end in periods.values())


def train_all(config: Config, folder: Path, *, watch: TrainingWatch = lambda *_: None) -> Run:
    """Train one model on all records of an archive, or resume; see `train_run`."""
    records = read_archive(config)
    label = functools.partial(label_to_train, BY_VALIDATION_BLOCKS, config)
    return train_on(
        LabeledRecords(records, list(records), label), config, folder, labeling=BY_VALIDATION_BLOCKS, watch=watch
    )


def run_benchmark(
    config: Config, folder: Path, *, watch: TrainingWatch = lambda *_: None, say: Callable[[str], None] = print
) -> pd.DataFrame:
    """Train and score all models in all folds; results of an earlier call are read if their origin is the same.

    A model is trained again if a record that it was trained on has changed; the earlier one is kept beside it.

    Args:
        config: Settings of the hybrid, the archive and the benchmark.
        folder: Output: `FOLD/MODEL/SEED` has a run directory and its `scores.csv`, and `scores.csv` all scores. With
            several seeds, the mean of their fluxes is scored in addition; so is that of models joined by " + ".
        watch: See `train_run`.
        say: Takes lines on progress.

    Returns:
        The scores of the test steps, in the long format.

    Raises:
        ConfigError: A model or a fold is unknown, or there is no archive.
        DataError: A record cannot be used.
        RunError: The folder holds other runs, or cannot be written.
    """
    names = config.benchmark.models
    known = (*empirical.MODELS, UNTRAINED, *LEARNED, GUIDED)
    if unknown := [part for name in names for part in name.split(AND) if part not in known]:
        raise ConfigError(
            "[benchmark]",
            f"`models` names {unknown[0]!r}; there are {', '.join(known)}",
            fix=f"choose among these, or means of them, as {HYBRID}{AND}{NETWORK}.",
        )
    configure_jax(config)
    claimed = claim_benchmark(folder, config)
    records, tables = read_archive(config), []
    for fold in assign_folds(config, records):
        for name in names:
            home = folder / f"{config.benchmark.split}-{fold.name}"
            for title, seeds in scored_members(name, config.benchmark.seeds).items():
                result = home / file_name(name.lower()) / "-".join(map(str, seeds)) / "scores.csv"
                place = result.parent.relative_to(folder)
                origin = functools.partial(scores_origin, name, seeds, home, fold, records)
                changes = find_changes(result, origin()) if result.exists() else ""
                if changes or not result.exists():
                    again = f", made again because {changes}" if changes else ""
                    say(f"{place}: {len(fold.train)} records to train on, {len(fold.test)} to test{again}")
                    members = [
                        run_model(part, seed, claimed, home, fold, records, watch, say)
                        for part, seed in itertools.product(name.split(AND), seeds)
                    ]
                    together = {key: ensemble_mean([member[key] for member in members], title) for key in fold.test}
                    result.parent.mkdir(parents=True, exist_ok=True)
                    write_scores(score_fold(together, records, fold, name), result)
                    write_origin(result, origin())
                tables.append(read_scores(result).assign(model=title))
                write_scores(pd.concat(tables, ignore_index=True), folder / "scores.csv")
    return pd.concat(tables, ignore_index=True)


def scored_members(name: str, seeds: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """List the members of a model that are scored, by title: each seed, and the mean of all."""
    learned = any(part in (*LEARNED, GUIDED) for part in name.split(AND))
    if not learned or len(seeds) == 1:
        return {name: seeds if learned else (0,)}
    return {f"{name} {seed}": (seed,) for seed in seeds} | {f"{name}, mean of {len(seeds)}": seeds}


def claim_benchmark(folder: Path, config: Config) -> Config:
    """Claim a folder for a benchmark; its models, folds and seeds may change between calls.

    Returns:
        The configuration of its run directories, without models, folds and seeds.

    Raises:
        RunError: It holds a benchmark of another configuration.
    """
    stays = config.benchmark.model_dump(include={"split", "train_records"})
    claimed = config.model_copy(update={"benchmark": configs.BenchmarkConfig(**stays)})
    RunDirectory(folder).claim(claimed, Manifest(purpose="benchmark"))
    return claimed


def site_identity(key: str) -> str:
    """Return the code of the site of a record's key or, of a site without one, its name."""
    return find_site_code(key) or site_in(key)


def run_folder(home: Path, name: str, seed: int) -> Path:
    """Return the run directory of a model that is trained."""
    return home / file_name(name.lower()) / str(seed)


def scores_origin(name: str, seeds: Sequence[int], home: Path, fold: Fold, records: ArchiveRecords) -> Origin:
    """Describe the records and weights that the scores of a model are made of."""
    parts = dict.fromkeys(
        part for name in name.split(AND) for part in ((HYBRID, NETWORK) if name == GUIDED else (name,))
    )
    weights = {
        f"{part} {seed}": run_folder(home, part, seed) / "weights.npz"
        for part, seed in itertools.product(parts, seeds)
        if part in LEARNED
    }
    return describe_origin(
        training_record=records.read_fingerprints(fold.train),
        test_record=records.read_fingerprints(fold.test),
        model={name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in weights.items() if path.exists()},
    )


def run_model(
    name: str,
    seed: int,
    config: Config,
    home: Path,
    fold: Fold,
    records: ArchiveRecords,
    watch: TrainingWatch,
    say: Callable[[str], None] = print,
) -> dict[str, xr.Dataset]:
    """Train a model on a fold, or read it; returns its simulations of the test records, by key."""
    train = LabeledRecords(records, fold.train, functools.partial(label_to_train, fold.labeling, config))
    if name in empirical.MODELS:
        of_steps = [(dataset, labels == "train") for dataset, labels in train if not data.has_daily_fluxes(dataset)]
        model = empirical.fit(name, [dataset for dataset, _ in of_steps], [chosen for _, chosen in of_steps])
        return {key: model.predict(records[key]) for key in fold.test}

    def learned(name: str) -> Run:
        chosen = with_overrides(config, LEARNED[name](config), {"seed": seed})
        run = RunDirectory(run_folder(home, name, seed))
        origin = describe_origin(training_record=records.read_fingerprints(fold.train))
        if run.is_claimed and has_origin(run.weights) and (changes := find_changes(run.weights, origin)):
            kept = run.set_aside()
            say(f"{run.folder.name} of {name} is trained again because {changes}; the earlier one is in {kept}")
        write_origin(run.weights, origin)
        return train_on(train, chosen, run.folder, labeling=fold.labeling, watch=watch)

    if name == UNTRAINED:
        run = uncalibrated_lad(config, train)
    else:
        run = guide_hybrid(learned(HYBRID), learned(NETWORK)) if name == GUIDED else learned(name)
    return {key: simulate_run(run, records[key]) for key in fold.test}


def score_fold(
    simulations: Mapping[str, xr.Dataset], records: Mapping[str, xr.Dataset], fold: Fold, title: str
) -> pd.DataFrame:
    """Score the test steps by the standard metrics, and at half-hours by PLUMBER2's seven."""
    tables = []
    for key, simulation in simulations.items():
        record = records[key]
        score_targets = functools.partial(
            score, simulation, record, np.where(fold.label_test(record) == "test", "test", "")
        )
        asked = {"model": title, "targets": data.list_measured_fluxes(record)}
        scores = [
            score_targets(**asked, resolutions=("native", "daily", "monthly")),
            score_targets(**asked, resolutions=("native",), metrics="plumber2"),
        ]
        tables += [table.assign(tower=key) for table in scores]
    found = pd.concat(tables, ignore_index=True)
    return found.drop_duplicates([name for name in SCORE_COLUMNS if name != "value"])


def ranking_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Rank models: median and worst quarter over records, and the mean rank among the empirical benchmarks.

    Args:
        scores: Scores of `run_benchmark`.

    Returns:
        A row for each model, seeds apart, and a column for each number.
    """
    found = summarize_over_sites(scores).xs(("test", "all"), level=("split", "subset"))
    columns = {}
    for target, symbol in TARGET_SYMBOLS.items():
        for resolution, metric in (("native", "nse"), ("native", "kge"), ("native", "rmse"), ("daily", "nse")):
            case = found.xs((target, resolution, metric), level=("variable", "resolution", "metric"))
            head = f"{symbol} {metric.upper()}" if resolution == "native" else f"{symbol} {resolution} {metric.upper()}"
            columns[f"{head} median"], columns[f"{head} worst quarter"] = case["median"], case["worst_quarter"]
        if set(BENCHMARKS) <= set(scores["model"]):
            native = scores.loc[(scores["resolution"] == "native") & (scores["variable"] == target)]
            columns[f"{symbol} iNMV"] = summarize_normalized(native)["mean"].groupby("model").first()
    order = scores["model"].unique()
    return pd.DataFrame(columns).reindex(order)

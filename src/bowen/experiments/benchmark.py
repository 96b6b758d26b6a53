"""The arena: contestants on the standard splits of many towers, on the same records, masks and metrics."""

import functools
import itertools
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from bowen import data
from bowen.config import schema as configs
from bowen.config.schema import Config
from bowen.errors import ConfigError, RunError
from bowen.evaluation import empirical
from bowen.evaluation.ensemble import ensemble_mean
from bowen.evaluation.metrics import plumber2_metrics
from bowen.evaluation.ranking import BENCHMARKS, summarize_normalized, summarize_over_sites
from bowen.evaluation.scores import COLUMNS, read_scores, score, write_scores
from bowen.experiments.archive_records import LabeledRecords, read_archive, site_in
from bowen.experiments.comparison import uncalibrated_lad, with_overrides
from bowen.experiments.run import Run, Watch, configure_jax, guide_hybrid, simulate_run, train_on
from bowen.files import replace_atomically

WARMUP = 15 * 86400  # s, at the beginning of a record that is not scored
VALIDATION_EVERY = 10  # every so many blocks of four days of a training tower, one chooses the weights
SYMBOLS = {"latent_heat": "LE", "sensible_heat": "H"}
UNTRAINED, HYBRID, PRIESTLEY_TAYLOR_HYBRID, NETWORK = "LaD", "hybrid", "hybrid by energy", "LSTM"
GUIDED = "guided hybrid"  # by the LSTM
AND = " + "  # between contestants whose mean flux is one more
# What a contestant does otherwise than the configuration's hybrid.
LEARNED: Mapping[str, Callable[[Config], Mapping[str, object]]] = {
    "calibrated LaD": lambda config: {"kind": "process", "static": calibrated_parameters(config)},
    HYBRID: lambda config: {},
    PRIESTLEY_TAYLOR_HYBRID: lambda config: priestley_taylor_settings(config),
    "hybrid without states": lambda config: {"state_feedback": "off"},
    "hybrid without gradient of states": lambda config: {"state_feedback": "stop_gradient"},
    NETWORK: lambda config: {"kind": "network"},
}


def label_after_warmup(dataset: xr.Dataset) -> np.ndarray:
    """All steps of a record to be judged at, but for 15 days to settle."""
    return np.where(np.arange(dataset.sizes["time"]) * dataset.attrs["timestep_s"] >= WARMUP, "test", "")


def label_validation_blocks(dataset: xr.Dataset) -> np.ndarray:
    """A tenth of the days of a record to train on chooses the weights: every tenth block of four."""
    pattern = (
        ["train"] * (VALIDATION_EVERY // 2)
        + ["validation"]
        + ["train"] * (VALIDATION_EVERY - VALIDATION_EVERY // 2 - 1)
    )
    return data.block_split(dataset.time.values, 4, pattern)


class Fold(NamedTuple):
    """Records to train on and records to be judged at, by key, and what says of a record what its steps are for."""

    name: str
    train: Sequence[str]
    test: Sequence[str]
    deal: Callable[[xr.Dataset], np.ndarray] = label_validation_blocks
    judge: Callable[[xr.Dataset], np.ndarray] = label_after_warmup


def calibrated_parameters(config: Config) -> tuple[str, ...]:
    """The static parameters of calibrated LaD: those of the contest, and those the hybrid has for its sites."""
    return tuple(dict.fromkeys((*config.comparison.calibrated, *config.model.static)))


def priestley_taylor_settings(config: Config) -> Mapping[str, object]:
    """What a hybrid does otherwise where energy limits evaporation, in the place of resistances."""

    def instead(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(
            "priestley_taylor_coefficient" if name == "minimum_stomatal_resistance" else name for name in names
        )

    lists = config.model.model_dump(include={"dynamic", "static", "regionalized", "site_specific"})
    return {"evaporation": "priestley_taylor"} | {name: instead(names) for name, names in lists.items()}


def assign_folds(config: Config, records: Mapping[str, xr.Dataset]) -> Iterator[Fold]:
    """The folds of a standard split that the records allow and the configuration asks for.

    Where fewer records train than there are, they are drawn in one order for all folds, so that few are among many.

    Raises:
        ConfigError: A fold is unknown, or none has a tower in the archive, or fewer are to train in the split of years.
    """
    standard = tomllib.loads(
        resources.files("bowen.experiments").joinpath("standard_splits.toml").read_text(encoding="utf-8")
    )
    chosen = standard[config.benchmark.split]
    known = ["years"] if config.benchmark.split == "time" else list(chosen)
    if unknown := [name for name in config.benchmark.folds if name not in known]:
        raise ConfigError(f"[benchmark]: `folds` names {unknown[0]}; there are {', '.join(known)}.")
    fewer, found = config.benchmark.train_records, []
    if config.benchmark.split == "time":
        if fewer:
            raise ConfigError("[benchmark]: `train_records` is for the splits of towers; in that of years all train.")
        keys = [
            key
            for key, dataset in records.items()
            if site_in(key) in chosen and covers_periods(dataset, chosen[site_in(key)])
        ]

        def deal(dataset: xr.Dataset) -> np.ndarray:
            return data.period_split(dataset.time.values, chosen[dataset.attrs["site"]])

        found = [Fold("years", keys, keys, deal, deal)] if keys else []
    else:
        by_day = config.benchmark.split == "daily"
        judges = [key for key, dataset in records.items() if data.has_daily_fluxes(dataset) == by_day]
        lot = np.random.default_rng(0).permutation(list(records))
        for name in config.benchmark.folds or known:
            test = [key for key in judges if site_in(key) in chosen[name]]
            drawn = [key for key in lot if site_in(key) not in chosen[name]][: fewer or None]
            train = [key for key in records if key in drawn]
            found += [Fold(name, train, test)] if train and test else []
    if not found:
        raise ConfigError(f"{config.data.met.name}: holds no tower of the split `{config.benchmark.split}`.")
    return iter(found)


def covers_periods(dataset: xr.Dataset, periods: Mapping[str, list[str]]) -> bool:
    """Whether a record has steps in all periods."""
    first, last = str(dataset.time.values[0]), str(dataset.time.values[-1])
    return all(first <= end + "~" and last >= begin for begin, end in periods.values())


def train_all(config: Config, folder: Path, *, watch: Watch = lambda *_: None) -> Run:
    """Train one model on all records of an archive, or go on; see `train_run`."""
    records = read_archive(config)
    return train_on(LabeledRecords(records, list(records), label_validation_blocks), config, folder, watch=watch)


def benchmark(
    config: Config, folder: Path, *, watch: Watch = lambda *_: None, say: Callable[[str], None] = print
) -> pd.DataFrame:
    """Let all contestants meet in all folds; what was finished in an earlier call is not done again.

    Args:
        config: The hybrid, the archive and the arena.
        folder: Where to: `FOLD/CONTESTANT/SEED` has a run directory and its `scores.csv`, and `scores.csv` all of them.
            With several seeds, the mean of their fluxes is judged besides; so is that of contestants joined by " + ".
        watch: See `train_run`.
        say: Takes lines for people.

    Returns:
        The scores of the steps to be judged, in the long format.

    Raises:
        ConfigError: A contestant or a fold is unknown, or there is no archive.
        DataError: A record cannot be used.
        RunError: The folder holds other runs, or cannot be written.
    """
    names = config.benchmark.models
    known = (*empirical.MODELS, UNTRAINED, *LEARNED, GUIDED)
    if unknown := [part for name in names for part in name.split(AND) if part not in known]:
        there_are = f"there are {', '.join(known)}, and means of them, as {HYBRID}{AND}{NETWORK}"
        raise ConfigError(f"[benchmark]: `models` names {unknown[0]!r}; {there_are}.")
    configure_jax(config)
    claimed = claim_benchmark(folder, config)
    records, tables = read_archive(config), []
    for fold in assign_folds(config, records):
        for name in names:
            home = folder / f"{config.benchmark.split}-{fold.name}"
            for title, seeds in scored_members(name, config.benchmark.seeds).items():
                place = home / slug(name) / "-".join(map(str, seeds))
                if not (place / "scores.csv").exists():
                    say(f"{place.relative_to(folder)}: {len(fold.train)} records train, {len(fold.test)} judge")
                    members = [
                        run_model(part, seed, claimed, home, fold, records, watch)
                        for part, seed in itertools.product(name.split(AND), seeds)
                    ]
                    together = {key: ensemble_mean([member[key] for member in members], title) for key in fold.test}
                    place.mkdir(parents=True, exist_ok=True)
                    write_scores(score_fold(together, records, fold, name), place / "scores.csv")
                tables.append(read_scores(place / "scores.csv").assign(model=title))
                write_scores(pd.concat(tables, ignore_index=True), folder / "scores.csv")
    return pd.concat(tables, ignore_index=True)


def scored_members(name: str, seeds: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """What is scored of a contestant, by title: each seed, and the mean of all."""
    learned = any(part in (*LEARNED, GUIDED) for part in name.split(AND))
    if not learned or len(seeds) == 1:
        return {name: seeds if learned else (0,)}
    return {f"{name} {seed}": (seed,) for seed in seeds} | {f"{name}, mean of {len(seeds)}": seeds}


def claim_benchmark(folder: Path, config: Config) -> Config:
    """Write down what a folder is for; who takes part, where and with which seeds may change.

    Returns:
        What does not change, which is what each run directory is for.

    Raises:
        RunError: It is for another configuration.
    """
    stays = config.benchmark.model_dump(include={"split", "train_records"})
    claimed = config.model_copy(update={"benchmark": configs.BenchmarkConfig(**stays)})
    asked, path = configs.dumps(claimed), folder / "config.toml"
    if path.exists() and path.read_text(encoding="utf-8") != asked:
        raise RunError(
            f"{folder}: holds the scores of another configuration.\n"
            "  fix: choose another directory with --out, or remove this one."
        )
    folder.mkdir(parents=True, exist_ok=True)
    with replace_atomically(path) as unfinished:
        unfinished.write_text(asked, encoding="utf-8")
    return claimed


def run_model(
    name: str, seed: int, config: Config, home: Path, fold: Fold, records: Mapping[str, xr.Dataset], watch: Watch
) -> dict[str, xr.Dataset]:
    """What a contestant makes of the records of a fold that it is judged at, by key."""
    train = LabeledRecords(records, fold.train, fold.deal)
    if name in empirical.MODELS:
        of_steps = [(dataset, labels == "train") for dataset, labels in train if not data.has_daily_fluxes(dataset)]
        model = empirical.fit(name, [dataset for dataset, _ in of_steps], [chosen for _, chosen in of_steps])
        return {key: model.predict(records[key]) for key in fold.test}

    def learned(name: str) -> Run:
        chosen = with_overrides(config, LEARNED[name](config), {"seed": seed})
        return train_on(train, chosen, home / slug(name) / str(seed), watch=watch)

    if name == UNTRAINED:
        run = uncalibrated_lad(config, train)
    else:
        run = guide_hybrid(learned(HYBRID), learned(NETWORK)) if name == GUIDED else learned(name)
    return {key: simulate_run(run, records[key]) for key in fold.test}


def score_fold(
    simulations: Mapping[str, xr.Dataset], records: Mapping[str, xr.Dataset], fold: Fold, title: str
) -> pd.DataFrame:
    """Scores at the steps to be judged: those of every day, and PLUMBER2's seven at half-hours."""
    tables = []
    for key, simulation in simulations.items():
        record = records[key]
        judge = functools.partial(score, simulation, record, np.where(fold.judge(record) == "test", "test", ""))
        asked = {"model": title, "targets": data.list_measured_fluxes(record)}
        scores = [
            judge(**asked, resolutions=("native", "daily", "monthly")),
            judge(**asked, resolutions=("native",), metrics=plumber2_metrics),
        ]
        tables += [table.assign(tower=key) for table in scores]
    found = pd.concat(tables, ignore_index=True)
    return found.drop_duplicates([name for name in COLUMNS if name != "value"])


def ranking_table(scores: pd.DataFrame) -> pd.DataFrame:
    """How the contestants stand: median and worst quarter over records, and the mean place among the benchmarks.

    Args:
        scores: What `benchmark` gives.

    Returns:
        A row for each contestant, seeds apart, and a column for each number.
    """
    found = summarize_over_sites(scores).xs(("test", "all"), level=("split", "regime"))
    columns = {}
    for target, symbol in SYMBOLS.items():
        for resolution, metric in (("native", "nse"), ("native", "kge"), ("native", "rmse"), ("daily", "nse")):
            case = found.xs((target, resolution, metric), level=("variable", "resolution", "metric"))
            head = f"{symbol} {metric.upper()}" if resolution == "native" else f"{symbol} {resolution} {metric.upper()}"
            columns[f"{head} median"], columns[f"{head} worst quarter"] = case["median"], case["worst_quarter"]
        if set(BENCHMARKS) <= set(scores["model"]):
            native = scores.loc[(scores["resolution"] == "native") & (scores["variable"] == target)]
            columns[f"{symbol} iNMV"] = summarize_normalized(native)["mean"].groupby("model").first()
    order = scores["model"].unique()
    return pd.DataFrame(columns).reindex(order)


def slug(name: str) -> str:
    """A name as a folder."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())

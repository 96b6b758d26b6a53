"""The arena: contestants on the standard splits of many towers, on the same records, masks and metrics."""

import functools
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from bowen import config as configs
from bowen import data, empirical
from bowen.config import Config
from bowen.contest import as_it_comes, varied
from bowen.ensemble import mean_of
from bowen.errors import ConfigError, RunError
from bowen.evaluate import COLUMNS, read_scores, score, write_scores
from bowen.examples import span
from bowen.experiment import Run, Watch, filled, set_up, simulate_run, train_on
from bowen.files import replacing
from bowen.metrics import seven
from bowen.standings import BENCHMARKS, inmv, over_towers

DAY = 86400  # s
SETTLING = 15 * DAY  # s, at the beginning of a record that is not scored
CHOOSING = 10  # every so many blocks of four days of a training tower, one chooses the weights
SYMBOLS = {"latent_heat": "LE", "sensible_heat": "H"}
UNTRAINED, HYBRID, NETWORK = "LaD", "hybrid", "LSTM"
# What a contestant does otherwise than the configuration's hybrid.
LEARNED: Mapping[str, Callable[[Config], Mapping[str, object]]] = {
    "calibrated LaD": lambda config: {"kind": "process", "static": calibrated(config)},
    HYBRID: lambda config: {},
    "hybrid without states": lambda config: {"states": "none"},
    "hybrid without gradient of states": lambda config: {"states": "stopped"},
    NETWORK: lambda config: {"kind": "network"},
}


class Fold(NamedTuple):
    """Records to train on and records to be judged at, each with what its steps are for."""

    name: str
    train: Mapping[str, np.ndarray]
    test: Mapping[str, np.ndarray]


def calibrated(config: Config) -> tuple[str, ...]:
    """The static parameters of calibrated LaD: those of the contest, and those the hybrid has for its sites."""
    return tuple(dict.fromkeys((*config.contest.calibrated, *config.model.static)))


def read_towers(config: Config) -> dict[str, xr.Dataset]:
    """The records of an archive with their forcing filled, by key.

    Raises:
        ConfigError: The configuration names no archive, or leaves out a record that is not there.
        DataError: A record cannot drive a model.
    """
    archive, left_out = config.tower.met, config.tower.leave_out
    keys = data.towers_in(archive)
    if unknown := [name for name in left_out if not any(key == name or site_in(key) == name for key in keys)]:
        raise ConfigError(f"[tower]: `leave_out` names {unknown[0]}, and {archive.name} holds {', '.join(keys)}.")
    kept = [key for key in keys if key not in left_out and site_in(key) not in left_out]
    used = {key: days_used(data.open_tower(archive, key), config) for key in kept}
    return {key: filled(data.in_steps(record).load(), config) for key, record in used.items()}


def days_used(record: xr.Dataset, config: Config) -> xr.Dataset:
    """A record of an archive; of one that is kept by day, the days that the configuration uses.

    Raises:
        ConfigError: It has none of them.
    """
    if not config.tower.basin_days or record.attrs["timestep_s"] != DAY:
        return record
    first, last = map(str, config.tower.basin_days)
    used = record.sel(time=slice(first, last))
    if not used.sizes["time"]:
        raise ConfigError(
            f"[tower]: `basin_days` is {first} to {last}, and {record.attrs['site']} has {span(record)}.\n"
            "  to go on: choose days that all basins have, or name this one in `leave_out`."
        )
    return used


def site_in(key: str) -> str:
    """The site of a record's key: "US-Hn1" of "US-Hn1_2016-2017"."""
    return key.split("_", maxsplit=1)[0]


def folds(config: Config, records: Mapping[str, xr.Dataset]) -> Iterator[Fold]:
    """The folds of a standard split that the records allow and the configuration asks for.

    Where fewer records train than there are, they are drawn in one order for all folds, so that few are among many.

    Raises:
        ConfigError: A fold is unknown, or none has a tower in the archive, or fewer are to train in the split of years.
    """
    standard = tomllib.loads(resources.files("bowen").joinpath("standard.toml").read_text(encoding="utf-8"))
    chosen = standard[config.benchmark.split]
    known = ["years"] if config.benchmark.split == "time" else list(chosen)
    if unknown := [name for name in config.benchmark.folds if name not in known]:
        raise ConfigError(f"[benchmark]: `folds` names {unknown[0]}; there are {', '.join(known)}.")
    fewer, found = config.benchmark.train_records, []
    if config.benchmark.split == "time":
        if fewer:
            raise ConfigError("[benchmark]: `train_records` is for the splits of towers; in that of years all train.")
        labels = {
            key: data.period_split(dataset.time.values, chosen[site_in(key)])
            for key, dataset in records.items()
            if site_in(key) in chosen and spans(dataset, chosen[site_in(key)])
        }
        found = [Fold("years", labels, labels)] if labels else []
    else:
        lot = np.random.default_rng(0).permutation(list(records))
        for name in config.benchmark.folds or known:
            judges = {key: dataset for key, dataset in records.items() if site_in(key) in chosen[name]}
            by_day = config.benchmark.split == "daily"
            test = {key: settled(dataset) for key, dataset in judges.items() if data.by_day(dataset) == by_day}
            drawn = [key for key in lot if site_in(key) not in chosen[name]][: fewer or None]
            train = {key: choosing(dataset) for key, dataset in records.items() if key in drawn}
            found += [Fold(name, train, test)] if train and test else []
    if not found:
        raise ConfigError(f"{config.tower.met.name}: holds no tower of the split `{config.benchmark.split}`.")
    return iter(found)


def spans(dataset: xr.Dataset, periods: Mapping[str, list[str]]) -> bool:
    """Whether a record has steps in all periods."""
    first, last = str(dataset.time.values[0]), str(dataset.time.values[-1])
    return all(first <= end + "~" and last >= begin for begin, end in periods.values())


def settled(dataset: xr.Dataset) -> np.ndarray:
    """All steps of a record to be judged at, but for 15 days to settle."""
    return np.where(np.arange(dataset.sizes["time"]) * dataset.attrs["timestep_s"] >= SETTLING, "test", "")


def choosing(dataset: xr.Dataset) -> np.ndarray:
    """A tenth of the days of a record to train on chooses the weights: every tenth block of four."""
    pattern = ["train"] * (CHOOSING // 2) + ["validation"] + ["train"] * (CHOOSING - CHOOSING // 2 - 1)
    return data.block_split(dataset.time.values, 4, pattern)


def train_all(config: Config, folder: Path, *, watch: Watch = lambda *_: None) -> Run:
    """Train one model on all records of an archive, or go on; see `train_run`."""
    records = read_towers(config)
    return train_on([(dataset, choosing(dataset)) for dataset in records.values()], config, folder, watch=watch)


def benchmark(
    config: Config, folder: Path, *, watch: Watch = lambda *_: None, say: Callable[[str], None] = print
) -> pd.DataFrame:
    """Let all contestants meet in all folds; what was finished in an earlier call is not done again.

    Args:
        config: The hybrid, the archive and the arena.
        folder: Where to: `FOLD/CONTESTANT/SEED` has a run directory and its `scores.csv`, and `scores.csv` all of them.
            With several seeds, the mean of their fluxes is judged besides.
        watch: See `train_run`.
        say: Takes lines for people.

    Returns:
        The scores of the steps to be judged, in the long format.

    Raises:
        ConfigError: A contestant or a fold is unknown, or there is no archive.
        DataError: A record cannot be used.
        RunError: The folder holds other runs, or cannot be written.
    """
    names = config.benchmark.contestants
    if unknown := [name for name in names if name not in (UNTRAINED, *LEARNED, *empirical.MODELS)]:
        known = ", ".join((*empirical.MODELS, UNTRAINED, *LEARNED))
        raise ConfigError(f"[benchmark]: `contestants` names {unknown[0]!r}; there are {known}.")
    set_up(config)
    claimed = claim(folder, config)
    records, tables = read_towers(config), []
    for fold in folds(config, records):
        for name in names:
            home = folder / f"{config.benchmark.split}-{fold.name}" / slug(name)
            for title, seeds in entries(name, config.benchmark.seeds).items():
                place = home / "-".join(map(str, seeds))
                if not (place / "scores.csv").exists():
                    say(f"{place.relative_to(folder)}: {len(fold.train)} records train, {len(fold.test)} judge")
                    members = [meet(name, seed, claimed, home / str(seed), fold, records, watch) for seed in seeds]
                    together = {key: mean_of([member[key] for member in members], title) for key in fold.test}
                    place.mkdir(parents=True, exist_ok=True)
                    write_scores(judged(together, records, fold, name), place / "scores.csv")
                tables.append(read_scores(place / "scores.csv").assign(model=title))
                write_scores(pd.concat(tables, ignore_index=True), folder / "scores.csv")
    return pd.concat(tables, ignore_index=True)


def entries(name: str, seeds: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """What is scored of a contestant, by title: each seed, and the mean of all."""
    if name not in LEARNED or len(seeds) == 1:
        return {name: seeds if name in LEARNED else (0,)}
    return {f"{name} {seed}": (seed,) for seed in seeds} | {f"{name}, mean of {len(seeds)}": seeds}


def claim(folder: Path, config: Config) -> Config:
    """Write down what a folder is for; who takes part, where and with which seeds may change.

    Returns:
        What does not change, which is what each run directory is for.

    Raises:
        RunError: It is for another configuration.
    """
    stays = config.benchmark.model_dump(include={"split", "train_records"})
    claimed = config.model_copy(update={"benchmark": configs.Benchmark(**stays)})
    asked, path = configs.dumps(claimed), folder / "config.toml"
    if path.exists() and path.read_text(encoding="utf-8") != asked:
        raise RunError(
            f"{folder}: holds the scores of another configuration.\n"
            "  to go on: choose another directory with --out, or remove this one."
        )
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        unfinished.write_text(asked, encoding="utf-8")
    return claimed


def meet(
    name: str, seed: int, config: Config, place: Path, fold: Fold, records: Mapping[str, xr.Dataset], watch: Watch
) -> dict[str, xr.Dataset]:
    """What a contestant makes of the records of a fold that it is judged at, by key."""
    train = [(records[key], labels) for key, labels in fold.train.items()]
    if name in empirical.MODELS:
        of_steps = [(dataset, labels == "train") for dataset, labels in train if not data.by_day(dataset)]
        model = empirical.fit(name, [dataset for dataset, _ in of_steps], [chosen for _, chosen in of_steps])
        return {key: model.predict(records[key]) for key in fold.test}
    if name == UNTRAINED:
        run = as_it_comes(config, train)
    else:
        run = train_on(train, varied(config, LEARNED[name](config), {"seed": seed}), place, watch=watch)
    return {key: simulate_run(run, records[key]) for key in fold.test}


def judged(
    simulations: Mapping[str, xr.Dataset], records: Mapping[str, xr.Dataset], fold: Fold, title: str
) -> pd.DataFrame:
    """Scores at the steps to be judged: those of every day, and PLUMBER2's seven at half-hours."""
    tables = []
    for key, simulation in simulations.items():
        judge = functools.partial(score, simulation, records[key], np.where(fold.test[key] == "test", "test", ""))
        asked = {"model": title, "targets": data.fluxes_measured(records[key])}
        scores = [
            judge(**asked, resolutions=("native", "daily", "monthly")),
            judge(**asked, resolutions=("native",), metrics=seven),
        ]
        tables += [table.assign(tower=key) for table in scores]
    found = pd.concat(tables, ignore_index=True)
    return found.drop_duplicates([name for name in COLUMNS if name != "value"])


def standings(scores: pd.DataFrame) -> pd.DataFrame:
    """How the contestants stand: median and worst quarter over records, and the mean place among the benchmarks.

    Args:
        scores: What `benchmark` gives.

    Returns:
        A row for each contestant, seeds apart, and a column for each number.
    """
    found = over_towers(scores).xs(("test", "all"), level=("split", "regime"))
    columns = {}
    for target, symbol in SYMBOLS.items():
        for resolution, metric in (("native", "nse"), ("native", "kge"), ("native", "rmse"), ("daily", "nse")):
            case = found.xs((target, resolution, metric), level=("variable", "resolution", "metric"))
            head = f"{symbol} {metric.upper()}" if resolution == "native" else f"{symbol} {resolution} {metric.upper()}"
            columns[f"{head} median"], columns[f"{head} worst quarter"] = case["median"], case["worst_quarter"]
        if set(BENCHMARKS) <= set(scores["model"]):
            native = scores.loc[(scores["resolution"] == "native") & (scores["variable"] == target)]
            columns[f"{symbol} iNMV"] = inmv(native)["mean"].groupby("model").first()
    order = scores["model"].unique()
    return pd.DataFrame(columns).reindex(order)


def slug(name: str) -> str:
    """A name as a folder."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())

"""Several models at one tower: trained on the same steps of one record, then laid side by side."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from bowen import data
from bowen.config.schema import Config, Contest
from bowen.data.features import Scaler
from bowen.errors import DataError, RunError
from bowen.evaluation.scores import write_scores
from bowen.experiments import run_directory
from bowen.experiments.build import base_parameters, build
from bowen.experiments.run import (
    Example,
    Run,
    Watch,
    fitted,
    labels,
    load_config,
    load_run,
    read_tower,
    score_run,
    set_up,
    simulate_run,
    split,
    train_run,
)
from bowen.reporting import write_report

PRINCIPAL = "hybrid"  # the contestant whose simulation is kept


class Comparison(NamedTuple):
    """Models at one tower: what each gave, by name, and how well that fits."""

    dataset: xr.Dataset
    split: np.ndarray
    simulations: Mapping[str, xr.Dataset]
    scores: pd.DataFrame
    history: Mapping[str, pd.DataFrame]


def contestants(config: Config) -> dict[str, Config]:
    """Configurations of calibrated LaD, the hybrid and the LSTM, by the name of their folder."""
    return {
        "calibrated-lad": varied(config, {"kind": "process", "static": config.contest.calibrated}),
        "hybrid": varied(config, {"kind": "hybrid"}),
        "lstm": varied(config, {"kind": "network"}),
    }


def varied(config: Config, model: Mapping[str, Any], training: Mapping[str, Any] | None = None) -> Config:
    """A configuration with other settings of the model and of training."""
    return config.model_copy(
        update={
            "model": config.model.model_copy(update=model),
            "training": config.training.model_copy(update=training or {}),
        }
    )


def contest(
    config: Config,
    folder: Path,
    *,
    dataset: xr.Dataset | None = None,
    watch: Watch = lambda *_: None,
    notes: Iterable[str] = (),
) -> pd.DataFrame:
    """Train calibrated LaD, the hybrid and the LSTM on one record, and compare them with LaD as it comes.

    Each contestant has a run directory in `folder`, so that an interrupted contest goes on where it was. Beside them
    are written `scores.csv`, `report.html` and `simulation.nc`, which is the hybrid's.

    Args:
        config: The hybrid; its table `contest` tells what the others do otherwise.
        folder: Where to.
        dataset: The record; None reads the files the configuration names.
        watch: See `train_run`.
        notes: Sentences for the report.

    Returns:
        The scores, in the long format.

    Raises:
        DataError: The record cannot be used.
        RunError: The folder holds other runs, or cannot be written.
    """
    set_up(config)
    dataset = read_tower(config) if dataset is None else dataset
    trained = {
        name: train_run(chosen, folder / name, dataset=dataset, watch=watch)
        for name, chosen in contestants(config).items()
    }
    lad = dataclasses.replace(as_it_comes(config, [(dataset, split(config, dataset))]), meta=trained[PRINCIPAL].meta)
    comparison = compare([lad, *trained.values()], dataset)
    write_scores(comparison.scores, folder / "scores.csv")
    simulation = comparison.simulations[trained[PRINCIPAL].title]
    data.write_netcdf(data.to_alma(simulation), folder / "simulation.nc")
    report(comparison, folder / "report.html", notes=notes)
    return comparison.scores


def as_it_comes(config: Config, records: Sequence[Example]) -> Run:
    """The Land Dynamics model with the parameters of each site's classes, which nobody has trained."""
    return untrained(config, fitted(config, records), records[0][0].attrs)


def untrained(config: Config, scaler: Scaler, site: Mapping[str, Any]) -> Run:
    """LaD as it comes, beside a model that was trained; `site` is any of those it was trained at."""
    lad = {"evaporation": "resistance", "stability": "critical"}
    config = varied(config, {"kind": "process", "static": (), "regional": (), "owned": (), "corrections": ()} | lad)
    scaler = dataclasses.replace(scaler, closures=())
    return Run(config, scaler, build(config, scaler, base_parameters(config, site)), {})


def named(models: Iterable[Run]) -> dict[str, Run]:
    """Models by title; where several have one, it is followed by what tells their run directories apart."""
    models = list(models)
    alike = {model.title: [other.folder for other in models if other.title == model.title] for model in models}
    apart = {title: dict(zip(folders, differing(folders), strict=True)) for title, folders in alike.items()}
    return {
        f"{model.title} ({how})" if (how := apart[model.title][model.folder]) else model.title: model
        for model in models
    }


def differing(folders: Sequence[Path | None]) -> list[str]:
    """What tells paths apart, without the parts that all of them begin or end with; of a single one nothing."""
    if len(folders) == 1:
        return [""]
    parts = [Path(str(folder)).parts for folder in folders]
    first, last = (_shared(rows) for rows in (parts, [row[::-1] for row in parts]))
    left = [row[first : len(row) - last] for row in parts]
    return [str(Path(*row)) for row in (left if all(left) else parts)]


def _shared(rows: Sequence[Sequence[str]]) -> int:
    """How many parts all begin with."""
    return sum(1 for _ in itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*rows, strict=False)))


def evaluate(models: Iterable[Run], dataset: xr.Dataset | None = None) -> pd.DataFrame:
    """Score models at one record, or each at its own.

    Args:
        models: At least one.
        dataset: The record; None reads the files each model was trained on.

    Raises:
        DataError: The record cannot be used, or has no flux.
    """
    scores = []
    for name, model in named(models).items():
        record = read_tower(model.config) if dataset is None else dataset
        if not any(flux in record for flux in data.TURBULENT):
            raise DataError(
                f"{record.attrs['site']}: has neither latent nor sensible heat to score by.\n"
                "  to go on: `bowen transfer` judges models by runoff and snow."
            )
        scores.append(score_run(model, simulate_run(model, record), record).assign(model=name))
    return pd.concat(scores, ignore_index=True)


def compare(models: Iterable[Run], dataset: xr.Dataset) -> Comparison:
    """Run models over one record and score them.

    Args:
        models: At least one.
        dataset: The record.

    Raises:
        RunError: The models were trained on different parts of the record.
    """
    together = named(models)
    split, *others = (labels(model, dataset) for model in together.values())
    if not all(np.array_equal(split, other) for other in others):
        raise RunError(
            f"{', '.join(together)}: they do not split this record in the same way.\n"
            "  to go on: compare models that were trained on the same steps, or give another record with --met."
        )
    simulations = {name: simulate_run(model, dataset) for name, model in together.items()}
    scores = [score_run(model, simulations[name], dataset).assign(model=name) for name, model in together.items()]
    history = {
        name: run_directory.read_history(model.folder / "history.csv")
        for name, model in together.items()
        if model.folder
    }
    return Comparison(dataset, split, simulations, pd.concat(scores, ignore_index=True), history)


def report(comparison: Comparison, path: Path, *, notes: Iterable[str] = ()) -> Path:
    """Write a comparison as one self-contained HTML page.

    Raises:
        RunError: The file cannot be written.
    """
    site = comparison.dataset.attrs["site"]
    return write_report(
        path,
        comparison.dataset,
        comparison.simulations,
        comparison.scores,
        comparison.split,
        title=f"{site}: {', '.join(comparison.simulations)}",
        notes=notes,
        history=comparison.history,
    )


def demo(
    folder: Path,
    *,
    file: Path | None = None,
    site: Mapping[str, Any] | None = None,
    watch: Watch = lambda *_: None,
    say: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Hold the contest at BE-Vie 2014, which is fetched once, or at the tower of another FLUXNET file.

    Args:
        folder: Where to.
        file: A FLUXNET file; None is BE-Vie 2014.
        site: What the file does not say of its site.
        watch: See `train_run`.
        say: Takes lines for people.

    Returns:
        The scores, in the long format.

    Raises:
        DataError: The file cannot be fetched, or cannot be used.
        RunError: The folder holds other runs, or cannot be written.
    """
    met = data.fetch_demo(report=say) if file is None else file
    notes = [" ".join(data.ATTRIBUTION.split())] if file is None else []
    return contest(demo_config(met=met.absolute(), **site or {}), folder, watch=watch, notes=notes)


def twin_demo(folder: Path, *, days: int = 365, watch: Watch = lambda *_: None) -> tuple[pd.DataFrame, float]:
    """Hold the contest on a record made by the model itself, with a surface resistance that is known.

    Args:
        folder: Where to; the record is written there as well.
        days: Length of the record. [d]
        watch: See `train_run`.

    Returns:
        The scores, and the correlation of the logarithms of the found and the true surface resistance.

    Raises:
        RunError: The folder holds other runs, or cannot be written.
    """
    from bowen.experiments.twin_experiment import SOIL, recovery, twin

    known = demo_config(met=(folder / "twin.nc").absolute(), soil=SOIL)
    config = varied(known, {"dynamic": ("surface_resistance",), "static": ()}, {"prior_weight": 1e-4})
    config = config.model_copy(update={"contest": Contest(calibrated=("surface_resistance",))})
    set_up(config)
    record, truth = twin(days)
    data.write_netcdf(data.to_alma(record), config.tower.met)
    scores = contest(config, folder, watch=watch)
    return scores, recovery(simulate_run(load_run(folder / PRINCIPAL), read_tower(config)), truth)


def demo_config(**tower: Any) -> Config:
    """The configuration of the demo, at another tower or file."""
    with resources.as_file(resources.files("bowen.experiments") / "demo.toml") as path:
        config = load_config(path)
    return config.model_copy(update={"tower": config.tower.model_copy(update=tower)})

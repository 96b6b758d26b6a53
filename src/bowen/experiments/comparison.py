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
from bowen.config.schema import ComparisonConfig, Config
from bowen.data.features import Scaler
from bowen.errors import DataError, RunError
from bowen.evaluation.scores import write_scores
from bowen.experiments import run_directory
from bowen.experiments.build import build_model
from bowen.experiments.run import (
    Run,
    Watch,
    configure_jax,
    label_steps,
    load_config,
    load_run,
    read_configured_record,
    score_run,
    simulate_run,
    split_record,
    train_run,
)
from bowen.experiments.training_sites import LabeledRecord
from bowen.reporting import write_report
from bowen.training.site_data import fit_scaler, land_parameters

PRINCIPAL_MODEL = "hybrid"  # the contestant whose simulation is kept


class Comparison(NamedTuple):
    """Models at one tower: what each gave, by name, and how well that fits."""

    dataset: xr.Dataset
    split: np.ndarray
    simulations: Mapping[str, xr.Dataset]
    scores: pd.DataFrame
    history: Mapping[str, pd.DataFrame]


def comparison_models(config: Config) -> dict[str, Config]:
    """Configurations of calibrated LaD, the hybrid and the LSTM, by the name of their folder."""
    return {
        "calibrated-lad": with_overrides(config, {"kind": "process", "static": config.comparison.calibrated}),
        "hybrid": with_overrides(config, {"kind": "hybrid"}),
        "lstm": with_overrides(config, {"kind": "network"}),
    }


def with_overrides(config: Config, model: Mapping[str, Any], training: Mapping[str, Any] | None = None) -> Config:
    """A configuration with other settings of the model and of training."""
    return config.model_copy(
        update={
            "model": config.model.model_copy(update=model),
            "training": config.training.model_copy(update=training or {}),
        }
    )


def run_comparison(
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
    configure_jax(config)
    dataset = read_configured_record(config) if dataset is None else dataset
    trained = {
        name: train_run(chosen, folder / name, dataset=dataset, watch=watch)
        for name, chosen in comparison_models(config).items()
    }
    lad = dataclasses.replace(
        uncalibrated_lad(config, [(dataset, split_record(config, dataset))]), meta=trained[PRINCIPAL_MODEL].meta
    )
    comparison = compare_models([lad, *trained.values()], dataset)
    write_scores(comparison.scores, folder / "scores.csv")
    simulation = comparison.simulations[trained[PRINCIPAL_MODEL].title]
    data.write_netcdf(data.to_alma(simulation), folder / "simulation.nc")
    write_comparison(comparison, folder / "report.html", notes=notes)
    return comparison.scores


def uncalibrated_lad(config: Config, records: Sequence[LabeledRecord]) -> Run:
    """The Land Dynamics model with the parameters of each site's classes, which nobody has trained."""
    return uncalibrated_run(config, fit_scaler(config, records), records[0][0].attrs)


def uncalibrated_run(config: Config, scaler: Scaler, site: Mapping[str, Any]) -> Run:
    """LaD as it comes, beside a model that was trained; `site` is any of those it was trained at."""
    lad = {"evaporation": "resistance", "stability": "monin_obukhov"}
    config = with_overrides(
        config,
        {"kind": "process", "static": (), "regionalized": (), "site_specific": (), "water_corrections": ()} | lad,
    )
    scaler = dataclasses.replace(scaler, closures=())
    return Run(config, scaler, build_model(config, scaler, land_parameters(config, site)), {})


def title_models(models: Iterable[Run]) -> dict[str, Run]:
    """Models by title; where several have one, it is followed by what tells their run directories apart."""
    models = list(models)
    alike = {model.title: [other.folder for other in models if other.title == model.title] for model in models}
    apart = {title: dict(zip(folders, distinguishing_parts(folders), strict=True)) for title, folders in alike.items()}
    return {
        f"{model.title} ({how})" if (how := apart[model.title][model.folder]) else model.title: model
        for model in models
    }


def distinguishing_parts(folders: Sequence[Path | None]) -> list[str]:
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


def score_models(models: Iterable[Run], dataset: xr.Dataset | None = None) -> pd.DataFrame:
    """Score models at one record, or each at its own.

    Args:
        models: At least one.
        dataset: The record; None reads the files each model was trained on.

    Raises:
        DataError: The record cannot be used, or has no flux.
    """
    scores = []
    for name, model in title_models(models).items():
        record = read_configured_record(model.config) if dataset is None else dataset
        if not any(flux in record for flux in data.TURBULENT):
            raise DataError(
                f"{record.attrs['site']}: has neither latent nor sensible heat to score by.\n"
                "  fix: `bowen transfer` judges models by runoff and snow."
            )
        scores.append(score_run(model, simulate_run(model, record), record).assign(model=name))
    return pd.concat(scores, ignore_index=True)


def compare_models(models: Iterable[Run], dataset: xr.Dataset) -> Comparison:
    """Run models over one record and score them.

    Args:
        models: At least one.
        dataset: The record.

    Raises:
        RunError: The models were trained on different parts of the record.
    """
    together = title_models(models)
    split, *others = (label_steps(model, dataset) for model in together.values())
    if not all(np.array_equal(split, other) for other in others):
        raise RunError(
            f"{', '.join(together)}: they do not split this record in the same way.\n"
            "  fix: compare models that were trained on the same steps, or give another record with --met."
        )
    simulations = {name: simulate_run(model, dataset) for name, model in together.items()}
    scores = [score_run(model, simulations[name], dataset).assign(model=name) for name, model in together.items()]
    history = {
        name: run_directory.read_history(model.folder / "history.csv")
        for name, model in together.items()
        if model.folder
    }
    return Comparison(dataset, split, simulations, pd.concat(scores, ignore_index=True), history)


def write_comparison(comparison: Comparison, path: Path, *, notes: Iterable[str] = ()) -> Path:
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


def run_demo(
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
    return run_comparison(demo_config(met=met.absolute(), **site or {}), folder, watch=watch, notes=notes)


def run_twin_demo(folder: Path, *, days: int = 365, watch: Watch = lambda *_: None) -> tuple[pd.DataFrame, float]:
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
    from bowen.experiments.twin_experiment import SOIL, make_twin, parameter_correlation

    known = demo_config(met=(folder / "twin.nc").absolute(), soil=SOIL)
    config = with_overrides(known, {"dynamic": ("minimum_stomatal_resistance",), "static": ()}, {"prior_weight": 1e-4})
    config = config.model_copy(update={"comparison": ComparisonConfig(calibrated=("minimum_stomatal_resistance",))})
    configure_jax(config)
    record, truth = make_twin(days)
    data.write_netcdf(data.to_alma(record), config.data.met)
    scores = run_comparison(config, folder, watch=watch)
    return scores, parameter_correlation(
        simulate_run(load_run(folder / PRINCIPAL_MODEL), read_configured_record(config)), truth
    )


def demo_config(**tower: Any) -> Config:
    """The configuration of the demo, at another tower or file."""
    with resources.as_file(resources.files("bowen.experiments") / "demo.toml") as path:
        config = load_config(path)
    return config.model_copy(update={"data": config.data.model_copy(update=tower)})

"""Comparison of models at one tower, trained on the same steps of one record."""

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
from bowen.experiments.build import build_model
from bowen.experiments.run import (
    Run,
    TrainingWatch,
    configure_jax,
    describe_training,
    label_steps,
    load_config,
    load_run,
    read_configured_record,
    score_run,
    simulate_run,
    train_run,
)
from bowen.experiments.run_directory import read_history
from bowen.experiments.step_labels import split_record
from bowen.experiments.training_sites import LabeledRecord
from bowen.reporting import write_report
from bowen.training.site_data import fit_scaler, land_parameters

PRINCIPAL_MODEL = "hybrid"  # whose simulation is kept


class Comparison(NamedTuple):
    """Simulations of models at one tower by name, and their scores."""

    dataset: xr.Dataset
    split: np.ndarray
    simulations: Mapping[str, xr.Dataset]
    scores: pd.DataFrame
    history: Mapping[str, pd.DataFrame]
    training: tuple[str, ...]  # sentences on where and when the models were trained


def comparison_models(config: Config) -> dict[str, Config]:
    """Derive the configurations of calibrated LaD, the hybrid and the LSTM, by the name of their folder."""
    return {
        "calibrated-lad": with_overrides(config, {"kind": "process", "static": config.comparison.calibrated}),
        "hybrid": with_overrides(config, {"kind": "hybrid"}),
        "lstm": with_overrides(config, {"kind": "network"}),
    }


def with_overrides(config: Config, model: Mapping[str, Any], training: Mapping[str, Any] | None = None) -> Config:
    """Change settings of the model and of training in a configuration."""
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
    watch: TrainingWatch = lambda *_: None,
    notes: Iterable[str] = (),
) -> pd.DataFrame:
    """Train calibrated LaD, the hybrid and the LSTM on one record, and compare them with uncalibrated LaD.

    Each model has a run directory in `folder`, so that an interrupted comparison is resumed. Beside them are written
    `scores.csv`, `report.html` and `simulation.nc`, which is the hybrid's.

    Args:
        config: Configuration of the hybrid; its table [comparison] has the settings of the others.
        folder: Output folder.
        dataset: Record; None reads the files the configuration names.
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
        uncalibrated_lad(config, [(dataset, split_record(config, dataset))]),
        manifest=trained[PRINCIPAL_MODEL].manifest,
    )
    comparison = compare_models([lad, *trained.values()], dataset)
    write_scores(comparison.scores, folder / "scores.csv")
    simulation = comparison.simulations[trained[PRINCIPAL_MODEL].title]
    data.write_netcdf(data.to_alma(simulation), folder / "simulation.nc")
    write_comparison(comparison, folder / "report.html", notes=notes)
    return comparison.scores


def uncalibrated_lad(config: Config, records: Sequence[LabeledRecord]) -> Run:
    """Build the uncalibrated Land Dynamics model, with the parameters of each site's classes."""
    return uncalibrated_run(config, fit_scaler(config, records), records[0][0].attrs)


def uncalibrated_run(config: Config, scaler: Scaler, site: Mapping[str, Any]) -> Run:
    """Build uncalibrated LaD to compare with a trained model; `site` is any of those it was trained at."""
    lad = {"evaporation": "resistance", "stability": "monin_obukhov"}
    config = with_overrides(
        config,
        {"kind": "process", "static": (), "regionalized": (), "site_specific": (), "water_corrections": ()} | lad,
    )
    scaler = dataclasses.replace(scaler, closures=(), closure_weights=())
    return Run(config, scaler, build_model(config, scaler, land_parameters(config, site)))


def title_models(models: Iterable[Run]) -> dict[str, Run]:
    """Name models by title, followed by the distinguishing part of their run directories where several share one."""
    models = list(models)
    alike = {model.title: [other.folder for other in models if other.title == model.title] for model in models}
    apart = {title: dict(zip(folders, distinguishing_parts(folders), strict=True)) for title, folders in alike.items()}
    return {
        f"{model.title} ({how})" if (how := apart[model.title][model.folder]) else model.title: model
        for model in models
    }


def distinguishing_parts(folders: Sequence[Path | None]) -> list[str]:
    """Return the parts of paths that differ, between those that all begin or end with; nothing for a single one."""
    if len(folders) == 1:
        return [""]
    parts = [Path(str(folder)).parts for folder in folders]
    first, last = (_shared(rows) for rows in (parts, [row[::-1] for row in parts]))
    left = [row[first : len(row) - last] for row in parts]
    return [str(Path(*row)) for row in (left if all(left) else parts)]


def _shared(rows: Sequence[Sequence[str]]) -> int:
    """Count the parts that all begin with."""
    return sum(1 for _ in itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*rows, strict=False)))


def score_models(models: Iterable[Run], dataset: xr.Dataset | None = None, *, as_unseen: bool = False) -> pd.DataFrame:
    """Score models at one record, or each at its own.

    Args:
        models: At least one.
        dataset: Record; None reads the files each model was trained on.
        as_unseen: Whether to take sites that were trained on as unseen ones; the labels of steps stay.

    Raises:
        DataError: The record cannot be used, or has no flux.
    """
    scores = []
    for name, model in title_models(models).items():
        record = read_configured_record(model.config) if dataset is None else dataset
        if not any(flux in record for flux in data.TURBULENT):
            raise DataError(
                str(record.attrs["site"]),
                "has neither latent nor sensible heat to score",
                fix="`bowen transfer` evaluates models on runoff and snow.",
            )
        simulation = simulate_run(model, record, as_unseen=as_unseen)
        scores.append(score_run(model, simulation, record).assign(model=name))
    return pd.concat(scores, ignore_index=True)


def compare_models(models: Iterable[Run], dataset: xr.Dataset, *, as_unseen: bool = False) -> Comparison:
    """Run models over one record and score them.

    Args:
        models: At least one.
        dataset: Record.
        as_unseen: Whether to take sites that were trained on as unseen ones; the labels of steps stay.

    Raises:
        RunError: The models were trained on different parts of the record.
    """
    together = title_models(models)
    split, *others = (label_steps(model, dataset) for model in together.values())
    if not all(np.array_equal(split, other) for other in others):
        raise RunError(
            ", ".join(together),
            "do not split this record in the same way",
            fix="compare models that were trained on the same steps, or give another record with --met.",
        )
    simulations = {name: simulate_run(model, dataset, as_unseen=as_unseen) for name, model in together.items()}
    scores = [score_run(model, simulations[name], dataset).assign(model=name) for name, model in together.items()]
    history = {name: read_history(model.folder / "history.csv") for name, model in together.items() if model.folder}
    training = tuple(describe_trainings(together, dataset, as_unseen=as_unseen))
    return Comparison(dataset, split, simulations, pd.concat(scores, ignore_index=True), history, training)


def describe_trainings(
    models: Mapping[str, Run], dataset: xr.Dataset | None = None, *, as_unseen: bool = False
) -> list[str]:
    """Say where and when models were trained, those that were trained alike in one text; see `describe_training`."""
    names: dict[str, list[str]] = {}
    for name, run in models.items():
        text = describe_training(run, dataset, as_unseen=as_unseen, name="")
        names.setdefault(text, []).append(name)
    return [", ".join(alike) + text for text, alike in names.items() if text]


def write_comparison(comparison: Comparison, path: Path, *, notes: Iterable[str] = ()) -> Path:
    """Write a comparison as one self-contained HTML page.

    Raises:
        RunError: The file cannot be written.
    """
    site = comparison.dataset.attrs["site"]
    if not (comparison.split == "test").any():
        notes = [*notes, "No step of this record is for testing: all scores are of steps that trained or validated."]
    return write_report(
        path,
        comparison.dataset,
        comparison.simulations,
        comparison.scores,
        comparison.split,
        title=f"{site}: {', '.join(comparison.simulations)}",
        training=comparison.training,
        notes=notes,
        history=comparison.history,
    )


def run_demo(
    folder: Path,
    *,
    file: Path | None = None,
    site: Mapping[str, Any] | None = None,
    watch: TrainingWatch = lambda *_: None,
    say: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Compare models at BE-Vie 2014, which is downloaded once, or at the tower of another FLUXNET file.

    Args:
        folder: Output folder.
        file: FLUXNET file; None is BE-Vie 2014.
        site: Site metadata that the file lacks.
        watch: See `train_run`.
        say: Takes lines on progress.

    Returns:
        The scores, in the long format.

    Raises:
        DataError: The file cannot be fetched, or cannot be used.
        RunError: The folder holds other runs, or cannot be written.
    """
    met = data.fetch_demo(report=say) if file is None else file
    notes = [" ".join(data.ATTRIBUTION.split())] if file is None else []
    return run_comparison(demo_config(met=met.absolute(), **site or {}), folder, watch=watch, notes=notes)


def run_twin_demo(
    folder: Path, *, days: int = 365, watch: TrainingWatch = lambda *_: None
) -> tuple[pd.DataFrame, float]:
    """Compare models on a record made by the model itself, with a known stomatal resistance.

    Args:
        folder: Output folder; the record is written there as well.
        days: Length of the record. [d]
        watch: See `train_run`.

    Returns:
        The scores, and the correlation of the logarithms of the learned and the true stomatal resistance.

    Raises:
        RunError: The folder holds other runs, or cannot be written.
    """
    from bowen.experiments.twin_experiment import TWIN_SOIL, make_twin, parameter_correlation

    known = demo_config(met=(folder / "twin.nc").absolute(), soil=TWIN_SOIL)
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
    """Read the configuration of the demo, for another tower or file."""
    with resources.as_file(resources.files("bowen.experiments") / "demo.toml") as path:
        config = load_config(path)
    return config.model_copy(update={"data": config.data.model_copy(update=tower)})

"""From a configuration to a trained model on disk, and from there to simulations, scores and a report."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pandas as pd
import xarray as xr

from bowen import data
from bowen.config import schema as configs
from bowen.config.schema import Config, Precision
from bowen.data.features import Scaler
from bowen.errors import ConfigError, RunError
from bowen.evaluation.scores import score
from bowen.experiments import run_directory
from bowen.experiments.build import base_parameters, build_model
from bowen.experiments.training_sites import (
    LabeledRecord,
    fit_scaler,
    make_site_data,
    period_covered,
    select_training_records,
)
from bowen.land.parameters import Parameters
from bowen.land.quantities import Role, check_learnable
from bowen.models.base import AbstractLandModel
from bowen.models.hybrid import GuidedHybrid
from bowen.models.rollout import spin_up, unroll
from bowen.training import devices
from bowen.training.arrays import radiation_name, to_dataset
from bowen.training.trainer import TrainState, ValidationRow, train, train_state_shapes
from bowen.training.windows import SiteData, WindowLoader

TITLES = {"process": "calibrated LaD", "hybrid": "hybrid", "network": "LSTM"}
SITE_ATTRIBUTES = (
    "site",
    "latitude",
    "longitude",
    "elevation",
    "igbp",
    "reference_height",
    "canopy_height",
    "utc_offset_hours",
)

MIN_NET_RADIATION_COVERAGE = 0.85  # share of steps with net radiation, for a tower to be driven by it where either may

Watch = Callable[[Config, tuple[ValidationRow, ...]], None]


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained model with all it needs to be run at a tower."""

    config: Config
    scaler: Scaler
    model: AbstractLandModel
    meta: Mapping[str, Any]
    folder: Path | None = None  # its run directory, if it was trained

    @property
    def title(self) -> str:
        """What tables and figures call the model."""
        return title_of(self.config)


def title_of(config: Config) -> str:
    """What tables and figures call the model of a configuration."""
    learns = config.model.kind != "process" or config.model.static
    return TITLES[config.model.kind] if learns else "LaD"


def load_config(path: Path) -> Config:
    """Read a configuration whose parameters to learn are parameters that may be learned so.

    Raises:
        ConfigError: It cannot be read, or a setting in it is unknown, missing or impossible.
    """
    config = configs.load(path)
    asked: list[tuple[str, tuple[str, ...], Role]] = [
        ("[model]: `dynamic`", config.model.dynamic, "dynamic"),
        ("[model]: `static`", config.model.static, "static"),
        ("[comparison]: `calibrated`", config.comparison.calibrated, "static"),
    ]
    for setting, names, role in asked:
        try:
            check_learnable(Parameters, names, role)
        except ValueError as problem:
            raise ConfigError(f"{path.name} {setting}: {problem}") from problem
    return config


def configure_jax(config: Config) -> None:
    """Tell JAX the precision, and to keep what it compiles for the next start; called by commands, never on import."""
    jax.config.update("jax_enable_x64", config.model.precision == "float64")
    if not jax.config.values["jax_compilation_cache_dir"]:
        jax.config.update("jax_compilation_cache_dir", str(data.get_cache_folder() / "compiled"))


def read_configured_record(config: Config) -> xr.Dataset:
    """The record a configuration names, with its forcing filled.

    Raises:
        DataError: A file cannot be read, or the record cannot drive a model.
    """
    tower = config.data
    site = {name: value for name in SITE_ATTRIBUTES if (value := getattr(tower, name)) is not None}
    return prepare_record(data.read(tower.met, tower.flux, site=site, kind=tower.format), config)


def prepare_record(dataset: xr.Dataset, config: Config) -> xr.Dataset:
    """The record with the gaps in what drives the model filled and flagged, and its fluxes as they are to be met."""
    either = config.data.net_radiation == "measured_if_available"
    radiation = data.RADIATION if either else (radiation_name(config.data.net_radiation == "measured"),)
    if (
        either
        and "net_radiation" in dataset
        and data.is_measured(dataset, "net_radiation").mean() < MIN_NET_RADIATION_COVERAGE
    ):
        dataset = dataset.drop_vars("net_radiation")
    need = [name for name in (*data.FORCING, *radiation) if name in dataset]
    complete = data.fill_forcing(dataset, need=need).assign_attrs(prescribed_radiation=int("net_radiation" in need))
    if either and "net_radiation" not in dataset:
        complete = data.add_net_radiation(complete)
    closes = config.data.closure == "corrected" and any(name in dataset for name in data.TURBULENT)
    return data.close_energy_balance(complete) if closes else complete


def split_record(config: Config, dataset: xr.Dataset) -> np.ndarray:
    """The label of each step: "train", "validation", "test" or nothing."""
    times, chosen = dataset["time"].values, config.split
    if isinstance(chosen, configs.BlockSplit):
        return data.block_split(times, chosen.days, chosen.pattern)
    periods = {"train": chosen.train, "validation": chosen.validation, "test": chosen.test}
    given = {name: (str(period[0]), str(period[1])) for name, period in periods.items() if period}
    return data.period_split(times, given)


def train_run(
    config: Config, folder: Path, *, dataset: xr.Dataset | None = None, watch: Watch = lambda *_: None
) -> Run:
    """Train what a configuration describes on its record, or go on where an earlier call was interrupted.

    Args:
        config: What to train, on what.
        folder: Run directory; made if need be.
        dataset: The record; None reads the files the configuration names.
        watch: Called with the validations so far: before the first update, and after every one that is saved.

    Raises:
        RunError: The directory holds another configuration or was trained on another record.
        DataError: The record cannot be used.
    """
    dataset = read_configured_record(config) if dataset is None else dataset
    return train_on([(dataset, split_record(config, dataset))], config, folder, watch=watch)


def train_on(records: Sequence[LabeledRecord], config: Config, folder: Path, *, watch: Watch = lambda *_: None) -> Run:
    """Train one model on records of many towers, or go on; see `train_run`.

    Args:
        records: Of each a canonical dataset, filled, and what its steps are for; read one at a time, three times.
        config: What to train; which record it names does not matter.
        folder: Run directory; made if need be.
        watch: See `train_run`.
    """
    configure_jax(config)
    places, targets = select_training_records(config, records)
    settings, scaler = config.training, fit_scaler(config, (records[place] for place in places))
    meta: dict[str, Any] = {"fingerprints": [], "scaler": dataclasses.asdict(scaler), "water": {}}

    def towers() -> Iterator[SiteData]:
        for number, place in enumerate(places):
            dataset, labels = records[place]
            meta.setdefault("site", {name: dataset.attrs[name] for name in SITE_ATTRIBUTES})
            meta["fingerprints"].append(data.compute_fingerprint(dataset))
            if {*data.list_measured_targets(dataset)} & {*data.WATER}:
                meta["water"][dataset.attrs["site"]] = period_covered(dataset)
            yield make_site_data(config, scaler, dataset, labels, number, targets=targets)

    worth = [settings.water_weight if name in data.WATER else 1.0 for name in targets]
    columns, window, seed = settings.windows_per_site, settings.window_days, settings.seed
    streams = WindowLoader(towers(), columns=columns, window=window, seed=seed, target_weights=worth, folder=folder)
    model = build_model(config, scaler, streams.first.base, len(places))
    if (folder / "run.json").exists():
        check_same_run(folder, config, meta)
    elif devices.is_writer():
        run_directory.write_meta(folder, configs.dumps(config), meta)
    checkpoint, progress, history = folder / "checkpoint.npz", None, ()
    if checkpoint.exists():
        progress, rows = run_directory.load_arrays(checkpoint, train_state_shapes(model, streams, settings))
        history = tuple(ValidationRow(int(row[0]), *map(float, row[1:])) for row in rows)

    def publish(progress: TrainState, history: tuple[ValidationRow, ...]) -> None:
        run_directory.save_arrays(folder / "weights.npz", progress.best)
        run_directory.write_history(folder / "history.csv", ValidationRow._fields, history)

    def keep(progress: TrainState, history: tuple[ValidationRow, ...]) -> None:
        if devices.is_writer():
            run_directory.save_arrays(checkpoint, progress, history)
            publish(progress, history)
            watch(config, history)

    if devices.is_writer():
        watch(config, history)
    progress, history = train(model, streams, settings, progress=progress, history=history, watch=keep)
    if devices.is_writer():
        publish(progress, history)  # again: the last call may have been stopped between checkpoint and weights
    return Run(config, scaler, progress.best, meta, folder)


def guide_hybrid(hybrid: Run, network: Run) -> Run:
    """A hybrid that is guided by a network trained on the same records; see `Guided`.

    Raises:
        RunError: They were trained on other records, or see other features.
    """
    if hybrid.scaler != network.scaler or hybrid.meta["fingerprints"] != network.meta["fingerprints"]:
        raise RunError(
            f"{hybrid.folder}, {network.folder}: were not trained on the same records with the same features.\n"
            "  fix: train both with one configuration, but for `kind` in [model]."
        )
    return dataclasses.replace(hybrid, model=GuidedHybrid(hybrid.model, network.model))  # type: ignore[arg-type]  # a run does not know its kind


def as_site(run: Run, dataset: xr.Dataset, mark: str) -> SiteData:
    """A record as a trained model meets it; `mark` is the fingerprint that tells whether it was trained on."""
    known = run.meta.get("fingerprints", [])
    number = known.index(mark) if mark in known else -1
    return make_site_data(run.config, run.scaler, dataset, np.empty(0), number)


def check_same_run(folder: Path, config: Config, meta: Mapping[str, Any]) -> None:
    """Check that a run directory was made by the same configuration from the same record.

    Raises:
        RunError: It was not.
    """
    there = run_directory.read_meta(folder)
    if (folder / "config.toml").read_text(encoding="utf-8") != configs.dumps(config):
        raise RunError(
            f"{folder}: holds a run of another configuration.\n"
            "  fix: choose another directory with --out, or remove this one."
        )
    if there["fingerprints"] != meta["fingerprints"]:
        raise RunError(
            f"{folder}: was trained on a record that has changed since.\n"
            "  fix: choose another directory with --out, or bring back the record as it was."
        )


def load_run(folder: Path, precision: Precision | None = None) -> Run:
    """Read a trained model; no code in the directory is executed.

    Args:
        folder: Run directory.
        precision: Arithmetic to run the model in; None is what it was trained in.

    Raises:
        RunError: A file is missing or damaged, or was written by a version with another format.
        ConfigError: Its configuration is not valid.
    """
    meta = run_directory.read_meta(folder)
    config = load_config(folder / "config.toml")
    if precision:
        config = config.model_copy(update={"model": config.model.model_copy(update={"precision": precision})})
    configure_jax(config)
    scaler = Scaler(**meta["scaler"])
    untrained = build_model(config, scaler, base_parameters(config, meta["site"]), len(meta["fingerprints"]))
    model, _ = run_directory.load_arrays(folder / "weights.npz", untrained)
    return Run(config, scaler, model, meta, folder)


def simulate_run(run: Run, dataset: xr.Dataset) -> xr.Dataset:
    """Run a trained model over a record: its own tower's or any other's.

    At another tower the learned offsets act on the parameters of that tower's vegetation class and heights. The
    model is spun up by cycling the first year of the record; one that is shorter begins with new water.

    Raises:
        DataError: The record lacks what drives the model.
        ModelError: The model gave a value that is not finite.
    """
    configure_jax(run.config)
    tower = as_site(run, dataset, data.compute_fingerprint(dataset))
    model, inputs = run.model.at(tower.site), tower.series.inputs
    year = min(round(365 * 86400 / dataset.attrs["timestep_s"]), dataset.sizes["time"])
    carry = spin_up(model, tower.state, inputs.window(0, year), max(1, run.config.training.spin_up_years))
    if not inputs.last_a_year():
        carry = model.renewed(carry)
    _, record = eqx.filter_jit(unroll)(model, carry, inputs)
    return to_dataset(model, record, dataset, run.title)


def label_steps(run: Run, dataset: xr.Dataset) -> np.ndarray:
    """What each step is to a run: by its split at its own record, "train" at one of many it was trained on.

    At any other it is "test", but for 15 days to settle.
    """
    known = run.meta["fingerprints"]
    if data.compute_fingerprint(dataset) in known:
        return split_record(run.config, dataset) if len(known) == 1 else np.full(dataset.sizes["time"], "train")
    settled = np.arange(dataset.sizes["time"]) * dataset.attrs["timestep_s"] >= 15 * 86400
    return np.where(settled, "test", "")


def score_run(run: Run, simulation: xr.Dataset, dataset: xr.Dataset) -> pd.DataFrame:
    """Score a simulation of a run, by what each step is to it."""
    return score(
        simulation, dataset, label_steps(run, dataset), model=run.title, targets=data.list_measured_fluxes(dataset)
    )

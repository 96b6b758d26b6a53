"""Runs: train the model of a configuration, load it, simulate and score it."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pydantic
import xarray as xr

from bowen import data
from bowen.config import schema as configs
from bowen.config.schema import Config, Precision
from bowen.data.features import Scaler
from bowen.errors import ConfigError, RunError
from bowen.evaluation.scores import score
from bowen.experiments.build import build_model
from bowen.experiments.run_directory import Manifest, RunDirectory, damage_error
from bowen.experiments.step_labels import BY_SPLIT, label_as_trained, split_record
from bowen.experiments.trained_record import TrainedRecord
from bowen.experiments.training_sites import LabeledRecord, period_covered, select_training_records
from bowen.files import UNREADABLE
from bowen.land.quantities import Role, check_learnable
from bowen.models.base import LEARNABLE, AbstractLandModel
from bowen.models.hybrid import GuidedHybrid
from bowen.training import devices
from bowen.training.arrays import radiation_name
from bowen.training.simulation import simulate
from bowen.training.site_data import SiteData, fit_scaler, land_parameters
from bowen.training.trainer import TrainState, ValidationRow, optimize_weights, train_state_shapes
from bowen.training.windows import WindowLoader

MODEL_TITLES = {"process": "calibrated LaD", "hybrid": "hybrid", "network": "LSTM"}
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


_SCALER = pydantic.TypeAdapter(Scaler)
TrainingWatch = Callable[[Config, tuple[ValidationRow, ...]], None]


@dataclasses.dataclass(frozen=True)
class Run:
    """Trained model with the settings and the scaler to run it at a tower."""

    config: Config
    scaler: Scaler
    model: AbstractLandModel
    manifest: Manifest = dataclasses.field(default_factory=Manifest)
    folder: Path | None = None  # its run directory, if it was trained

    @property
    def title(self) -> str:
        """Name of the model in tables and figures."""
        return title_of(self.config)


def title_of(config: Config) -> str:
    """Name the model of a configuration, for tables and figures."""
    learns = config.model.kind != "process" or config.model.static
    return MODEL_TITLES[config.model.kind] if learns else "LaD"


def load_config(path: Path) -> Config:
    """Read a configuration whose parameters to learn are parameters that may be learned so.

    Raises:
        ConfigError: It cannot be read, or a setting in it is unknown, missing or impossible.
    """
    config = configs.load(path)
    check_learned_parameters(config, path.name)
    return config


def check_learned_parameters(config: Config, where: str) -> None:
    """Check that the parameters a configuration learns may be learned so; `where` names its origin in messages.

    Raises:
        ConfigError: One may not.
    """
    asked: list[tuple[str, tuple[str, ...], Role]] = [
        ("[model]: `dynamic`", config.model.dynamic, "dynamic"),
        ("[model]: `static`", config.model.static, "static"),
        ("[comparison]: `calibrated`", config.comparison.calibrated, "static"),
    ]
    for setting, names, role in asked:
        try:
            check_learnable(LEARNABLE, names, role)
        except ValueError as problem:
            raise ConfigError(f"{where} {setting}: {problem}") from problem


def configure_jax(config: Config) -> None:
    """Set the precision of JAX and its cache of compiled programs; called by commands, never on import."""
    jax.config.update("jax_enable_x64", config.model.precision == "float64")
    if not jax.config.values["jax_compilation_cache_dir"]:
        jax.config.update("jax_compilation_cache_dir", str(data.get_cache_folder() / "compiled"))


def read_configured_record(config: Config) -> xr.Dataset:
    """Read the record a configuration names, and fill its forcing.

    Raises:
        ConfigError: It names an archive of many.
        DataError: A file cannot be read, or the record cannot drive a model.
    """
    tower = config.data
    if data.is_archive(tower.met):
        raise ConfigError(
            str(tower.met),
            "is an archive of many records, and one is needed here",
            fix=f"name one with --met, such as --met {tower.met / data.list_records(tower.met)[0]}",
        )
    site = {name: value for name in SITE_ATTRIBUTES if (value := getattr(tower, name)) is not None}
    return prepare_record(data.read(tower.met, tower.flux, site=site, kind=tower.format), config)


def prepare_record(dataset: xr.Dataset, config: Config) -> xr.Dataset:
    """Fill and flag gaps in the forcing of a record, and correct its fluxes if the configuration says so."""
    need = [*data.FORCING, radiation_name(config.data.net_radiation == "measured")]
    complete = data.fill_forcing(dataset, need=[name for name in need if name in dataset])
    if config.data.net_radiation == "measured_if_available":
        complete = data.complete_net_radiation(complete)
    closes = config.data.closure == "corrected" and any(name in dataset for name in data.TURBULENT)
    return data.close_energy_balance(complete) if closes else complete


def train_run(
    config: Config, folder: Path, *, dataset: xr.Dataset | None = None, watch: TrainingWatch = lambda *_: None
) -> Run:
    """Train the model of a configuration on its record, or resume where an earlier call was interrupted.

    Args:
        config: Settings of model, training and record.
        folder: Run directory; made if need be.
        dataset: Record; None reads the files the configuration names.
        watch: Called with the validations so far: before the first update, and after every one that is saved.

    Raises:
        RunError: The directory was made with other settings or records, or another process is writing there.
        DataError: The record cannot be used.
    """
    dataset = read_configured_record(config) if dataset is None else dataset
    return train_on([(dataset, split_record(config, dataset))], config, folder, watch=watch)


def train_on(
    records: Sequence[LabeledRecord],
    config: Config,
    folder: Path,
    *,
    labeling: str = BY_SPLIT,
    watch: TrainingWatch = lambda *_: None,
) -> Run:
    """Train one model on records of many towers, or continue; see `train_run`.

    Args:
        records: Of each a canonical dataset, filled, and the labels of its steps; read one at a time, three times.
        config: Settings; which record they name does not matter.
        folder: Run directory; made if need be.
        labeling: Rule by which the steps were labeled; see `step_labels`.
        watch: See `train_run`.

    Raises:
        RunError: The directory holds another training, or another process is writing there.
        DataError: A record cannot be used.
    """
    configure_jax(config)
    directory = RunDirectory(folder)
    with directory.lock() if devices.is_writer() else contextlib.nullcontext():
        return _train_in(directory, records, config, labeling, watch)


def _train_in(
    directory: RunDirectory, records: Sequence[LabeledRecord], config: Config, labeling: str, watch: TrainingWatch
) -> Run:
    places, targets = select_training_records(config, records)
    settings, scaler = config.training, fit_scaler(config, (records[place] for place in places))
    trained: list[TrainedRecord] = []
    water: dict[str, str] = {}
    first_site: dict[str, Any] = {}

    def towers() -> Iterator[SiteData]:
        for number, place in enumerate(places):
            dataset, labels = records[place]
            site_data = SiteData(dataset, labels, scaler=scaler, index=number, targets=targets, config=config)
            if not first_site:
                first_site.update({name: dataset.attrs[name] for name in SITE_ATTRIBUTES})
            trained.append(TrainedRecord.of(dataset, bool(site_data.parameters.has_water_correction)))
            if {*data.list_measured_targets(dataset)} & {*data.WATER}:
                water[dataset.attrs["site"]] = period_covered(dataset)
            yield site_data

    worth = [settings.water_weight if name in data.WATER else 1.0 for name in targets]
    streams = WindowLoader(
        towers(),
        windows_per_site=settings.windows_per_site,
        window=settings.window_days,
        seed=settings.seed,
        target_weights=worth,
        folder=directory.folder,
    )
    model = build_model(config, scaler, streams.first_parameters, len(places))
    manifest = Manifest(tuple(trained), dataclasses.asdict(scaler), first_site, water, labeling)
    directory.claim(config, manifest, is_writer=devices.is_writer())
    progress, history = None, ()
    if saved := directory.read_checkpoint(train_state_shapes(model, streams, settings), model):
        progress, rows, updates = saved
        history = tuple(ValidationRow(int(row[0]), *map(float, row[1:])) for row in rows)
        if settings.updates > updates:  # more are asked for than the training was to make: patience begins anew
            progress = progress._replace(validations_without_gain=jnp.zeros_like(progress.validations_without_gain))

    def keep(progress: TrainState, history: tuple[ValidationRow, ...]) -> None:
        if devices.is_writer():
            directory.save(progress, progress.best, ValidationRow._fields, history, settings.updates)
            watch(config, history)

    if devices.is_writer():
        watch(config, history)
    progress, history = optimize_weights(model, streams, settings, state=progress, history=history, watch=keep)
    if devices.is_writer():
        # again: the last call may have been stopped between checkpoint and weights
        directory.publish(progress.best, ValidationRow._fields, history)
    return Run(config, scaler, progress.best, manifest, directory.folder)


def guide_hybrid(hybrid: Run, network: Run) -> Run:
    """Guide a hybrid by a network trained on the same records; see `GuidedHybrid`.

    Raises:
        RunError: They were trained on other records, or see other features.
    """
    if hybrid.scaler != network.scaler or hybrid.manifest.fingerprints != network.manifest.fingerprints:
        raise RunError(
            f"{hybrid.folder}, {network.folder}",
            "were not trained on the same records with the same features",
            fix="train both with one configuration, but for `kind` in [model].",
        )
    return dataclasses.replace(hybrid, model=GuidedHybrid(hybrid.model, network.model))  # type: ignore[arg-type]  # a run does not know its kind


def site_number(run: Run, dataset: xr.Dataset, *, as_unseen: bool = False) -> int:
    """Find the number of a record's site among those a model was trained on; -1 for an unseen one.

    Args:
        run: Trained model.
        dataset: Record of the site, of whatever period.
        as_unseen: Whether to take any site as unseen.
    """
    numbers = [] if as_unseen else run.manifest.numbers_at(dataset)
    return numbers[0] if numbers else -1


def describe_training(
    run: Run, dataset: xr.Dataset | None = None, *, as_unseen: bool = False, name: str | None = None
) -> str:
    """Say in sentences at which sites and in which years a model was trained; nothing, if it was not.

    Args:
        run: Model.
        dataset: Record that it is run over; None is one that it was trained on.
        as_unseen: Whether the site of the record is taken as an unseen one.
        name: Of the model; None is its title.
    """
    if run.folder is None:
        return ""
    where = f"{run.title if name is None else name}: trained at {run.manifest.places}."
    if dataset is not None and site_number(run, dataset) < 0:
        return f"{where} {dataset.attrs['site']} is not among these sites."
    unseen = (
        "Simulated as at an unseen site (--as-unseen), without the parameters learned there; steps keep the labels "
    )
    return f"{where} {unseen}they had in training." if as_unseen else where


def as_site(run: Run, dataset: xr.Dataset, number: int | None = None) -> SiteData:
    """Prepare a record for a trained model; at a site it was trained on, with that site's own parameters.

    Args:
        run: Trained model.
        dataset: Record.
        number: Number of the site; None recognizes it, see `site_number`.
    """
    number = site_number(run, dataset) if number is None else number
    site_data = SiteData(dataset, scaler=run.scaler, index=number, config=run.config)
    if number >= 0 and run.manifest.records[number].first:  # else nothing is known of its corrections
        has_corrections = jnp.asarray(run.manifest.records[number].has_corrections)
        parameters = eqx.tree_at(lambda site: site.has_water_correction, site_data.parameters, has_corrections)
        site_data = site_data.replace(parameters=parameters)
    return site_data


def load_run(folder: Path, precision: Precision | None = None) -> Run:
    """Read a trained model; no code in the directory is executed.

    Args:
        folder: Run directory.
        precision: Arithmetic to run the model in; None is that of its training.

    Raises:
        RunError: A file is missing or damaged, or was written by a version with another format.
        ConfigError: Its configuration is not valid.
    """
    directory = RunDirectory(folder)
    manifest, config = directory.read_manifest(), directory.read_config()
    check_learned_parameters(config, str(folder / "config.toml"))
    if precision:
        config = config.model_copy(update={"model": config.model.model_copy(update={"precision": precision})})
    configure_jax(config)
    try:
        scaler = _SCALER.validate_python(manifest.scaler)
        untrained = build_model(config, scaler, land_parameters(config, manifest.site), len(manifest.records))
    except UNREADABLE as problem:
        raise damage_error(folder / "run.json", problem) from problem
    return Run(config, scaler, directory.read_weights(untrained), manifest, folder)


def simulate_run(run: Run, dataset: xr.Dataset, *, as_unseen: bool = False) -> xr.Dataset:
    """Run a trained model over a record: of a site it was trained on, or of any other.

    At an unseen site the learned offsets act on the parameters of that site's vegetation class and heights. The
    model is spun up by cycling the first year of the record; a shorter one begins with new water.

    Args:
        run: Trained model.
        dataset: Record.
        as_unseen: Whether to take a site that was trained on as an unseen one, without its own parameters.

    Raises:
        DataError: The record lacks a variable that drives the model.
        ModelError: The model gave a value that is not finite, or a state that nature does not allow.
    """
    configure_jax(run.config)
    site = as_site(run, dataset, site_number(run, dataset, as_unseen=as_unseen))
    return simulate(run.model, site, spin_up_years=run.config.training.spin_up_years, name=run.title)


def label_steps(run: Run, dataset: xr.Dataset) -> np.ndarray:
    """Label the steps of a record as they were in the training of a model; see `label_as_trained`."""
    return label_as_trained(run.manifest, run.config, dataset)


def score_run(run: Run, simulation: xr.Dataset, dataset: xr.Dataset) -> pd.DataFrame:
    """Score a simulation of a run by the labels of its steps in training."""
    return score(
        simulation, dataset, label_steps(run, dataset), model=run.title, targets=data.list_measured_fluxes(dataset)
    )

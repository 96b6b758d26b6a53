"""Transfer: trained models and uncalibrated LaD on sites and variables that were not used in training."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from bowen import data
from bowen.config.schema import Config
from bowen.errors import ConfigError, DataError, RunError
from bowen.evaluation.budyko import long_term_water_balance
from bowen.evaluation.ensemble import ensemble_mean
from bowen.evaluation.unseen_variables import TRAINED_NOTE, add_routed_runoff, evaluate_unseen_variables
from bowen.experiments.batch_simulation import simulate_days
from bowen.experiments.comparison import describe_trainings, title_models, uncalibrated_run, with_overrides
from bowen.experiments.origin import describe_origin, find_changes, write_origin
from bowen.experiments.run import Run, prepare_record
from bowen.experiments.run_directory import Manifest, RunDirectory
from bowen.files import file_name, replace_atomically
from bowen.land.quantities import check_learnable
from bowen.models.base import LEARNABLE

COLUMNS_PER_BATCH = 32  # that are run side by side; each takes some hundred bytes a step
DEFAULT_STEP = 1800  # s, to which days are disaggregated; networks were trained on it


class TransferSite(NamedTuple):
    """Basin or tower to evaluate models at."""

    name: str
    file: str  # of its simulated days
    record: Callable[[Config], xr.Dataset]  # forcing of a model
    observed: xr.Dataset  # daily observations
    fingerprint: str  # of its record as read


def basin_sites(path: Path, *, step: int = DEFAULT_STEP, say: Callable[[str], None] = print) -> list[TransferSite]:
    """Prepare the basins of CAMELS; one that cannot be read is reported and left out.

    Args:
        path: Folder or .tar of CAMELS.
        step: Length of the steps that its days are disaggregated to. [s]
        say: Takes lines on progress.

    Raises:
        DataError: There is none.
    """
    places = []
    for basin in data.list_basins(path):
        try:
            daily = data.read_camels(path, basin)
        except DataError as problem:
            say(f"Left out: {str(problem).splitlines()[0]}")
            continue
        observed = daily[[name for name in ("runoff", "runoff_qc", "snow_water", "snow_water_qc") if name in daily]]
        if "snow_water" in observed:
            observed["snow_water"].attrs["product"] = "Daymet"

        def record(config: Config, daily: xr.Dataset = daily) -> xr.Dataset:
            return prepare_record(data.disaggregate(daily, step), config)

        places.append(TransferSite(basin, f"{basin}_{step}s.nc", record, observed, data.compute_fingerprint(daily)))
    if not places:
        raise DataError(path.name, "none of its basins can be read", fix="see the messages above.")
    return places


def tower_sites(
    paths: Sequence[Path], daily: Path | None = None, *, say: Callable[[str], None] = print
) -> list[TransferSite]:
    """Prepare towers; one that cannot be read is reported and left out.

    Args:
        paths: Files, or folders to look through; see `bowen.data.pair_files`.
        daily: Folder with daily fluxes of towers, as of CalLMIP, named `SITE_daily_*_Flux.nc`; they count where a tower
            has none of its own.
        say: Takes lines on progress.

    Raises:
        DataError: There is none, or the folder has no daily fluxes.
    """
    places, fluxes = [], data.find_daily_files(daily) if daily else {}
    for met, flux in data.pair_files(paths):
        try:
            tower = data.read(met, flux)
        except DataError as problem:
            say(f"Left out: {str(problem).splitlines()[0]}")
            continue
        site = tower.attrs["site"]
        observed = data.aggregate_observations(tower, flux, fluxes.get(site))
        if not observed:
            say(f"Left out: {site}: nothing was observed there.")
            continue

        def record(config: Config, met: Path = met, flux: Path | None = flux) -> xr.Dataset:
            return prepare_record(data.read(met, flux), config)

        name = f"{site}_{tower.time.values[0]:.4}-{tower.time.values[-1]:.4}"
        mark = data.compute_fingerprint(tower)
        places.append(TransferSite(name, file_name(f"{name}.nc"), record, observed.assign_attrs(site=name), mark))
    if not places:
        raise DataError(", ".join(map(str, paths)), "no tower with observations", fix="see the messages above.")
    return places


def run_transfer(
    runs: Sequence[Run],
    places: Sequence[TransferSite],
    folder: Path,
    *,
    first: str | None = None,
    last: str | None = None,
    as_unseen: bool = False,
    say: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Evaluate trained models and uncalibrated LaD at sites; days simulated in an earlier call are read.

    Where several models are of one kind, the mean of their days is evaluated in addition.

    Args:
        runs: Trained models, at least one; LaD has the forcing of the first.
        places: Sites.
        folder: Output: `MODEL/` has the days of a model at each site, `transfer.csv` all scores, `balance.csv` the
            long-term water balance of each site by each model, and `transfer.html` figures.
        first: First year, month or day to evaluate.
        last: Last year, month or day to evaluate.
        as_unseen: Whether to take sites that were trained on as unseen ones, without their own parameters.
        say: Takes lines on progress.

    Returns:
        The scores, in the columns of `bowen.evaluation.unseen_variables`.

    Raises:
        DataError: A site lacks a variable that drives a model.
        ModelError: A model gave a value that is not finite.
        RunError: The folder holds days of other models, or cannot be written.
    """
    from bowen.reporting.transfer_page import write_transfer  # here, because it brings matplotlib

    models, tables, balances, shown, reference = transfer_models(runs), [], [], {}, {}
    simulated = {
        name: simulate_or_read_days(name, run, places, folder / file_name(name.lower()), say, as_unseen=as_unseen)
        for name, run in models.items()
    }
    for title, names in models_by_title(models).items():
        name = f"{title}, mean of {len(names)}"
        simulated[name] = {
            at: ensemble_mean([simulated[each][at] for each in names], name) for at in simulated[names[0]]
        }
    for name, days in simulated.items():
        shown[name] = {place: add_routed_runoff(of).sel(time=slice(first, last)) for place, of in days.items()}
        reference = reference or shown[name]
        for place in places:
            tables.append(
                evaluate_unseen_variables(days[place.name], place.observed, model=name, first=first, last=last)
            )
            if water := long_term_water_balance(shown[name][place.name], reference[place.name], place.observed):
                balances.append({"model": name, "site": place.name} | water)
    table = pd.concat(tables, ignore_index=True)
    write_table(table, folder / "transfer.csv")
    write_table(pd.DataFrame(balances), folder / "balance.csv")
    observed = {place.name: place.observed for place in places}
    training = describe_trainings(models, as_unseen=as_unseen)
    for sentence in training:
        say(sentence)
    write_transfer(folder / "transfer.html", table, medians(table), pd.DataFrame(balances), observed, shown, training)
    return table


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, whole or not at all.

    Raises:
        RunError: The file cannot be written.
    """
    with replace_atomically(path) as unfinished:
        table.to_csv(unfinished, index=False)


def enable_options(run: Run, names: Sequence[str]) -> Run:
    """Enable optional processes that a model was trained without, each at the value where learning would begin.

    Raises:
        ConfigError: There is no such process.
    """
    if not names or not hasattr(run.model, "offsets"):
        return run
    offsets = run.model.offsets  # type: ignore[attr-defined]
    try:
        check_learnable(LEARNABLE, tuple(names), "static")
    except ValueError as problem:
        raise ConfigError(f"--enable: {problem}") from problem
    enabled = {name: jnp.zeros(()) for name in names if name not in offsets}
    model = eqx.tree_at(lambda m: m.offsets, run.model, offsets | enabled)
    config = with_overrides(run.config, {"static": (*run.config.model.static, *enabled)})
    return dataclasses.replace(run, config=config, model=model)


def transfer_models(runs: Sequence[Run]) -> dict[str, Run]:
    """Collect uncalibrated LaD and trained models by their names in tables."""
    lad = uncalibrated_run(runs[0].config, runs[0].scaler, runs[0].manifest.site)
    return title_models([lad, *(run for run in runs if run.title != lad.title)])


def models_by_title(models: Mapping[str, Run]) -> dict[str, list[str]]:
    """Group the names of models by title, where several have the same."""
    titles = dict.fromkeys(run.title for run in models.values())
    names = {title: [name for name, run in models.items() if run.title == title] for title in titles}
    return {title: those for title, those in names.items() if len(those) > 1}


def simulate_or_read_days(
    name: str,
    run: Run,
    places: Sequence[TransferSite],
    folder: Path,
    say: Callable[[str], None] = print,
    *,
    as_unseen: bool = False,
) -> dict[str, xr.Dataset]:
    """Return the days of a model at sites by name; those in the folder are read, others simulated and written.

    Days of a record that has changed since are simulated again.

    Raises:
        DataError: A site lacks a variable that drives the model.
        ModelError: The model gave a value that is not finite.
        RunError: The folder holds days of another model.
    """
    claim_simulations(folder, run, as_unseen=as_unseen)
    origins = {place.name: describe_origin(record={place.name: place.fingerprint}) for place in places}
    lacking = []
    for place in places:
        days = folder / place.file
        changes = find_changes(days, origins[place.name]) if days.exists() else ""
        if changes:
            say(f"{name}: {place.name} is simulated again because {changes}")
        if changes or not days.exists():
            lacking.append(place)
    for begin in range(0, len(lacking), COLUMNS_PER_BATCH):
        batch = lacking[begin : begin + COLUMNS_PER_BATCH]
        say(f"{name}: {', '.join(place.name for place in batch)}")
        simulated = simulate_days(run, records_at(run, batch), say=say, as_unseen=as_unseen)
        for place, days in zip(batch, simulated, strict=True):
            data.write_netcdf(data.to_alma(days), folder / place.file)
            write_origin(folder / place.file, origins[place.name])
    return {place.name: data.read_simulation(folder / place.file) for place in places}


def records_at(run: Run, places: Sequence[TransferSite]) -> Iterator[xr.Dataset]:
    """Yield the records of sites, each prepared when it is needed."""
    return (place.record(run.config) for place in places)


def claim_simulations(folder: Path, run: Run, *, as_unseen: bool = False) -> None:
    """Claim a folder for the days of one model; see `RunDirectory.claim`.

    Raises:
        RunError: It holds the days of another model.
    """
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(eqx.filter(run.model, eqx.is_array)):
        digest.update(np.asarray(leaf).tobytes())
    manifest = Manifest(purpose="simulations", weights=digest.hexdigest(), as_unseen=as_unseen)
    if (folder / "model.json").exists() and not RunDirectory(folder).is_claimed:
        raise RunError(
            str(folder),
            "holds days that were simulated by an earlier version, which cannot be compared",
            fix="choose another directory with --out, or remove this one.",
        )
    RunDirectory(folder).claim(run.config, manifest)


def medians(table: pd.DataFrame) -> pd.DataFrame:
    """Compute medians over the sites where a variable is unseen by all models that have it.

    Returns:
        A row for a variable and metric, a column for a model, and `places`, the number of sites.
    """
    models, found = list(table["model"].unique()), {}
    unseen = ~table["note"].astype(str).str.contains(TRAINED_NOTE) if "note" in table else slice(None)
    for case, part in table[unseen].groupby(["variable", "metric"], sort=False):
        wide = part.pivot(index="site", columns="model", values="value").dropna(axis="columns", how="all").dropna()
        found[case] = wide.median().reindex(models).to_dict() | {"places": float(len(wide))}
    rows = pd.MultiIndex.from_tuples(list(found), names=["variable", "metric"])
    return pd.DataFrame(list(found.values()), rows)

"""The test of transfer: trained models, and LaD as it comes, at places and on variables they were never shown."""

import dataclasses
import hashlib
import json
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
from bowen.config import schema as configs
from bowen.config.schema import Config
from bowen.errors import ConfigError, DataError, RunError
from bowen.evaluation.budyko import long_term_water_balance
from bowen.evaluation.ensemble import ensemble_mean
from bowen.evaluation.unseen_variables import TRAINED_NOTE, evaluate_unseen_variables, with_routing
from bowen.experiments.batch_simulation import simulate_days
from bowen.experiments.benchmark import slug
from bowen.experiments.comparison import title_models, uncalibrated_run, with_overrides
from bowen.experiments.run import Run, prepare_record
from bowen.files import replace_atomically
from bowen.land.quantities import check_learnable

BATCH = 32  # columns that are run side by side; each takes some hundred bytes a step
STEP = 1800  # s, to which days are made; networks know no other


class Place(NamedTuple):
    """Somewhere to judge models at."""

    name: str
    file: str  # under which days are kept
    record: Callable[[Config], xr.Dataset]  # what drives a model
    observed: xr.Dataset  # days, of whatever was observed


def basin_places(path: Path, *, step: int = STEP, say: Callable[[str], None] = print) -> list[Place]:
    """The basins of CAMELS as places; one that cannot be read is told and left out.

    Args:
        path: Folder or .tar of CAMELS.
        step: Length of the steps that are made of its days. [s]
        say: Takes lines for people.

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

        places.append(Place(basin, f"{basin}_{step}s.nc", record, observed))
    if not places:
        raise DataError(f"{path.name}: no basin of it can be read.")
    return places


def tower_places(
    paths: Sequence[Path], daily: Path | None = None, *, say: Callable[[str], None] = print
) -> list[Place]:
    """Towers as places; one that cannot be read is told and left out.

    Args:
        paths: Files, or folders to look through; see `bowen.data.pair_files`.
        daily: Folder with daily fluxes of towers, as of CalLMIP, named `SITE_daily_*_Flux.nc`; they count where a tower
            has none of its own.
        say: Takes lines for people.

    Raises:
        DataError: There is none, or no daily fluxes where they are looked for.
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
        places.append(Place(name, f"{name}.nc", record, observed.assign_attrs(site=name)))
    if not places:
        raise DataError(f"No tower to judge by among {', '.join(map(str, paths))}.")
    return places


def transfer(
    runs: Sequence[Run],
    places: Sequence[Place],
    folder: Path,
    *,
    first: str | None = None,
    last: str | None = None,
    say: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Judge trained models, and LaD as it comes, at places; what was simulated in an earlier call is not again.

    Where several models are of a kind, the mean of what they give is judged besides.

    Args:
        runs: Trained models, at least one; LaD sees what the first of them sees.
        places: Where.
        folder: Where to: `MODEL/` has its days at each place, `transfer.csv` all numbers, `balance.csv` the long-term
            water balance of each place by each model, and `transfer.html` pictures.
        first: First year, month or day to judge.
        last: The last.
        say: Takes lines for people.

    Returns:
        The numbers, in the columns of `bowen.evaluation.unseen_variables`.

    Raises:
        DataError: A place lacks what drives a model.
        ModelError: A model gave a value that is not finite.
        RunError: The folder holds days of other models, or cannot be written.
    """
    from bowen.reporting.transfer_page import write_transfer  # here, because it brings matplotlib

    models, tables, balances, shown, reference = transfer_models(runs), [], [], {}, {}
    simulated = {
        name: simulate_or_read_days(name, run, places, folder / slug(name), say) for name, run in models.items()
    }
    for title, names in models_by_title(models).items():
        name = f"{title}, mean of {len(names)}"
        simulated[name] = {
            at: ensemble_mean([simulated[each][at] for each in names], name) for at in simulated[names[0]]
        }
    for name, days in simulated.items():
        shown[name] = {place: with_routing(of).sel(time=slice(first, last)) for place, of in days.items()}
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
    write_transfer(folder / "transfer.html", table, medians(table), pd.DataFrame(balances), observed, shown)
    return table


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, whole or not at all.

    Raises:
        RunError: The file cannot be written.
    """
    with replace_atomically(path) as unfinished:
        table.to_csv(unfinished, index=False)


def enable_options(run: Run, names: Sequence[str]) -> Run:
    """A trained model with options of the physics that it was trained without, each where learning it would begin.

    Raises:
        ConfigError: There is no such option.
    """
    if not (names and run.model.particulars()):
        return run
    base, offsets = run.model.particulars()
    try:
        check_learnable(base, tuple(names), "static")
    except ValueError as problem:
        raise ConfigError(f"--with: {problem}") from problem
    switched_on = {name: jnp.zeros_like(base.root_zone_capacity) for name in names if name not in offsets}
    model = eqx.tree_at(lambda m: m.particulars(), run.model, (base, offsets | switched_on))
    config = with_overrides(run.config, {"static": (*run.config.model.static, *switched_on)})
    return dataclasses.replace(run, config=config, model=model)


def transfer_models(runs: Sequence[Run]) -> dict[str, Run]:
    """LaD as it comes, and trained models, by the names they have in tables."""
    lad = uncalibrated_run(runs[0].config, runs[0].scaler, runs[0].meta["site"])
    return title_models([lad, *(run for run in runs if run.title != lad.title)])


def models_by_title(models: Mapping[str, Run]) -> dict[str, list[str]]:
    """The names of models by their title, where several have the same."""
    titles = dict.fromkeys(run.title for run in models.values())
    names = {title: [name for name, run in models.items() if run.title == title] for title in titles}
    return {title: those for title, those in names.items() if len(those) > 1}


def simulate_or_read_days(
    name: str, run: Run, places: Sequence[Place], folder: Path, say: Callable[[str], None] = print
) -> dict[str, xr.Dataset]:
    """The days of a model at places, by name; those in the folder are read, the others are simulated and written.

    Raises:
        DataError: A place lacks what drives the model.
        ModelError: The model gave a value that is not finite.
        RunError: The folder holds days of another model.
    """
    claim_simulations(folder, run)
    lacking = [place for place in places if not (folder / place.file).exists()]
    for begin in range(0, len(lacking), BATCH):
        batch = lacking[begin : begin + BATCH]
        say(f"{name}: {', '.join(place.name for place in batch)}")
        for place, days in zip(batch, simulate_days(run, records_at(run, batch), say=say), strict=True):
            data.write_netcdf(data.to_alma(days), folder / place.file)
    return {place.name: data.read_simulation(folder / place.file) for place in places}


def records_at(run: Run, places: Sequence[Place]) -> Iterator[xr.Dataset]:
    """The records of places, made as they are asked for."""
    return (place.record(run.config) for place in places)


def claim_simulations(folder: Path, run: Run) -> None:
    """Write down whose days a folder holds.

    Raises:
        RunError: They are another model's.
    """
    digest = hashlib.sha256(configs.dumps(run.config).encode())
    for leaf in jax.tree.leaves(eqx.filter(run.model, eqx.is_array)):
        digest.update(np.asarray(leaf).tobytes())
    path, mark = folder / "model.json", {"model": run.title, "sha256": digest.hexdigest()}
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != mark:
        raise RunError(
            f"{folder}: holds the days of another model.\n"
            "  fix: choose another directory with --out, or remove this one."
        )
    with replace_atomically(path) as unfinished:
        unfinished.write_text(json.dumps(mark), encoding="utf-8")


def medians(table: pd.DataFrame) -> pd.DataFrame:
    """The median of each number over the places where all models have it unseen, among those that have it anywhere.

    Returns:
        A row for a variable and metric, a column for a model, and `places`, how many they are.
    """
    models, found = list(table["model"].unique()), {}
    unseen = ~table["note"].astype(str).str.contains(TRAINED_NOTE) if "note" in table else slice(None)
    for case, part in table[unseen].groupby(["variable", "metric"], sort=False):
        wide = part.pivot(index="site", columns="model", values="value").dropna(axis="columns", how="all").dropna()
        found[case] = wide.median().reindex(models).to_dict() | {"places": float(len(wide))}
    rows = pd.MultiIndex.from_tuples(list(found), names=["variable", "metric"])
    return pd.DataFrame(list(found.values()), rows)

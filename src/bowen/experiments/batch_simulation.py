"""Batch simulation: many records side by side over decades, of which only daily values are kept."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float

from bowen import data
from bowen.evaluation.scores import RESIDUALS
from bowen.experiments.run import Run, as_site, configure_jax, site_number
from bowen.land.quantities import Scalar
from bowen.land.variables import Forcing
from bowen.models.base import TURBULENT_FLUXES, AbstractLandModel, SiteParameters, StepOutput
from bowen.models.rollout import Inputs, reset_root_zone_where, unroll
from bowen.training.arrays import to_dataset
from bowen.training.site_data import SiteData
from bowen.training.windows import DAY_SECONDS, YEAR_DAYS, stack_trees

DAILY_WEATHER = ("air_temperature", "air_pressure", "precipitation")  # kept for the climate of a site


class DailyOutput(NamedTuple):
    """Daily values of a column."""

    record: (
        StepOutput  # fluxes as means, stores at the end, soil temperature as mean, residuals as the largest of the day
    )
    weather: Forcing  # means


class _Column(NamedTuple):
    tower: SiteData
    days: xr.Dataset  # their time axis and site
    spin_up: int  # d
    steps: int  # in a day


def simulate_days(
    run: Run,
    records: Iterable[xr.Dataset],
    *,
    as_unseen: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> list[xr.Dataset]:
    """Run a model over many records side by side, and keep daily values.

    The result is that of `simulate_run`, but for the order of sums: fluxes are means over the day, snow, root zone and
    groundwater are those at its end, soil temperature is the mean, and the residuals of the budgets are the largest of
    the day. Records with the same step and the same length of spin-up share a batch, in which the shorter ones repeat
    the weather of their last step until the longest has ended.

    Args:
        run: Trained model, or uncalibrated LaD.
        records: Canonical datasets, filled; read one after the other.
        as_unseen: Whether to take sites that were trained on as unseen ones.
        say: Takes lines on progress.

    Returns:
        A dataset of the whole days of each record, from the first midnight on: variables of the model, and mean air
        temperature, air pressure and precipitation. The attribute `trained_here` is 1 where the model was trained on
        steps of the same site and time, and `water_trained` is the period of runoff or snow of the site in training.

    Raises:
        DataError: A record holds no whole day, or lacks a variable that drives the model.
        ModelError: The model gave a value that is not finite.
    """
    configure_jax(run.config)
    columns = [_column(run, record, as_unseen) for record in records]
    found: dict[int, xr.Dataset] = {}
    for kind in dict.fromkeys((column.steps, column.spin_up) for column in columns):
        chosen = [place for place, column in enumerate(columns) if (column.steps, column.spin_up) == kind]
        found |= zip(chosen, _batch(run, [columns[place] for place in chosen], say), strict=True)
    return [found[place] for place in range(len(columns))]


def _column(run: Run, dataset: xr.Dataset, as_unseen: bool) -> _Column:
    whole = data.cut_to_whole_days(dataset)
    steps = round(DAY_SECONDS / dataset.attrs["timestep_s"])
    days = xr.Dataset(coords={"time": whole.time.values[::steps]}, attrs=dataset.attrs | {"timestep_s": DAY_SECONDS})
    trained = [run.manifest.records[number] for number in run.manifest.numbers_at(dataset)]
    tower = as_site(run, whole, site_number(run, dataset, as_unseen=as_unseen))
    days.attrs["trained_here"] = int(any(record.covers(dataset.time.values).any() for record in trained))
    water = (run.manifest.water.get(name, "") for name in [*(record.site for record in trained), dataset.attrs["site"]])
    days.attrs["water_trained"] = next(filter(None, water), "")
    tower = tower.replace(arrays=jax.tree.map(np.asarray, tower.arrays))
    return _Column(tower, days, min(YEAR_DAYS, days.sizes["time"]), steps)


def _batch(run: Run, columns: Sequence[_Column], say: Callable[[str], None]) -> list[xr.Dataset]:
    """Run columns of one step and one length of spin-up, which is the length of a piece."""
    length, steps = columns[0].spin_up, columns[0].steps
    longest = max(column.days.sizes["time"] for column in columns)
    sites = stack_trees([column.tower.parameters for column in columns])
    carry = jax.vmap(run.model.init)(stack_trees([column.tower.state for column in columns]))
    short = jnp.asarray([not column.tower.arrays.inputs.is_a_year_long() for column in columns])
    pieces: list[DailyOutput] = []
    cycles = max(1, run.config.training.spin_up_years)
    starts = [0] * cycles + list(range(0, longest, length))
    for number, start in enumerate(starts, start=1):
        if number == cycles + 1:
            carry = reset_root_zone_where(run.model, carry, short, sites)
        inputs = _piece(columns, start * steps, length * steps)
        carry, days = advance_days(run.model, sites, carry, inputs, steps)
        pieces.append(jax.tree.map(np.asarray, days))
        say(f"{run.title}: {number} of {len(starts)} pieces of {length} days, {len(columns)} columns")
    run_through = pieces[len(starts) - -(-longest // length) :]
    whole = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *run_through)
    return [_daily_dataset(run, whole, place, column.days) for place, column in enumerate(columns)]


def _piece(columns: Sequence[_Column], start: int, length: int) -> Inputs:
    """Cut the inputs of each column for some steps, columns leading; after the end of a record its last step."""

    def cut(*series: Any) -> Array:
        places = [np.minimum(np.arange(start, start + length), len(values) - 1) for values in series]
        return jnp.asarray(np.stack([values[place] for values, place in zip(series, places, strict=True)]))

    each = [column.tower.arrays.inputs for column in columns]
    forcing = jax.tree.map(cut, *(inputs.forcing for inputs in each))
    return Inputs(forcing, cut(*(inputs.features for inputs in each)), each[0].dt)


@eqx.filter_jit
def advance_days(
    model: AbstractLandModel, sites: SiteParameters, carry: Any, inputs: Inputs, steps: int
) -> tuple[Any, DailyOutput]:
    """Advance columns over whole days, each at its site.

    Args:
        model: Any land model. [1]
        sites: Site of each column. [1]
        carry: Carry of each column. [1]
        inputs: Series, columns leading, time second. [1]
        steps: Number of steps in a day. [1]

    Returns:
        The final carry of each column, and its days: columns leading, days second.
    """

    def column(site: SiteParameters, carry: Any, forcing: Forcing, features: Array) -> tuple[Any, DailyOutput]:
        here = model.for_site(site)

        def day(carry: Any, now: tuple[Forcing, Array]) -> tuple[Any, DailyOutput]:
            carry, record = unroll(here, carry, Inputs(*now, inputs.dt))
            return carry, DailyOutput(daily_output(record), jax.tree.map(lambda x: x.mean(axis=0), now[0]))

        cut = jax.tree.map(lambda x: x.reshape(-1, steps, *x.shape[1:]), (forcing, features))
        return jax.lax.scan(day, carry, cut)

    return jax.vmap(column)(sites, carry, inputs.forcing, inputs.features)


def daily_output(record: StepOutput) -> StepOutput:
    """Reduce a day of outputs, time leading, to daily values; see `simulate_days`."""
    fluxes = jax.tree.map(lambda x: x.mean(axis=0), record.fluxes)
    fraction = daily_closure_fractions(record)
    if record.state is None:
        return StepOutput(fluxes, None, {}, fraction)
    residuals = [largest_residual(getattr(record.fluxes, name)) for name in RESIDUALS]
    fluxes = eqx.tree_at(lambda f: [getattr(f, name) for name in RESIDUALS], fluxes, residuals)
    state = jax.tree.map(lambda x: x[-1], record.state)
    state = eqx.tree_at(lambda s: s.soil_temperature_excess, state, record.state.soil_temperature_excess.mean(axis=0))
    return StepOutput(fluxes, state, {}, fraction)


def daily_closure_fractions(record: StepOutput) -> Float[Array, " target"]:
    """Compute the closure fraction of a day's mean turbulent fluxes, where it may change between steps. [1]."""
    whole = jnp.stack([getattr(record.fluxes, name).mean(axis=0) for name in TURBULENT_FLUXES])
    seen = record.observed().mean(axis=-1)
    return jnp.where(whole == 0.0, record.closure_fraction.mean(axis=0), seen / jnp.where(whole == 0.0, 1.0, whole))


def largest_residual(values: Float[Array, " time"]) -> Scalar:
    """Return the value farthest from zero, with its sign; NaN where there is one."""
    return values[jnp.argmax(jnp.abs(values))]


def _daily_dataset(run: Run, whole: DailyOutput, place: int, like: xr.Dataset) -> xr.Dataset:
    """Convert the days of one column to a dataset."""
    days = jax.tree.map(lambda x: x[place, : like.sizes["time"]], whole)
    simulation = to_dataset(run.model, days.record, like, run.title)
    weather = {name: ("time", np.asarray(getattr(days.weather, name), float)) for name in DAILY_WEATHER}
    trained = {name: like.attrs[name] for name in ("trained_here", "water_trained")}
    return simulation.assign(weather).assign_attrs(trained)

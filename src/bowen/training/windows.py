"""Training windows of many sites: columns that each read through a record, side by side, around its end and on.

A column stays with its site for the whole training and carries its state from one window into the next. States are
never reset to a guess, except the water of a record that is shorter than a year: its root zone is reset where the
record begins again. Every site has the same number of columns, however long its record is: sites count the same, and a
batch has no padding in time.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float

from bowen.errors import DataError
from bowen.files import memory_map_arrays
from bowen.models.rollout import Inputs
from bowen.training import devices
from bowen.training.site_data import SiteData

DAY_SECONDS, YEAR_DAYS = 86400.0, 365
TRAINING_LABELS = ("train", "validation")
MIN_MEASURED = 0.1  # share of steps; a site where less was measured counts less than the others


class Batch(NamedTuple):
    """One window of each column, time leading."""

    inputs: Inputs
    begins_anew: Bool[Array, "day column"]  # True where the root zone is reset
    is_daily: Bool[Array, "day column"]  # True where turbulent targets are daily means, as other targets always are
    targets: Float[Array, "time column target"]  # SI
    train: Float[Array, "time column target"]  # SI-2, so that the mean over steps is error over variance
    validation: Float[Array, "time column target"]  # likewise
    share: Float[Array, "1 column"]  # weight of a column, one on average; zero if it only fills a device


class WindowLoader:
    """Windows of many sites, in an order that is known beforehand."""

    def __init__(
        self,
        sites: Iterable[SiteData],
        *,
        windows_per_site: int,
        window: int,
        seed: int,
        target_weights: Sequence[float] | None = None,
        folder: Path | None = None,
    ):
        """Assign the columns to their sites and first days.

        Args:
            sites: All with the same step and targets; one at a time is enough.
            windows_per_site: Number of columns of each site; 0: as many as cover the longest record.
            window: Length of a window. [d]
            seed: Of the days the columns begin at.
            target_weights: Weight of each target in the loss; None: all the same.
            folder: Where series lie on disk during training, so that many records need no more memory than few; None:
                they stay in memory.

        Raises:
            DataError: A record is shorter than a window, has another step than the first, or nothing was measured.
            RunError: The disk is full.
        """
        sites, facts, structures, self.site_names = iter(sites), [], [], []
        first_site = next(sites)
        self.window, self.first_parameters = window, first_site.parameters
        self._first_name, self.targets = first_site.name, first_site.arrays.names
        self.per_day = round(DAY_SECONDS / float(first_site.arrays.inputs.dt))

        def series() -> Iterator[np.ndarray]:
            for site in itertools.chain([first_site], sites):
                inputs, parameters = site.arrays.inputs, (site.parameters, site.as_unseen or site.parameters)
                is_short, variance = not inputs.is_a_year_long(), target_variance(site, "validation")
                self.site_names.append(site.name)
                facts.append((self._days(site), site.has_daily_fluxes, is_short, variance, site.state, *parameters))
                train, validation = (loss_weights(site, label) for label in TRAINING_LABELS)
                train = train if target_weights is None else train * np.asarray(target_weights, train.dtype)
                arrays, structure = jax.tree.flatten((inputs, site.arrays.targets, train, validation))
                structures.append(structure)
                yield from map(np.asarray, arrays)

        arrays = iter(memory_map_arrays(series(), folder) if folder else list(series()))
        self._series = [each.unflatten(itertools.islice(arrays, each.num_leaves)) for each in structures]
        days, has_daily_fluxes, is_short, variances, *states_and_parameters = zip(*facts, strict=True)
        self.days, self._has_daily_fluxes, self._is_short = map(np.array, (days, has_daily_fluxes, is_short))
        self.variance = np.stack(variances)  # SI2, (site, target)
        columns = windows_per_site or -(-int(self.days.max()) // window)
        first_day = np.random.default_rng(seed).random(len(days))
        place = np.add.outer(first_day, np.arange(columns) / columns)  # of a site's columns in its record
        self.start = (place * self.days[:, None]).astype(int).ravel()
        self.owner = np.repeat(np.arange(len(days)), columns)
        self.mesh = devices.mesh_for(len(self.owner))
        self._local, self._share = devices.local_columns(self.mesh, len(self.owner))
        states, *both = map(stack_trees, states_and_parameters)
        self.states = jax.tree.map(lambda x: x[self.owner], states)
        is_odd = np.arange(len(self.owner)) % columns % 2
        parameters = jax.tree.map(lambda *x: np.stack(x)[is_odd, self.owner], *both)
        self.sites = devices.place_on_devices(self.mesh, parameters, devices.COLUMNS_FIRST)

    @property
    def year(self) -> int:
        """Length of spin-up. [d]."""
        return min(YEAR_DAYS, int(self.days.max()))

    def inputs(self, day: int, length: int) -> Inputs:
        """Return the inputs of each column for a number of days, counted from its first."""

        def pick(site: int, steps: np.ndarray) -> Inputs:
            return jax.tree.map(lambda x: x[steps] if x.ndim else x, self._series[site][0])

        return self._gather(pick, day, length)

    def begins_anew(self, day: int, length: int) -> Bool[Array, "day column"]:
        """Return True on the first day of a record shorter than a year, where the root zone is reset."""
        owner = self.owner[self._local]
        days = np.add.outer(np.arange(length), self.start[self._local] + day)
        return devices.place_batch(self.mesh, self._is_short[owner] & (days % self.days[owner] == 0))

    def batch(self, update: int) -> Batch:
        """Return the windows of an update; they begin where those of the update before end."""
        day = update * self.window

        def pick(site: int, steps: np.ndarray) -> tuple[np.ndarray, ...]:
            return tuple(series[steps] for series in self._series[site][1:])

        inputs, begins_anew = self.inputs(day, self.window), self.begins_anew(day, self.window)
        share: Any = self._share[None].astype(self._series[0][1].dtype)
        targets, train, validation = self._gather(pick, day, self.window)
        share = devices.place_batch(self.mesh, share)
        return Batch(inputs, begins_anew, self._is_daily(), targets, train, validation, share)

    def _is_daily(self) -> Bool[Array, "day column"]:
        local: Any = np.tile(self._has_daily_fluxes[self.owner[self._local]], (self.window, 1))
        return devices.place_batch(self.mesh, local)

    def _gather(self, pick: Callable[[int, np.ndarray], Any], day: int, length: int) -> Any:
        """Pick series of each column at its steps, columns second, over the devices."""
        owner = self.owner[self._local]
        days = np.add.outer(self.start[self._local] + day, np.arange(length)) % self.days[owner, None]
        steps = np.add.outer(days * self.per_day, np.arange(self.per_day)).reshape(len(days), -1)
        each = [pick(int(site), here) for site, here in zip(owner, steps, strict=True)]
        stacked = jax.tree.map(lambda *x: np.stack(x, axis=1) if x[0].ndim else x[0], *each)
        return devices.place_batch(self.mesh, stacked)

    def _days(self, site: SiteData) -> int:
        """Count the whole days of a record."""
        per_day = round(DAY_SECONDS / float(site.arrays.inputs.dt))
        days = site.arrays.targets.shape[0] // per_day
        if per_day != self.per_day:
            raise DataError(
                site.name,
                f"has {per_day} steps a day where {self._first_name} has {self.per_day}",
                fix="train on records with the same step",
            )
        if days < self.window:
            raise DataError(
                site.name,
                f"the record has {days} whole days, less than a window of {self.window}",
                fix="lower `window_days`, or give a longer record",
            )
        return days


def step_weights(site: SiteData, label: str) -> np.ndarray:
    """Return the weight of each step and target in a part of the record, before sites are balanced.

    Raises:
        DataError: A target was measured, but not in this part of the record, or none was.
    """
    ever = np.asarray(site.arrays.measured)
    chosen = ever & (site.labels == label)[:, None]
    if (few := (chosen.sum(axis=0) < 2) & (ever.any(axis=0) | ~ever.any())).any():
        raise DataError(
            site.name,
            f"no measured {site.arrays.names[int(np.argmax(few))]} in the {label} part of the record",
            fix="choose another split, or see `bowen inspect` for when it was measured",
        )
    return chosen * np.asarray(site.arrays.weight)


def target_variance(site: SiteData, label: str) -> np.ndarray:
    """Compute the variance of each target over the steps that count; zero where none does. [SI2]."""
    count, values = step_weights(site, label), np.asarray(site.arrays.targets)
    total = np.maximum(count.sum(axis=0), np.finfo(count.dtype).tiny)
    mean = (count * values).sum(axis=0) / total
    return (count * (values - mean) ** 2).sum(axis=0) / total


def loss_weights(site: SiteData, label: str) -> np.ndarray:
    """Compute weights by which the mean over all steps is the mean over those that count, over the variance. [SI-2]."""
    count = step_weights(site, label)
    share = np.maximum(count.mean(axis=0), MIN_MEASURED * (site.labels == label).mean())
    scale = target_variance(site, label) * share
    return np.divide(count, scale, out=np.zeros(count.shape), where=scale > 0.0).astype(site.arrays.targets.dtype)


def stack_trees(trees: Sequence[Any]) -> Any:
    """Stack trees along a new first axis, in NumPy: JAX would compile each way of stacking."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)

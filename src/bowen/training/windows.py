"""Many records at once: columns that each read through a record of their own, side by side, around its end and on.

A column stays with its tower for the whole training and carries its state from one window into the next. No state is
reset to a guess, but for the water of a record that is shorter than a year: it begins anew with the record. Every tower
has the same number of columns, however long its record is: towers count the same, and a batch has no padding.
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
from bowen.land.variables import State
from bowen.models.base import SiteParameters
from bowen.models.rollout import Inputs
from bowen.training import devices
from bowen.training.arrays import SiteArrays

DAY, YEAR = 86400.0, 365  # s, d
TRAINING_LABELS = ("train", "validation")
MIN_MEASURED = 0.1  # share of steps; a tower where less was measured counts less than the others


class SiteData(NamedTuple):
    """A record to train on, with all that a model needs to know of its site."""

    name: str
    series: SiteArrays
    site: SiteParameters
    state: State  # to spin up from
    labels: np.ndarray  # "train", "validation" or something else for each step
    daily: bool = False  # whether its turbulent fluxes are means over days, as other targets always are
    unseen_site: SiteParameters | None = (
        None  # the site where nothing of its own is known; every other column is there, if given
    )


class Batch(NamedTuple):
    """One window of each column, time leading."""

    inputs: Inputs
    renewals: Bool[Array, "day column"]  # whether the water begins anew
    daily: Bool[Array, "day column"]  # whether turbulent fluxes are the mean of the day, as other targets always are
    targets: Float[Array, "time column target"]  # SI
    train: Float[Array, "time column target"]  # SI-2, so that the mean over steps is error over variance
    validation: Float[Array, "time column target"]  # likewise
    share: Float[Array, "1 column"]  # what a column counts, one on average; nothing if it is there to fill a device


class WindowLoader:
    """The windows of many towers, in an order that is known beforehand."""

    def __init__(
        self,
        towers: Iterable[SiteData],
        *,
        columns: int,
        window: int,
        seed: int,
        target_weights: Sequence[float] | None = None,
        folder: Path | None = None,
    ):
        """Deal the columns out.

        Args:
            towers: The records, all with the same step and targets; one at a time is enough.
            columns: Of each tower; 0: as many as cover the longest record.
            window: Length of a window. [d]
            seed: Of the days the columns begin at.
            target_weights: Weight of each target in the loss; None: all the same.
            folder: On whose disk series lie while they train, that many records need no more memory than few; None:
                they stay in memory.

        Raises:
            DataError: A record is shorter than a window, has another step than the first, or nothing was measured.
            RunError: The disk is full.
        """
        towers, told, shapes = iter(towers), [], []
        head = next(towers)
        self.window, self.first, self._name, self.targets = window, head.site, head.name, head.series.names
        self.per_day = round(DAY / float(head.series.inputs.dt))

        def series() -> Iterator[np.ndarray]:
            for tower in itertools.chain([head], towers):
                inputs, sites = tower.series.inputs, (tower.site, tower.unseen_site or tower.site)
                short = not inputs.last_a_year()
                told.append(
                    (self._days(tower), tower.daily, short, target_variance(tower, "validation"), tower.state, *sites)
                )
                train, validation = (loss_weights(tower, label) for label in TRAINING_LABELS)
                train = train if target_weights is None else train * np.asarray(target_weights, train.dtype)
                arrays, shape = jax.tree.flatten((inputs, tower.series.targets, train, validation))
                shapes.append(shape)
                yield from map(np.asarray, arrays)

        arrays = iter(memory_map_arrays(series(), folder) if folder else list(series()))
        self._series = [shape.unflatten(itertools.islice(arrays, shape.num_leaves)) for shape in shapes]
        days, daily, short, variances, *known = zip(*told, strict=True)
        self.days, self._daily, self._short = map(np.array, (days, daily, short))
        self.variance = np.stack(variances)  # SI2, (tower, target)
        columns = columns or -(-int(self.days.max()) // window)
        first = np.random.default_rng(seed).random(len(days))
        place = np.add.outer(first, np.arange(columns) / columns)  # of a tower's columns in its record
        self.start = (place * self.days[:, None]).astype(int).ravel()
        self.owner = np.repeat(np.arange(len(days)), columns)
        self.mesh = devices.mesh_for(len(self.owner))
        self._mine, self._share = devices.local_columns(self.mesh, len(self.owner))
        states, *both = map(stack_trees, known)
        self.states = jax.tree.map(lambda x: x[self.owner], states)
        odd = np.arange(len(self.owner)) % columns % 2
        sites = jax.tree.map(lambda *x: np.stack(x)[odd, self.owner], *both)
        self.sites = devices.place_on_devices(self.mesh, sites, devices.COLUMNS_FIRST)

    @property
    def year(self) -> int:
        """Days that are run through to spin up."""
        return min(YEAR, int(self.days.max()))

    def inputs(self, day: int, length: int) -> Inputs:
        """What drives each column for a number of days, from so many days after its first."""

        def pick(tower: int, steps: np.ndarray) -> Inputs:
            return jax.tree.map(lambda x: x[steps] if x.ndim else x, self._series[tower][0])

        return self._gathered(pick, day, length)

    def renewals(self, day: int, length: int) -> Bool[Array, "day column"]:
        """On which of these days the water of each column begins anew: the first of a record shorter than a year."""
        owner = self.owner[self._mine]
        days = np.add.outer(np.arange(length), self.start[self._mine] + day)
        return devices.place_batch(self.mesh, self._short[owner] & (days % self.days[owner] == 0))

    def batch(self, number: int) -> Batch:
        """The windows of an update; they begin where those of the update before end."""
        day = number * self.window

        def pick(tower: int, steps: np.ndarray) -> tuple[np.ndarray, ...]:
            return tuple(of[steps] for of in self._series[tower][1:])

        weather, renewals = self.inputs(day, self.window), self.renewals(day, self.window)
        share: Any = self._share[None].astype(self._series[0][1].dtype)
        targets, train, validation = self._gathered(pick, day, self.window)
        share = devices.place_batch(self.mesh, share)
        return Batch(weather, renewals, self._by_day(), targets, train, validation, share)

    def _by_day(self) -> Bool[Array, "day column"]:
        here: Any = np.tile(self._daily[self.owner[self._mine]], (self.window, 1))
        return devices.place_batch(self.mesh, here)

    def _gathered(self, pick: Callable[[int, np.ndarray], Any], day: int, length: int) -> Any:
        """What `pick` takes of the record of each column at its steps, columns second, over the devices."""
        owner = self.owner[self._mine]
        days = np.add.outer(self.start[self._mine] + day, np.arange(length)) % self.days[owner, None]
        steps = np.add.outer(days * self.per_day, np.arange(self.per_day)).reshape(len(days), -1)
        each = [pick(int(tower), here) for tower, here in zip(owner, steps, strict=True)]
        return devices.place_batch(
            self.mesh, jax.tree.map(lambda *x: np.stack(x, axis=1) if x[0].ndim else x[0], *each)
        )

    def _days(self, tower: SiteData) -> int:
        """Whole days of a record."""
        per_day = round(DAY / float(tower.series.inputs.dt))
        days = tower.series.targets.shape[0] // per_day
        if per_day != self.per_day:
            raise DataError(
                f"{tower.name}: has {per_day} steps a day where {self._name} has {self.per_day}.\n"
                "  fix: train on records of one step at a time."
            )
        if days < self.window:
            raise DataError(
                f"{tower.name}: the record has {days} whole days, less than a window of {self.window}.\n"
                "  fix: lower `window_days`, or give a longer record."
            )
        return days


def step_weights(tower: SiteData, label: str) -> np.ndarray:
    """What each step of each target counts, before towers are balanced with each other.

    Raises:
        DataError: A target was measured, but not in this part of the record, or none was.
    """
    ever = np.asarray(tower.series.measured)
    chosen = ever & (tower.labels == label)[:, None]
    if (few := (chosen.sum(axis=0) < 2) & (ever.any(axis=0) | ~ever.any())).any():
        raise DataError(
            f"{tower.name}: no measured {tower.series.names[int(np.argmax(few))]} in the {label} part of the record.\n"
            "  fix: choose another split, or see `bowen inspect` for when it was measured."
        )
    return chosen * np.asarray(tower.series.weight)


def target_variance(tower: SiteData, label: str) -> np.ndarray:
    """Of each target over the steps that count; zero where none does. [SI2]."""
    count, values = step_weights(tower, label), np.asarray(tower.series.targets)
    total = np.maximum(count.sum(axis=0), np.finfo(count.dtype).tiny)
    mean = (count * values).sum(axis=0) / total
    return (count * (values - mean) ** 2).sum(axis=0) / total


def loss_weights(tower: SiteData, label: str) -> np.ndarray:
    """Weights by which the mean over all steps is the mean over those that count, over the variance. [SI-2]."""
    count = step_weights(tower, label)
    share = np.maximum(count.mean(axis=0), MIN_MEASURED * (tower.labels == label).mean())
    scale = target_variance(tower, label) * share
    return np.divide(count, scale, out=np.zeros(count.shape), where=scale > 0.0).astype(tower.series.targets.dtype)


def stack_trees(trees: Sequence[Any]) -> Any:
    """One tree of many, with a leading axis, in NumPy: JAX would compile each way of stacking."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)

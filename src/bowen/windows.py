"""Windows: a record cut into pieces that run side by side, each beginning some days early."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bowen.config import Training
from bowen.errors import DataError
from bowen.series import TARGETS, Series
from bowen.solve import Inputs

DAY = 86400.0  # s
YEAR = 365  # d


class Layout(NamedTuple):
    """How whole days are cut: window i covers `length` days from i * length, and begins `lead` days early."""

    steps_per_day: int
    days: int  # in the record
    length: int
    lead: int

    @property
    def count(self) -> int:
        """Number of windows."""
        return -(-self.days // self.length)

    @property
    def year(self) -> int:
        """Days that are cycled over to spin up, and before the record begins."""
        return min(self.days, YEAR)

    def start_days(self) -> np.ndarray:
        """Day at which each window begins; the first begins in the cycle before the record."""
        starts = np.arange(self.count) * self.length - self.lead
        return np.where(starts < 0, starts % self.year, starts)

    def steps(self) -> np.ndarray:
        """Step of the record at each step of each window, (step, window); past the end the last step repeats."""
        days = np.arange(self.count) * self.length - self.lead + np.arange(self.lead + self.length)[:, None]
        wrapped = np.where(days < 0, days % self.year, days)
        steps = wrapped[:, None, :] * self.steps_per_day + np.arange(self.steps_per_day)[None, :, None]
        return np.minimum(steps.reshape(-1, self.count), self.days * self.steps_per_day - 1)

    def counted(self) -> np.ndarray:
        """Whether a step of a window is after its lead and before the end of the record, (step, window)."""
        day = np.arange(self.lead + self.length).repeat(self.steps_per_day)[:, None]
        return (day >= self.lead) & (np.arange(self.count) * self.length - self.lead + day < self.days)


class Windows(NamedTuple):
    """The windows of a record, time leading: what drives them, what was measured, and what each step counts for."""

    inputs: Inputs
    targets: Float[Array, "time window target"]  # W m-2
    train: Float[Array, "time window target"]  # weights that sum to 1 for each target
    validation: Float[Array, "time window target"]
    validation_spread: Float[Array, " target"]  # W m-2, of the validation targets
    spread: Float[Array, " target"]  # W m-2, of the training targets


def lay_out(series: Series, training: Training) -> Layout:
    """Cut the whole days of a series.

    Raises:
        DataError: There is less than a window.
    """
    per_day = round(DAY / float(series.inputs.dt))
    days = series.targets.shape[0] // per_day
    if days < training.window_days:
        raise DataError(
            f"the record has {days} whole days, less than a window of {training.window_days}.\n"
            "  to go on: lower `window_days`, or give a longer record."
        )
    return Layout(per_day, days, training.window_days, min(training.warmup_days, days))


def cut(series: Series, labels: np.ndarray, layout: Layout) -> Windows:
    """Gather the windows of a series, with the steps labeled "train" and "validation" as weights.

    Raises:
        DataError: Nothing was measured in training or in validation.
    """
    steps, counted = layout.steps(), layout.counted()
    dtype = series.targets.dtype
    seen, values = np.asarray(series.measured)[steps], np.asarray(series.targets)[steps]
    confidence = {"train": np.asarray(series.weight)[steps], "validation": np.ones_like(values)}

    def weights(label: str) -> np.ndarray:
        chosen = seen & (counted & (labels[steps] == label))[..., None]
        total = chosen.sum(axis=(0, 1))
        if (total < 2).any():
            name = TARGETS[int(np.argmin(total))]
            raise DataError(
                f"no measured {name} in the {label} part of the record.\n"
                "  to go on: choose another split, or see `bowen inspect` for when it was measured."
            )
        counting = chosen * confidence[label]
        return counting / counting.sum(axis=(0, 1))

    def spread(weight: np.ndarray) -> np.ndarray:
        mean = (weight * values).sum(axis=(0, 1))
        return np.sqrt((weight * (values - mean) ** 2).sum(axis=(0, 1)))

    train, validation = weights("train"), weights("validation")
    arrays = [jnp.asarray(x.astype(dtype)) for x in (train, validation, spread(validation), spread(train))]
    return Windows(series.inputs.each(lambda x: x[steps]), jnp.asarray(values), *arrays)

"""Training: one gradient from the measured fluxes through the physics into the network, over many windows at once.

A record is cut into windows that run side by side. Each begins some days early, from the state that the window before
it has just reached: states are carried, with the weights of one update ago, and never reset to a guess.
"""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from bowen.config import Training
from bowen.errors import ModelError
from bowen.land import AbstractLand, Record
from bowen.series import Series
from bowen.solve import Inputs, roll_columns
from bowen.variables import State
from bowen.windows import Layout, Windows, cut, lay_out

LEAST_GAIN = 1e-4  # of the efficiency; less does not make training wait any longer


class Progress(NamedTuple):
    """All that training carries from update to update: what a checkpoint holds."""

    model: AbstractLand
    optimizer: Any
    bank: Any  # what the model carries at the start of each window
    best: AbstractLand
    best_score: Array
    waited: Array  # validations without gain
    step: Array


class Row(NamedTuple):
    """One validation in the history of a training."""

    step: int
    loss: float
    validation: float  # mean Nash-Sutcliffe efficiency over the targets
    validation_latent_heat: float
    validation_sensible_heat: float
    seconds: float


def predict(model: AbstractLand, bank: Any, inputs: Inputs, steps_per_day: int) -> tuple[Any, Any]:
    """Run all windows side by side; returns what each carries after every day, and predictions with offsets.

    The gradient runs each day again, from what was carried into it, in the place of keeping what each step computed.
    """

    def select(record: Record):
        pair = record.observed()
        return pair, jnp.stack(list(record.offsets.values())) if record.offsets else jnp.zeros_like(pair[:0])

    @functools.partial(jax.checkpoint, prevent_cse=False)
    def day(carry, part):
        forcing, features = part
        carry, kept = roll_columns(model, carry, Inputs(forcing, features, inputs.dt), select)
        return carry, (carry, kept)

    series = (inputs.forcing, inputs.features)
    by_day = jax.tree.map(lambda x: x.reshape(-1, steps_per_day, *x.shape[1:]), series)
    _, (carries, kept) = jax.lax.scan(day, bank, by_day)
    return carries, jax.tree.map(lambda x: x.reshape(x.shape[0] * steps_per_day, *x.shape[2:]), kept)


def hand_on(carries: Any, layout: Layout) -> Any:
    """What each window begins with next: what the one before it carried there, the first what ends the cycled year."""
    window = min(layout.year // layout.length, layout.count - 1)
    day = layout.year - window * layout.length

    def next_start(x):
        first = x[day - 1, window] if day else x[layout.length - 1, window - 1]
        return jnp.concatenate([first[None], x[layout.length - 1, :-1]])

    return jax.tree.map(next_start, carries)


def first_bank(model: AbstractLand, state: State, series: Series, layout: Layout, cycles: int) -> Any:
    """What each window begins with before training: spin up over the first year, then run through the record."""
    single, steps = series.inputs.each(lambda x: x[:, None]), layout.steps_per_day

    @eqx.filter_jit
    def day(model, carry, number):
        carries, _ = predict(model, carry, single.window(number * steps, steps), steps)
        return jax.tree.map(lambda x: x[0], carries)

    def through(carry, days):
        """What is carried before the first of the days, and after each."""
        carries = [carry]
        for number in range(days):
            carries.append(day(model, carries[-1], jnp.asarray(number)))
        return carries

    carry = jax.tree.map(lambda x: x[None], model.start(state))
    for _ in range(cycles):
        carry = through(carry, layout.year)[-1]
    by_day = through(carry, layout.days)
    return jax.tree.map(lambda *x: jnp.concatenate(x), *(by_day[start] for start in layout.start_days()))


def loss(model: AbstractLand, bank: Any, windows: Windows, steps_per_day: int, prior: float) -> tuple[Array, Any]:
    """Squared error over the spread of each target, and a pull of the learned parameters toward their defaults."""
    carries, (predicted, offsets) = predict(model, bank, windows.inputs, steps_per_day)
    squared = (predicted - windows.targets) ** 2
    error = (windows.train * squared).sum(axis=(0, 1)) / windows.spread**2
    pull = (offsets**2).mean(axis=(0, 1)).sum() if offsets.size else jnp.zeros_like(error[0])
    efficiency = 1.0 - (windows.validation * squared).sum(axis=(0, 1)) / windows.validation_spread**2
    return error.mean() + prior * pull, (jax.lax.stop_gradient(carries), efficiency)


def learned(model: AbstractLand) -> Any:
    """Which leaves of a model training moves: its arrays, but for the part it declares fixed."""
    mask = jax.tree.map(eqx.is_inexact_array, model)
    return eqx.tree_at(lambda m: m.fixed(), mask, jax.tree.map(lambda _: False, model.fixed()))


def optimizer(training: Training) -> optax.GradientTransformation:
    """Adam with clipped gradients, a warm-up and a cosine decay; weight decay on matrices only."""
    rate = optax.warmup_cosine_decay_schedule(
        0.1 * training.learning_rate, training.learning_rate, min(20, training.steps), max(training.steps, 21),
        0.02 * training.learning_rate,
    )  # fmt: skip
    return optax.chain(
        optax.clip_by_global_norm(training.gradient_clip),
        optax.adamw(
            rate, weight_decay=training.weight_decay, mask=lambda tree: jax.tree.map(lambda x: x.ndim > 1, tree)
        ),
    )


def begin(model: AbstractLand, state: State, series: Series, layout: Layout, training: Training) -> Progress:
    """Progress before the first update; the caller's model is left alone, for updates overwrite what they are given."""
    model = copied(model)
    bank = first_bank(model, state, series, layout, training.spin_up_years)
    moments = optimizer(training).init(eqx.filter(model, learned(model)))
    none = jnp.asarray(0)
    return Progress(model, moments, bank, copied(model), jnp.asarray(-jnp.inf), none, none)


def copied(tree: Any) -> Any:
    """The same tree in memory of its own."""
    return jax.tree.map(lambda x: x.copy() if eqx.is_array(x) else x, tree)


def train(
    model: AbstractLand,
    series: Series,
    labels: np.ndarray,
    state: State,
    training: Training,
    *,
    progress: Progress | None = None,
    history: tuple[Row, ...] = (),
    watch: Callable[[Progress, tuple[Row, ...]], None] = lambda progress, history: None,
) -> tuple[Progress, tuple[Row, ...]]:
    """Train a model until validation no longer gains; the same inputs give the same bits.

    Args:
        model: Any land model. [1]
        series: The whole record; targets outside of training and validation are not looked at. [1]
        labels: "train", "validation" or something else for each step. [1]
        state: A physical state to spin up from. [SI]
        training: Settings. [1]
        progress: Where an interrupted training goes on; None begins. [1]
        history: Of the interrupted training. [1]
        watch: Called after every validation, to save and to show. [1]

    Returns:
        The last progress, whose `best` is the model with the best validation, and the history.

    Raises:
        DataError: The record is too short, or nothing was measured in a part of it.
        ModelError: The loss is no longer finite; the message names the update.
    """
    layout = lay_out(series, training)
    windows = cut(series, labels, layout)
    descend = optimizer(training)

    @eqx.filter_jit(donate="all-except-first")
    def update(windows, model, moments, bank):
        moving, still = eqx.partition(model, learned(model))

        def objective(moving):
            return loss(eqx.combine(moving, still), bank, windows, layout.steps_per_day, training.prior_weight)

        (value, (carries, efficiency)), gradient = jax.value_and_grad(objective, has_aux=True)(moving)
        change, moments = descend.update(gradient, moments, moving)
        after = eqx.combine(optax.apply_updates(moving, change), still)
        return after, moments, hand_on(carries, layout), value, efficiency

    progress = begin(model, state, series, layout, training) if progress is None else progress
    began = time.monotonic() - (history[-1].seconds if history else 0.0)
    for step in range(int(progress.step), training.steps):
        validating = step % training.validate_every == 0 or step == training.steps - 1
        if int(progress.waited) >= training.patience:
            break
        before = copied(progress.model) if validating else None
        after, moments, bank, value, efficiency = update(windows, progress.model, progress.optimizer, progress.bank)
        progress = progress._replace(model=after, optimizer=moments, bank=bank, step=jnp.asarray(step + 1))
        if not validating:
            continue
        latent, sensible = map(float, efficiency)
        row = Row(step, float(value), (latent + sensible) / 2.0, latent, sensible, time.monotonic() - began)
        if not np.isfinite(row.loss):
            raise ModelError(
                f"the loss is {row.loss} at update {step}.\n"
                '  to go on: lower `learning_rate`, or train with precision = "float64"; '
                "the last checkpoint is sound, and training goes on from it."
            )
        gain = row.validation - float(progress.best_score)
        progress = progress._replace(
            best=before if gain > 0.0 else progress.best,
            best_score=jnp.asarray(max(row.validation, float(progress.best_score))),
            waited=jnp.asarray(0) if gain > LEAST_GAIN else progress.waited + 1,
        )
        history = (*history, row)
        watch(progress, history)
    return progress, history

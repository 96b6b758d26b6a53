"""Training: one gradient from the measured fluxes through the physics and the solver into the network.

Many windows run side by side, of one tower or of many, and each begins with what the window before it has carried
there at the last update: states are handed on, never reset to a guess.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float

from bowen.config.schema import Training
from bowen.errors import ModelError
from bowen.land.variables import State
from bowen.models.base import TURBULENT, AbstractLand, Record, Site
from bowen.models.rollout import Inputs, apart, begun, roll_columns
from bowen.numerics.rematerialization import FOUND, again
from bowen.training import devices
from bowen.training.windows import Batch, Streams

QUARTERS = 4  # of a day, where its steps divide so
LEAST_GAIN = 1e-4  # of the efficiency; less does not make training wait any longer
WORST = -1.0  # efficiency of a tower; what is below says no more
PIECE = 250_000  # steps of all columns that are spun up at a time, if a window has no more


class Progress(NamedTuple):
    """All that training carries from update to update: what a checkpoint holds."""

    model: AbstractLand
    average: AbstractLand  # of the models of the last updates
    optimizer: Any
    carry: Any  # of each column
    tally: Array  # of each column and target: validation errors, squared and weighted, and the weights
    best: AbstractLand
    best_score: Array
    waited: Array  # validations without gain
    step: Array


PLACES = Progress(*[devices.ALL] * len(Progress._fields))._replace(carry=devices.FIRST, tally=devices.SECOND)


class Row(NamedTuple):
    """One validation in the history of a training."""

    step: int
    loss: float
    validation: float  # mean Nash-Sutcliffe efficiency over towers and targets
    validation_latent_heat: float  # median over the towers
    validation_sensible_heat: float
    seconds: float
    validation_runoff: float = np.nan
    validation_snow_water: float = np.nan


TOLD = tuple(name for name in Row._fields if name.startswith("validation_"))


def predict(
    model: AbstractLand,
    carry: Any,
    inputs: Inputs,
    renewals: Bool[Array, "day column"],
    sites: Site | None = None,
    targets: Sequence[str] = TURBULENT,
) -> tuple[Any, Any]:
    """Run all windows side by side; returns what each carries in the end, and predictions of targets with offsets.

    The gradient runs each quarter of a day again, from what was carried into it, and then each step: what each computed
    is not kept, but for what was found by iteration. What a quarter keeps while it is run again stays in the cache.
    """

    def select(record: Record):
        told = record.observed(targets)
        return told, jnp.stack(list(record.offsets.values())) if record.offsets else jnp.zeros_like(told[:0])

    def quarter(carry, part):
        renewed, forcing, features = part
        carry = begun(model, apart(carry), renewed, sites)
        return roll_columns(model, carry, Inputs(forcing, features, inputs.dt), select, sites)

    series, days, steps = (inputs.forcing, inputs.features), len(renewals), len(inputs.features)
    count = math.gcd(QUARTERS, steps // days)
    renewed = jnp.zeros((count * days, *renewals.shape[1:]), bool).at[::count].set(renewals)
    parts = jax.tree.map(lambda x: x.reshape(count * days, -1, *x.shape[1:]), series)
    carry, kept = jax.lax.scan(again(quarter, FOUND), carry, (renewed, *parts))
    return carry, jax.tree.map(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), kept)


def as_given(
    predicted: Float[Array, "time column target"],
    daily: Bool[Array, "day column"],
    targets: Sequence[str] = TURBULENT,
) -> Float[Array, "time column target"]:
    """Predictions at the interval of the targets: means of days for turbulent fluxes given so, and all others."""
    by_day = predicted.reshape(len(daily), -1, *predicted.shape[1:])
    means = by_day.mean(axis=1, keepdims=True)
    chosen, always = daily[:, None, :, None], np.array([[[[name not in TURBULENT for name in targets]]]])
    return jnp.where(chosen | always if always.any() else chosen, means, by_day).reshape(predicted.shape)


def loss(
    model: AbstractLand, carry: Any, batch: Batch, sites: Site, prior: float, targets: Sequence[str] = TURBULENT
) -> tuple[Array, Any]:
    """Squared error over the variance of each tower, and a pull of the learned parameters toward their defaults."""
    after, (predicted, offsets) = predict(model, carry, batch.inputs, batch.renewals, sites, targets)
    squared = (as_given(predicted, batch.daily, targets) - batch.targets) ** 2
    share = batch.share[..., None]
    error = (share * batch.train * squared).mean()
    pull = (share * offsets**2).mean(axis=(0, 1)).sum() if offsets.size else jnp.zeros_like(error)
    tally = jnp.stack([(batch.validation * squared).sum(axis=0), batch.validation.sum(axis=0)])
    return error + prior * pull, jax.lax.stop_gradient((after, tally))


def learned(model: AbstractLand) -> Any:
    """Which leaves of a model training moves: its arrays, but for the part it declares fixed."""
    mask = jax.tree.map(eqx.is_inexact_array, model)
    return eqx.tree_at(lambda m: m.fixed(), mask, jax.tree.map(lambda _: False, model.fixed()))


def optimizer(training: Training) -> optax.GradientTransformation:
    """Adam with clipped gradients, a warm-up and a cosine decay; weight decay on matrices only.

    What reads the memory of a network out, and what is learned of sites, move at rates of their own: zero at first,
    they have far to go.
    """
    multiples = {"head": training.head_rate, "offsets": training.static_rate, "regional": training.static_rate}

    def paced(change, _):
        return jax.tree_util.tree_map_with_path(lambda path, x: multiples.get(path[0].name, 1.0) * x, change)

    rate = optax.warmup_cosine_decay_schedule(
        0.1 * training.learning_rate, training.learning_rate, min(20, training.steps), max(training.steps, 21),
        0.02 * training.learning_rate,
    )  # fmt: skip
    return optax.chain(
        optax.clip_by_global_norm(training.gradient_clip),
        optax.adamw(
            rate, weight_decay=training.weight_decay, mask=lambda tree: jax.tree.map(lambda x: x.ndim > 1, tree)
        ),
        optax.stateless(paced),
    )


def fresh(model: AbstractLand, states: State, training: Training, targets: int = len(TURBULENT)) -> Progress:
    """Progress before spin-up; the caller's model is left alone, for updates overwrite what they are given."""
    model, carry = copied(model), jax.vmap(model.start)(states)
    moments = optimizer(training).init(eqx.filter(model, learned(model)))
    return Progress(
        model=model,
        average=copied(model),
        optimizer=moments,
        carry=carry,
        tally=jnp.zeros((2, len(jax.tree.leaves(carry)[0]), targets)),
        best=copied(model),
        best_score=jnp.asarray(-jnp.inf),
        waited=jnp.asarray(0),
        step=jnp.asarray(0),
    )


def begin(model: AbstractLand, streams: Streams, training: Training) -> Progress:
    """Progress before the first update, where each column has run through the years before its first day."""

    def each(model, carry, driven, sites):
        inputs, renewals = driven
        return predict(model, carry, inputs, renewals, sites)[0]

    run = eqx.filter_jit(devices.over_columns(streams.mesh, each, devices.FIRST))
    progress = devices.placed(streams.mesh, fresh(model, streams.states, training, len(streams.targets)), PLACES)
    carry = progress.carry
    most = max(streams.window, PIECE // (streams.per_day * len(streams.owner)))
    days = max(days for days in range(1, most + 1) if streams.year % days == 0)  # one program for all pieces
    for first in range(-training.spin_up_years * streams.year, 0, days):
        driven = streams.inputs(first, days), streams.renewals(first, days)
        carry = run(progress.model, carry, driven, streams.sites)
    return progress._replace(carry=carry)


def outline(model: AbstractLand, streams: Streams, training: Training) -> Progress:
    """The structure, shapes and types of progress, to read a checkpoint into."""
    return eqx.filter_eval_shape(fresh, model, streams.states, training, len(streams.targets))


def copied(tree: Any) -> Any:
    """The same tree in memory of its own."""
    return jax.tree.map(lambda x: x.copy() if eqx.is_array(x) else x, tree)


def train(
    model: AbstractLand,
    streams: Streams,
    training: Training,
    *,
    progress: Progress | None = None,
    history: tuple[Row, ...] = (),
    watch: Callable[[Progress, tuple[Row, ...]], None] = lambda progress, history: None,
) -> tuple[Progress, tuple[Row, ...]]:
    """Train a model on one tower or many until validation no longer gains; the same inputs give the same bits.

    Args:
        model: Any land model. [1]
        streams: The records. [1]
        training: Settings. [1]
        progress: Where an interrupted training goes on, on however many devices it was; None begins. [1]
        history: Of the interrupted training. [1]
        watch: Called after every validation, to save and to show. [1]

    Returns:
        The last progress, whose `best` is the model with the best validation, and the history.

    Raises:
        ModelError: The loss is no longer finite, or nothing was validated; the message names the update.
    """
    descend = optimizer(training)

    def each(model, carry, batch, sites):
        moving, still = eqx.partition(model, learned(model))

        def objective(moving, carry):
            return loss(eqx.combine(moving, still), carry, batch, sites, training.prior_weight, streams.targets)

        # The carry's is not used, but without it JAX traces the scan over days twice, to find that the carry moves.
        (value, told), (gradient, _) = jax.value_and_grad(objective, (0, 1), has_aux=True)(moving, carry)
        return jax.lax.pmean((value, gradient), devices.COLUMN), told

    slopes = devices.over_columns(streams.mesh, each, (devices.ALL, (devices.FIRST, devices.SECOND)))

    @eqx.filter_jit(donate="all-except-first")
    def update(given: tuple[Batch, Site], now: Progress) -> tuple[Progress, Array]:
        moving, still = eqx.partition(now.model, learned(now.model))
        (value, gradient), (carry, errors) = slopes(now.model, now.carry, *given)
        change, moments = descend.update(gradient, now.optimizer, moving)
        moving = eqx.apply_updates(moving, change)
        slow = optax.incremental_update(moving, eqx.filter(now.average, learned(now.average)), 1.0 - training.averaging)
        after = now._replace(
            model=eqx.combine(moving, still),
            average=eqx.combine(slow, still),
            optimizer=moments,
            carry=carry,
            tally=now.tally + errors,
            step=now.step + 1,
        )
        return after, value

    mesh = streams.mesh
    progress = begin(model, streams, training) if progress is None else devices.placed(mesh, progress, PLACES)
    devices.agree(int(progress.step))
    began = time.monotonic() - (history[-1].seconds if history else 0.0)
    for step in range(int(progress.step), training.steps):
        if int(progress.waited) >= training.patience:
            break
        progress, value = update((streams.batch(step), streams.sites), progress)
        if (step + 1) % training.validate_every and step != training.steps - 1:
            continue
        whole = devices.gathered(mesh, progress, PLACES, len(streams.owner))
        efficiency = efficiencies(np.asarray(whole.tally), streams)
        if not np.isfinite(float(value)):
            raise ModelError(
                f"the loss is {float(value)} at update {step}.\n"
                '  to go on: lower `learning_rate`, or train with precision = "float64"; '
                "the last checkpoint is sound, and training goes on from it."
            )
        if np.isnan(efficiency).all(axis=0).any():
            raise ModelError(
                f"no step of validation was met in the {training.validate_every} updates to update {step}.\n"
                "  to go on: raise `validate_every`, `columns` or `window_days`, so that they reach around the records."
            )
        score = float(np.nanmean(np.maximum(efficiency, WORST)))
        medians = zip(streams.targets, np.nanmedian(efficiency, axis=0), strict=True)
        told = dict.fromkeys(TOLD, np.nan) | {f"validation_{name}": float(median) for name, median in medians}
        row = Row(step, float(value), score, seconds=time.monotonic() - began, **told)
        gain = score - float(whole.best_score)
        whole = whole._replace(
            tally=jnp.zeros_like(whole.tally),
            best=copied(whole.average) if gain > 0.0 else whole.best,
            best_score=jnp.asarray(max(score, float(whole.best_score))),
            waited=jnp.asarray(0) if gain > LEAST_GAIN else whole.waited + 1,
        )
        history = (*history, row)
        watch(whole, history)
        progress = devices.placed(mesh, whole, PLACES)
    return devices.gathered(mesh, progress, PLACES, len(streams.owner)), history


def efficiencies(tally: np.ndarray, streams: Streams) -> np.ndarray:
    """Nash-Sutcliffe efficiency of each tower and target over the validation steps since the last; NaN without any."""
    sums = tally.reshape(2, len(streams.days), -1, tally.shape[-1]).sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1.0 - sums[0] / (sums[1] * streams.variance)

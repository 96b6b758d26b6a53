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

from bowen.config.schema import TrainingConfig
from bowen.errors import ModelError
from bowen.land.variables import State
from bowen.models.base import TURBULENT_FLUXES, AbstractLandModel, SiteParameters, StepOutput
from bowen.models.rollout import Inputs, keep_loop_unfused, reset_water_where, unroll_columns
from bowen.numerics.rematerialization import ITERATES, rematerialize
from bowen.training import devices
from bowen.training.windows import Batch, WindowLoader

SEGMENTS_PER_DAY = 4  # of a day, where its steps divide so
MIN_GAIN = 1e-4  # of the efficiency; less does not make training wait any longer
MIN_EFFICIENCY = -1.0  # efficiency of a tower; what is below says no more
MAX_SPIN_UP_STEPS = 250_000  # steps of all columns that are spun up at a time, if a window has no more


class TrainState(NamedTuple):
    """All that training carries from update to update: what a checkpoint holds."""

    model: AbstractLandModel
    average: AbstractLandModel  # of the models of the last updates
    optimizer: Any
    carry: Any  # of each column
    validation_sums: Array  # of each column and target: validation errors, squared and weighted, and the weights
    best: AbstractLandModel
    best_score: Array
    validations_without_gain: Array  # validations without gain
    step: Array


PLACES = TrainState(*[devices.REPLICATED] * len(TrainState._fields))._replace(
    carry=devices.COLUMNS_FIRST, validation_sums=devices.COLUMNS_SECOND
)


class ValidationRow(NamedTuple):
    """One validation in the history of a training."""

    step: int
    loss: float
    validation: float  # mean Nash-Sutcliffe efficiency over towers and targets
    validation_latent_heat: float  # median over the towers
    validation_sensible_heat: float
    seconds: float
    validation_runoff: float = np.nan
    validation_snow_water: float = np.nan


VALIDATION_COLUMNS = tuple(name for name in ValidationRow._fields if name.startswith("validation_"))


def predict(
    model: AbstractLandModel,
    carry: Any,
    inputs: Inputs,
    renewals: Bool[Array, "day column"],
    sites: SiteParameters | None = None,
    targets: Sequence[str] = TURBULENT_FLUXES,
) -> tuple[Any, Any]:
    """Run all windows side by side; returns what each carries in the end, and predictions of targets with offsets.

    The gradient runs each quarter of a day again, from what was carried into it, and then each step: what each computed
    is not kept, but for what was found by iteration. What a quarter keeps while it is run again stays in the cache.
    """

    def select(record: StepOutput):
        told = record.observed(targets)
        return told, jnp.stack(list(record.offsets.values())) if record.offsets else jnp.zeros_like(told[:0])

    def quarter(carry, part):
        renewed, forcing, features = part
        carry = reset_water_where(model, keep_loop_unfused(carry), renewed, sites)
        return unroll_columns(model, carry, Inputs(forcing, features, inputs.dt), select, sites)

    series, days, steps = (inputs.forcing, inputs.features), len(renewals), len(inputs.features)
    count = math.gcd(SEGMENTS_PER_DAY, steps // days)
    renewed = jnp.zeros((count * days, *renewals.shape[1:]), bool).at[::count].set(renewals)
    parts = jax.tree.map(lambda x: x.reshape(count * days, -1, *x.shape[1:]), series)
    carry, kept = jax.lax.scan(rematerialize(quarter, ITERATES), carry, (renewed, *parts))
    return carry, jax.tree.map(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), kept)


def at_target_interval(
    predicted: Float[Array, "time column target"],
    daily: Bool[Array, "day column"],
    targets: Sequence[str] = TURBULENT_FLUXES,
) -> Float[Array, "time column target"]:
    """Predictions at the interval of the targets: means of days for turbulent fluxes given so, and all others."""
    by_day = predicted.reshape(len(daily), -1, *predicted.shape[1:])
    means = by_day.mean(axis=1, keepdims=True)
    chosen, always = daily[:, None, :, None], np.array([[[[name not in TURBULENT_FLUXES for name in targets]]]])
    return jnp.where(chosen | always if always.any() else chosen, means, by_day).reshape(predicted.shape)


def loss(
    model: AbstractLandModel,
    carry: Any,
    batch: Batch,
    sites: SiteParameters,
    prior: float,
    targets: Sequence[str] = TURBULENT_FLUXES,
) -> tuple[Array, Any]:
    """Squared error over the variance of each tower, and a pull of the learned parameters toward their defaults."""
    after, (predicted, offsets) = predict(model, carry, batch.inputs, batch.renewals, sites, targets)
    squared = (at_target_interval(predicted, batch.daily, targets) - batch.targets) ** 2
    share = batch.share[..., None]
    error = (share * batch.train * squared).mean()
    pull = (share * offsets**2).mean(axis=(0, 1)).sum() if offsets.size else jnp.zeros_like(error)
    validation_sums = jnp.stack([(batch.validation * squared).sum(axis=0), batch.validation.sum(axis=0)])
    return error + prior * pull, jax.lax.stop_gradient((after, validation_sums))


def trainable(model: AbstractLandModel) -> Any:
    """Which leaves of a model training moves: its arrays, but for the part it declares fixed."""
    mask = jax.tree.map(eqx.is_inexact_array, model)
    return eqx.tree_at(lambda m: m.fixed(), mask, jax.tree.map(lambda _: False, model.fixed()))


def optimizer(training: TrainingConfig) -> optax.GradientTransformation:
    """Adam with clipped gradients, a warm-up and a cosine decay; weight decay on matrices only.

    What reads the memory of a network out, and what is learned of sites, move at rates of their own: zero at first,
    they have far to go.
    """
    multiples = {
        "head": training.head_lr_factor,
        "offsets": training.static_lr_factor,
        "regionalization": training.static_lr_factor,
    }

    def paced(change, _):
        return jax.tree_util.tree_map_with_path(lambda path, x: multiples.get(path[0].name, 1.0) * x, change)

    rate = optax.warmup_cosine_decay_schedule(
        0.1 * training.learning_rate, training.learning_rate, min(20, training.updates), max(training.updates, 21),
        0.02 * training.learning_rate,
    )  # fmt: skip
    return optax.chain(
        optax.clip_by_global_norm(training.clip_gradient_norm),
        optax.adamw(
            rate, weight_decay=training.weight_decay, mask=lambda tree: jax.tree.map(lambda x: x.ndim > 1, tree)
        ),
        optax.stateless(paced),
    )


def initial_train_state(
    model: AbstractLandModel, states: State, training: TrainingConfig, targets: int = len(TURBULENT_FLUXES)
) -> TrainState:
    """Progress before spin-up; the caller's model is left alone, for updates overwrite what they are given."""
    model, carry = copy_arrays(model), jax.vmap(model.start)(states)
    moments = optimizer(training).init(eqx.filter(model, trainable(model)))
    return TrainState(
        model=model,
        average=copy_arrays(model),
        optimizer=moments,
        carry=carry,
        validation_sums=jnp.zeros((2, len(jax.tree.leaves(carry)[0]), targets)),
        best=copy_arrays(model),
        best_score=jnp.asarray(-jnp.inf),
        validations_without_gain=jnp.asarray(0),
        step=jnp.asarray(0),
    )


def spun_up_train_state(model: AbstractLandModel, streams: WindowLoader, training: TrainingConfig) -> TrainState:
    """Progress before the first update, where each column has run through the years before its first day."""

    def each(model, carry, driven, sites):
        inputs, renewals = driven
        return predict(model, carry, inputs, renewals, sites)[0]

    run = eqx.filter_jit(devices.shard_columns(streams.mesh, each, devices.COLUMNS_FIRST))
    progress = devices.place_on_devices(
        streams.mesh, initial_train_state(model, streams.states, training, len(streams.targets)), PLACES
    )
    carry = progress.carry
    most = max(streams.window, MAX_SPIN_UP_STEPS // (streams.per_day * len(streams.owner)))
    days = max(days for days in range(1, most + 1) if streams.year % days == 0)  # one program for all pieces
    for first in range(-training.spin_up_years * streams.year, 0, days):
        driven = streams.inputs(first, days), streams.renewals(first, days)
        carry = run(progress.model, carry, driven, streams.sites)
    return progress._replace(carry=carry)


def train_state_shapes(model: AbstractLandModel, streams: WindowLoader, training: TrainingConfig) -> TrainState:
    """The structure, shapes and types of progress, to read a checkpoint into."""
    return eqx.filter_eval_shape(initial_train_state, model, streams.states, training, len(streams.targets))


def copy_arrays(tree: Any) -> Any:
    """The same tree in memory of its own."""
    return jax.tree.map(lambda x: x.copy() if eqx.is_array(x) else x, tree)


def train(
    model: AbstractLandModel,
    streams: WindowLoader,
    training: TrainingConfig,
    *,
    progress: TrainState | None = None,
    history: tuple[ValidationRow, ...] = (),
    watch: Callable[[TrainState, tuple[ValidationRow, ...]], None] = lambda progress, history: None,
) -> tuple[TrainState, tuple[ValidationRow, ...]]:
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
        moving, still = eqx.partition(model, trainable(model))

        def objective(moving, carry):
            return loss(eqx.combine(moving, still), carry, batch, sites, training.prior_weight, streams.targets)

        # The carry's is not used, but without it JAX traces the scan over days twice, to find that the carry moves.
        (value, told), (gradient, _) = jax.value_and_grad(objective, (0, 1), has_aux=True)(moving, carry)
        return jax.lax.pmean((value, gradient), devices.COLUMN), told

    slopes = devices.shard_columns(
        streams.mesh, each, (devices.REPLICATED, (devices.COLUMNS_FIRST, devices.COLUMNS_SECOND))
    )

    @eqx.filter_jit(donate="all-except-first")
    def update(given: tuple[Batch, SiteParameters], now: TrainState) -> tuple[TrainState, Array]:
        moving, still = eqx.partition(now.model, trainable(now.model))
        (value, gradient), (carry, errors) = slopes(now.model, now.carry, *given)
        change, moments = descend.update(gradient, now.optimizer, moving)
        moving = eqx.apply_updates(moving, change)
        slow = optax.incremental_update(
            moving, eqx.filter(now.average, trainable(now.average)), 1.0 - training.ema_decay
        )
        after = now._replace(
            model=eqx.combine(moving, still),
            average=eqx.combine(slow, still),
            optimizer=moments,
            carry=carry,
            validation_sums=now.validation_sums + errors,
            step=now.step + 1,
        )
        return after, value

    mesh = streams.mesh
    progress = (
        spun_up_train_state(model, streams, training)
        if progress is None
        else devices.place_on_devices(mesh, progress, PLACES)
    )
    devices.check_same_update(int(progress.step))
    began = time.monotonic() - (history[-1].seconds if history else 0.0)
    for step in range(int(progress.step), training.updates):
        if int(progress.validations_without_gain) >= training.patience:
            break
        progress, value = update((streams.batch(step), streams.sites), progress)
        if (step + 1) % training.validate_every and step != training.updates - 1:
            continue
        whole = devices.gather_from_devices(mesh, progress, PLACES, len(streams.owner))
        efficiency = validation_efficiencies(np.asarray(whole.validation_sums), streams)
        if not np.isfinite(float(value)):
            raise ModelError(
                f"the loss is {float(value)} at update {step}.\n"
                '  fix: lower `learning_rate`, or train with precision = "float64"; '
                "the last checkpoint is sound, and training goes on from it."
            )
        if np.isnan(efficiency).all(axis=0).any():
            raise ModelError(
                f"no step of validation was met in the {training.validate_every} updates to update {step}.\n"
                "  fix: raise `validate_every`, `columns` or `window_days`, so that they reach around the records."
            )
        score = float(np.nanmean(np.maximum(efficiency, MIN_EFFICIENCY)))
        medians = zip(streams.targets, np.nanmedian(efficiency, axis=0), strict=True)
        told = dict.fromkeys(VALIDATION_COLUMNS, np.nan) | {
            f"validation_{name}": float(median) for name, median in medians
        }
        row = ValidationRow(step, float(value), score, seconds=time.monotonic() - began, **told)
        gain = score - float(whole.best_score)
        whole = whole._replace(
            validation_sums=jnp.zeros_like(whole.validation_sums),
            best=copy_arrays(whole.average) if gain > 0.0 else whole.best,
            best_score=jnp.asarray(max(score, float(whole.best_score))),
            validations_without_gain=jnp.asarray(0) if gain > MIN_GAIN else whole.validations_without_gain + 1,
        )
        history = (*history, row)
        watch(whole, history)
        progress = devices.place_on_devices(mesh, whole, PLACES)
    return devices.gather_from_devices(mesh, progress, PLACES, len(streams.owner)), history


def validation_efficiencies(validation_sums: np.ndarray, streams: WindowLoader) -> np.ndarray:
    """Nash-Sutcliffe efficiency of each tower and target over the validation steps since the last; NaN without any."""
    sums = validation_sums.reshape(2, len(streams.days), -1, validation_sums.shape[-1]).sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1.0 - sums[0] / (sums[1] * streams.variance)

"""Trainer: one gradient from the measured fluxes through the physics and the solver into the network.

Many windows run side by side, of one site or of many, and each begins with the carry of the window before it from the
last update: states are handed on, never reset to a guess.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jaxtyping import Array

from bowen.config.schema import TrainingConfig, parse
from bowen.errors import ModelError
from bowen.land.variables import State, find_invalid_state
from bowen.models.base import TURBULENT_FLUXES, AbstractLandModel, SiteParameters
from bowen.training import devices
from bowen.training.loss import LOSSES, Loss, penalized_loss, predict
from bowen.training.optimizer import make_optimizer, require_finite_weights, trainable_leaves
from bowen.training.site_data import SiteData, require_site_data
from bowen.training.windows import Batch, WindowLoader

MIN_GAIN = 1e-4  # of the efficiency; a smaller gain counts as none
MIN_EFFICIENCY = -1.0  # of a site in the validation score; lower values say no more
MAX_SPIN_UP_STEPS = 250_000  # of all columns together that are run at a time, if a window has no more


class TrainState(NamedTuple):
    """State of a training between updates: the content of a checkpoint."""

    model: AbstractLandModel
    average: AbstractLandModel  # exponential moving average of the model
    optimizer: Any
    carry: Any  # of each column
    validation_sums: Array  # of each column and target: validation errors, squared and weighted, and the weights
    best: AbstractLandModel
    best_score: Array
    validations_without_gain: Array
    step: Array  # number of updates made


TRAIN_STATE_PLACES = TrainState(*[devices.REPLICATED] * len(TrainState._fields))._replace(
    carry=devices.COLUMNS_FIRST, validation_sums=devices.COLUMNS_SECOND
)


class ValidationRow(NamedTuple):
    """One validation in the history of a training."""

    step: int
    loss: float
    validation: float  # mean Nash-Sutcliffe efficiency over sites and targets
    validation_latent_heat: float  # median over the sites
    validation_sensible_heat: float
    seconds: float
    validation_runoff: float = np.nan
    validation_snow_water: float = np.nan


VALIDATION_COLUMNS = tuple(name for name in ValidationRow._fields if name.startswith("validation_"))
ValidationCallback = Callable[[TrainState, tuple[ValidationRow, ...]], None]


def initial_train_state(
    model: AbstractLandModel, states: State, training: TrainingConfig, num_targets: int = len(TURBULENT_FLUXES)
) -> TrainState:
    """Return the state before spin-up; arrays are copied, because updates overwrite what they are given."""
    model, carry = copy_arrays(model), jax.vmap(model.init)(states)
    return TrainState(
        model=model,
        average=copy_arrays(model),
        optimizer=make_optimizer(training).init(eqx.filter(model, trainable_leaves(model))),
        carry=carry,
        validation_sums=jnp.zeros((2, len(jax.tree.leaves(carry)[0]), num_targets)),
        best=copy_arrays(model),
        best_score=jnp.asarray(-jnp.inf),
        validations_without_gain=jnp.asarray(0),
        step=jnp.asarray(0),
    )


def spun_up_train_state(model: AbstractLandModel, loader: WindowLoader, training: TrainingConfig) -> TrainState:
    """Return the state before the first update, after each column has run through the years before its first day."""

    def spin_up_columns(model, carry, driven, sites):
        inputs, begins_anew = driven
        return predict(model, carry, inputs, begins_anew, sites)[0]

    run = eqx.filter_jit(devices.shard_columns(loader.mesh, spin_up_columns, devices.COLUMNS_FIRST))
    state = initial_train_state(model, loader.states, training, len(loader.targets))
    state = devices.place_on_devices(loader.mesh, state, TRAIN_STATE_PLACES)
    carry = state.carry
    longest = max(loader.window, MAX_SPIN_UP_STEPS // (loader.per_day * len(loader.owner)))
    days = max(days for days in range(1, longest + 1) if loader.year % days == 0)  # one program for all pieces
    for first in range(-training.spin_up_years * loader.year, 0, days):
        driven = loader.inputs(first, days), loader.begins_anew(first, days)
        carry = run(state.model, carry, driven, loader.sites)
    return state._replace(carry=carry)


def train_state_shapes(model: AbstractLandModel, loader: WindowLoader, training: TrainingConfig) -> TrainState:
    """Return structure, shapes and types of a train state, to read a checkpoint into."""
    return eqx.filter_eval_shape(initial_train_state, model, loader.states, training, len(loader.targets))


def copy_arrays(tree: Any) -> Any:
    """Copy the arrays of a tree."""
    return jax.tree.map(lambda x: x.copy() if eqx.is_array(x) else x, tree)


def train(
    model: AbstractLandModel,
    sites: Sequence[SiteData],
    *,
    loss: str | Loss = "squared_error",
    config: TrainingConfig | None = None,
    watch: ValidationCallback = lambda state, history: None,
    **settings: Any,
) -> tuple[AbstractLandModel, pd.DataFrame]:
    """Train a model at one site or many until validation no longer gains; the same inputs give the same bits.

    Args:
        model: Any land model.
        sites: From `SiteData`, for several sites with one scaler from `SiteData.of_many`.
        loss: A name in `bowen.training.loss.LOSSES`, or a function of predictions, targets and weights (time, column,
            target), such as `lambda predictions, targets, weights: (weights * (predictions - targets) ** 2).mean()`.
        config: Training settings; None takes the defaults.
        watch: Called with the train state and the history after every validation.
        settings: Other values of training settings, such as updates=100 or seed=3.

    Returns:
        The model with the best validation, and the history with a row for each validation.

    Raises:
        ConfigError: A setting is unknown or out of bounds.
        DataError: A site is not `SiteData`, a record is shorter than a window, or nothing was measured in its training
            or validation part.
        ModelError: A weight is not finite, the loss is no longer finite, or nothing was validated.
    """
    for site in sites:
        require_site_data(site)
    require_finite_weights(model)
    training = with_training_settings(config, settings)
    loader = WindowLoader(
        sites, windows_per_site=training.windows_per_site, window=training.window_days, seed=training.seed
    )
    state, history = optimize_weights(model, loader, training, loss=loss, watch=watch)
    return state.best, pd.DataFrame(history, columns=pd.Index(ValidationRow._fields))


def with_training_settings(config: TrainingConfig | None, settings: dict[str, Any]) -> TrainingConfig:
    """Return training settings with other values.

    Raises:
        ConfigError: A setting is unknown or out of bounds.
    """
    config = TrainingConfig() if config is None else config
    table = {"data": {"met": "record.nc"}, "training": config.model_dump(mode="json") | settings}
    return parse(table, where="train").training if settings else config


def optimize_weights(
    model: AbstractLandModel,
    loader: WindowLoader,
    training: TrainingConfig,
    *,
    loss: str | Loss | None = None,
    state: TrainState | None = None,
    history: tuple[ValidationRow, ...] = (),
    watch: ValidationCallback = lambda state, history: None,
) -> tuple[TrainState, tuple[ValidationRow, ...]]:
    """Update the weights of a model window by window, from the start or from a checkpoint.

    Args:
        model: Any land model.
        loader: The windows of the sites.
        training: Settings.
        loss: See `train`; None takes that of the settings.
        state: Of an interrupted training, on however many devices it was; None begins.
        history: Of the interrupted training.
        watch: Called after every validation, to save and to show.

    Returns:
        The last train state, whose `best` is the model with the best validation, and the history.

    Raises:
        ModelError: The loss is no longer finite, or nothing was validated; the message names the update.
    """
    optimizer, loss = make_optimizer(training), training.loss if loss is None else loss
    loss_of = LOSSES[loss] if isinstance(loss, str) else loss

    def gradient_of_columns(model, carry, batch, sites):
        moving, still = eqx.partition(model, trainable_leaves(model))

        def objective(moving, carry):
            whole = eqx.combine(moving, still)
            return penalized_loss(whole, carry, batch, sites, loss_of, training.prior_weight, loader.targets)

        # The carry's is not used, but without it JAX traces the scan over days twice, to find that the carry moves.
        (value, kept), (gradient, _) = jax.value_and_grad(objective, (0, 1), has_aux=True)(moving, carry)
        return jax.lax.pmean((value, gradient), devices.COLUMN), kept

    gives = devices.REPLICATED, (devices.COLUMNS_FIRST, devices.COLUMNS_SECOND)
    gradients = devices.shard_columns(loader.mesh, gradient_of_columns, gives)

    @eqx.filter_jit(donate="all-except-first")
    def update(given: tuple[Batch, SiteParameters], now: TrainState) -> tuple[TrainState, Array]:
        moving, still = eqx.partition(now.model, trainable_leaves(now.model))
        (value, gradient), (carry, sums) = gradients(now.model, now.carry, *given)
        change, moments = optimizer.update(gradient, now.optimizer, moving)
        moving = eqx.apply_updates(moving, change)
        average = eqx.filter(now.average, trainable_leaves(now.average))
        average = optax.incremental_update(moving, average, 1.0 - training.ema_decay)
        after = now._replace(
            model=eqx.combine(moving, still),
            average=eqx.combine(average, still),
            optimizer=moments,
            carry=carry,
            validation_sums=now.validation_sums + sums,
            step=now.step + 1,
        )
        return after, value

    mesh = loader.mesh
    if state is None:
        state = spun_up_train_state(model, loader, training)
    else:
        state = devices.place_on_devices(mesh, state, TRAIN_STATE_PLACES)
    devices.check_same_update(int(state.step))
    began = time.monotonic() - (history[-1].seconds if history else 0.0)
    for step in range(int(state.step), training.updates):
        if int(state.validations_without_gain) >= training.patience:
            break
        state, value = update((loader.batch(step), loader.sites), state)
        if (step + 1) % training.validate_every and step != training.updates - 1:
            continue
        state = devices.gather_from_devices(mesh, state, TRAIN_STATE_PLACES, len(loader.owner))
        row, state = validate(state, loader, training, step, float(value), time.monotonic() - began)
        history = (*history, row)
        watch(state, history)
        state = devices.place_on_devices(mesh, state, TRAIN_STATE_PLACES)
    return devices.gather_from_devices(mesh, state, TRAIN_STATE_PLACES, len(loader.owner)), history


def validate(
    state: TrainState, loader: WindowLoader, training: TrainingConfig, step: int, loss: float, seconds: float
) -> tuple[ValidationRow, TrainState]:
    """Score the validation steps since the last validation, and keep the averaged weights if they are the best so far.

    Raises:
        ModelError: The loss is not finite, or no validation step fell into these updates.
    """
    efficiency = validation_efficiencies(np.asarray(state.validation_sums), loader)
    if not np.isfinite(loss):
        raise ModelError(
            f"update {step}",
            f"the loss is {loss}; the last checkpoint is sound, and training goes on from it",
            fix='lower `learning_rate`, or train with precision = "float64"',
        )
    if np.isnan(efficiency).all(axis=0).any():
        raise ModelError(
            "training",
            f"no validation step fell in updates {max(step - training.validate_every + 1, 0)}-{step}",
            fix="raise `validate_every`, `windows_per_site` or `window_days`, so that windows reach around the records",
        )
    warn_of_invalid_states(state.carry, loader, step)
    score = float(np.nanmean(np.maximum(efficiency, MIN_EFFICIENCY)))
    medians = zip(loader.targets, np.nanmedian(efficiency, axis=0), strict=True)
    by_target = dict.fromkeys(VALIDATION_COLUMNS, np.nan) | {f"validation_{name}": float(m) for name, m in medians}
    row = ValidationRow(step, loss, score, seconds=seconds, **by_target)
    gain, waited = score - float(state.best_score), state.validations_without_gain
    after = state._replace(
        validation_sums=jnp.zeros_like(state.validation_sums),
        best=copy_arrays(state.average) if gain > 0.0 else state.best,
        best_score=jnp.asarray(max(score, float(state.best_score))),
        validations_without_gain=jnp.asarray(0) if gain > MIN_GAIN else waited + 1,
    )
    return row, after


def warn_of_invalid_states(carry: Any, loader: WindowLoader, step: int) -> None:
    """Warn of a column with a state that nature does not allow; `simulate` refuses one, but training may recover."""
    nodes = jax.tree.leaves(carry, is_leaf=lambda node: isinstance(node, State))
    for found in filter(None, (find_invalid_state(node) for node in nodes if isinstance(node, State))):
        low, high = found.valid_range
        error = ModelError(
            f"update {step}, {loader.site_names[loader.owner[found.index]]}",
            f"{found.name} is {found.value:.6g} {found.unit}, outside the {low:g} to {high:g} {found.unit} that nature "
            "allows; if it stays so, the trained model cannot be simulated there",
            fix="look at the record with `bowen inspect`, or lower `learning_rate`",
        )
        warnings.warn(str(error), RuntimeWarning, stacklevel=2)


def validation_efficiencies(validation_sums: np.ndarray, loader: WindowLoader) -> np.ndarray:
    """Compute the Nash-Sutcliffe efficiency of each site and target since the last validation; NaN without any step."""
    sums = validation_sums.reshape(2, len(loader.days), -1, validation_sums.shape[-1]).sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1.0 - sums[0] / (sums[1] * loader.variance)

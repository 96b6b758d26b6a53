"""Loss: predictions beside targets, at the interval of the targets, with a penalty on learned parameters."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from bowen.models.base import TURBULENT_FLUXES, AbstractLandModel, SiteParameters, StepOutput
from bowen.models.rollout import Inputs, reset_root_zone_where, unroll_columns
from bowen.numerics.rematerialization import ITERATES, rematerialize
from bowen.numerics.xla_workarounds import keep_loop_unfused
from bowen.training.windows import Batch

SEGMENTS_PER_DAY = 4  # where the steps of a day divide so

Loss = Callable[[Array, Array, Array], Array]  # of predictions, targets and weights: (time, column, target) each


def weighted_squared_error(predictions: Array, targets: Array, weights: Array) -> Array:
    """Compute the squared error over the variance of each target at its site.

    Args:
        predictions: (time, column, target). [SI]
        targets: Zero where not measured. [SI]
        weights: Inverse variance of the target at its site where it is measured and trains, else zero; scaled so that
            the mean over all steps is the mean over those that count. [SI-2]
    """
    return (weights * (predictions - targets) ** 2).mean()


def weighted_absolute_error(predictions: Array, targets: Array, weights: Array) -> Array:
    """Compute the absolute error over the standard deviation of each target; see `weighted_squared_error`."""
    scale = jnp.where(weights > 0.0, weights, 1.0) ** 0.5
    return (jnp.where(weights > 0.0, weights / scale, 0.0) * jnp.abs(predictions - targets)).mean()


LOSSES: Mapping[str, Loss] = {"squared_error": weighted_squared_error, "absolute_error": weighted_absolute_error}


def predict(
    model: AbstractLandModel,
    carry: Any,
    inputs: Inputs,
    begins_anew: Bool[Array, "day column"],
    sites: SiteParameters | None = None,
    targets: Sequence[str] = TURBULENT_FLUXES,
) -> tuple[Any, Any]:
    """Run all windows side by side; return the carry of each, and predictions of the targets with the offsets.

    The backward pass recomputes each quarter of a day from the carry before it, and then each step, except what was
    found by iteration; the intermediates of a quarter stay in the processor's cache.
    """

    def select(output: StepOutput):
        predictions = output.observed(targets)
        offsets = jnp.stack(list(output.offsets.values())) if output.offsets else jnp.zeros_like(predictions[:0])
        return predictions, offsets

    def segment(carry, part):
        begins_anew, forcing, features = part
        carry = reset_root_zone_where(model, keep_loop_unfused(carry), begins_anew, sites)
        return unroll_columns(model, carry, Inputs(forcing, features, inputs.dt), select, sites)

    series, days, steps = (inputs.forcing, inputs.features), len(begins_anew), len(inputs.features)
    count = math.gcd(SEGMENTS_PER_DAY, steps // days)
    at_segments = jnp.zeros((count * days, *begins_anew.shape[1:]), bool).at[::count].set(begins_anew)
    parts = jax.tree.map(lambda x: x.reshape(count * days, -1, *x.shape[1:]), series)
    carry, kept = jax.lax.scan(rematerialize(segment, ITERATES), carry, (at_segments, *parts))
    return carry, jax.tree.map(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), kept)


def at_target_interval(
    predictions: Float[Array, "time column target"],
    is_daily: Bool[Array, "day column"],
    targets: Sequence[str] = TURBULENT_FLUXES,
) -> Float[Array, "time column target"]:
    """Average predictions over the interval of their targets: daily for runoff, snow and daily turbulent fluxes."""
    by_day = predictions.reshape(len(is_daily), -1, *predictions.shape[1:])
    means = by_day.mean(axis=1, keepdims=True)
    chosen, always = is_daily[:, None, :, None], np.array([[[[name not in TURBULENT_FLUXES for name in targets]]]])
    return jnp.where(chosen | always if always.any() else chosen, means, by_day).reshape(predictions.shape)


def penalized_loss(
    model: AbstractLandModel,
    carry: Any,
    batch: Batch,
    sites: SiteParameters,
    loss: Loss,
    prior_weight: float,
    targets: Sequence[str] = TURBULENT_FLUXES,
) -> tuple[Array, Any]:
    """Compute the loss of a batch with a penalty on the offsets; return it with the carry and the validation sums."""
    after, (predictions, offsets) = predict(model, carry, batch.inputs, batch.begins_anew, sites, targets)
    predictions, share = at_target_interval(predictions, batch.is_daily, targets), batch.share[..., None]
    error = loss(predictions, batch.targets, share * batch.train)
    penalty = (share * offsets**2).mean(axis=(0, 1)).sum() if offsets.size else jnp.zeros_like(error)
    squared = (predictions - batch.targets) ** 2
    validation_sums = jnp.stack([(batch.validation * squared).sum(axis=0), batch.validation.sum(axis=0)])
    return error + prior_weight * penalty, jax.lax.stop_gradient((after, validation_sums))

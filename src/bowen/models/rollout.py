"""Models in time: the scan over a series, and spin-up."""

import functools
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from bowen.land.quantities import Scalar, quantity
from bowen.land.variables import Forcing, State
from bowen.models.base import AbstractLandModel, SiteParameters, StepOutput
from bowen.numerics.rematerialization import GATES, ITERATES, rematerialize
from bowen.numerics.xla_workarounds import keep_loop_unfused

MIN_YEAR = 0.95 * 365 * 86400.0  # s
STEPS_PER_KERNEL = 48  # steps that may run as one kernel, where they divide the series


class Inputs(eqx.Module):
    """What drives a model over a series: the weather, what a network sees of it, and the step length."""

    forcing: Forcing
    features: Float[Array, "time feature"] = quantity("1", "Normalized inputs of a network")
    dt: Scalar = quantity("s", "Length of a forcing interval")

    def window(self, start: Any, length: int) -> "Inputs":
        """The `length` steps from `start` on; `start` may be traced, `length` may not."""

        def cut(series: Array) -> Array:
            return jax.lax.dynamic_slice_in_dim(series, start, length)

        return self.each(cut)

    def last_a_year(self) -> bool:
        """Whether a year can be made of them; if not, the water of their end is not that of their beginning."""
        return self.features.shape[0] * float(self.dt) >= MIN_YEAR

    def each(self, transform: Callable[[Array], Array]) -> "Inputs":
        """Transform every series, the step length excepted."""
        return Inputs(jax.tree.map(transform, self.forcing), transform(self.features), self.dt)


def without_lstm_input(record: StepOutput) -> StepOutput:
    """Keep all a model tells of the land; what its network knew is for the gradient alone."""
    return record._replace(lstm_input=None)


def unroll(
    model: AbstractLandModel,
    carry: Any,
    inputs: Inputs,
    select: Callable[[StepOutput], Any] = without_lstm_input,
    segment: int | None = None,
) -> tuple[Any, Any]:
    """Advance a model over a series, from what it carries.

    Args:
        model: Any land model. [1]
        carry: From `model.start(state)` or an earlier roll. [1]
        inputs: Series, time leading. [1]
        select: Which part of the records to keep; what is not kept costs no memory. [1]
        segment: Steps whose intermediate values are recomputed in the backward pass instead of stored; must divide the
            number of steps. None stores everything. [1]

    Returns:
        The last carry, and the selected records with a leading time axis.
    """

    def advance(carry, now):
        forcing, features = now
        carry, record = model.advance(carry, forcing, features, inputs.dt)
        return carry, select(record)

    def part(carry, now):
        return jax.lax.scan(advance, keep_loop_unfused(carry), now)

    length = inputs.features.shape[0]
    if segment and length % segment:
        raise ValueError(f"segment of {segment} steps does not divide the series of {length}.")
    size = segment or math.gcd(length, STEPS_PER_KERNEL)
    series = (inputs.forcing, inputs.features)
    cut = jax.tree.map(lambda x: x.reshape(length // size, size, *x.shape[1:]), series)
    carry, kept = jax.lax.scan(jax.checkpoint(part) if segment else part, carry, cut)
    return carry, jax.tree.map(lambda x: x.reshape(length, *x.shape[2:]), kept)


def unroll_columns(
    model: AbstractLandModel,
    carry: Any,
    inputs: Inputs,
    select: Callable[[StepOutput], Any],
    sites: SiteParameters | None = None,
) -> tuple[Any, Any]:
    """Advance many columns side by side: what is carried leads with columns, series with time and then columns.

    The gradient of a network's weights is one product over all steps and columns after the last step of the backward
    pass, in the place of a small one at each step: a nudge of the gates, which is zero, has the gates' cotangent.

    Args:
        model: Any land model, the same for all columns but for what it makes of their sites. [1]
        carry: What each column carries. [1]
        inputs: Series, time leading, columns second. [1]
        select: Which part of the records to keep. [1]
        sites: Of each column; None leaves all where the model is. [1]

    Returns:
        What each column carries in the end, and the selected records, time leading, columns second.
    """
    arrays, rest = eqx.partition(model, eqx.is_inexact_array)

    def run(weight, arrays, particulars, carry, inputs, nudges):
        network = eqx.combine(arrays, rest)

        def one(particulars, carry, now):
            forcing, features, nudge = now
            here = eqx.tree_at(lambda m: m.particulars(), network, particulars)
            if weight is not None:
                parts = (weight, network.memory().bias + nudge)
                here = eqx.tree_at(lambda m: (m.memory().weight, m.memory().bias), here, parts)
            carry, record = here.advance(carry, forcing, features, inputs.dt)
            return carry, (select(record), record.lstm_input)

        columns = jax.vmap(rematerialize(one, ITERATES, GATES), in_axes=(None if sites is None else 0, 0, 0))
        advance = functools.partial(columns, particulars)
        carry, (kept, known) = jax.lax.scan(advance, carry, (inputs.forcing, inputs.features, nudges))
        return (carry, kept), known

    @jax.custom_vjp
    def deferred(weight, *others):
        return run(weight, *others)[0]

    def forward(weight, *others):
        told, back, known = jax.vjp(lambda *others: run(weight, *others), *others, has_aux=True)
        return told, (back, known)

    def backward(held, cotangent):
        back, known = held
        others = back(cotangent)
        return jnp.einsum("...g,...k->gk", others[-1], known), *others

    deferred.defvjp(forward, backward)
    particulars = model.particulars() if sites is None else jax.vmap(lambda site: model.at(site).particulars())(sites)
    cell, place = model.memory(), inputs.features.shape[:2]
    if cell is None:
        return run(None, arrays, particulars, carry, inputs, jnp.zeros(place))[0]
    nudges = jnp.zeros((*place, *cell.bias.shape), cell.bias.dtype)
    return deferred(cell.weight, arrays, particulars, carry, inputs, nudges)


def reset_water_where(
    model: AbstractLandModel, carry: Any, renewed: Bool[Array, " column"], sites: SiteParameters | None = None
) -> Any:
    """What columns carry, but with new water where that begins anew; see `AbstractLand.renewed`."""

    def one(carry, renewed, site):
        here = model if site is None else model.at(site)
        return jax.tree.map(lambda new, old: jnp.where(renewed, new, old), here.renewed(carry), carry)

    return jax.vmap(one)(carry, renewed, sites)


@eqx.filter_jit
def simulate(
    model: AbstractLandModel, state: State, inputs: Inputs, select: Callable[[StepOutput], Any] = without_lstm_input
) -> tuple[Any, Any]:
    """Run a model over a series from a physical state; returns the last carry and the records, time leading."""
    return unroll(model, model.start(state), inputs, select)


@eqx.filter_jit
def spin_up(model: AbstractLandModel, state: State, inputs: Inputs, cycles: int = 3) -> Any:
    """Cycle a model over a series (a year, as a rule) until it forgets where it began; returns what it then carries.

    Args:
        model: Any land model. [1]
        state: Where to begin. [1]
        inputs: The series to cycle over. [1]
        cycles: How often. [1]
    """

    def cycle(carry, _):
        return unroll(model, carry, inputs, lambda record: None)

    return jax.lax.scan(cycle, model.start(state), None, length=cycles)[0]

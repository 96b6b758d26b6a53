"""Models in time: the scan over a series, many columns side by side, and spin-up."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from bowen.land.quantities import Scalar, quantity
from bowen.land.variables import Forcing, State
from bowen.models.base import AbstractLandModel, SiteParameters, StepOutput, reset_root_zone
from bowen.models.lstm import LSTM, LSTMMemory, apply_gates
from bowen.numerics.rematerialization import GATES, ITERATES, rematerialize
from bowen.numerics.xla_workarounds import keep_loop_unfused

MIN_YEAR = 0.95 * 365 * 86400.0  # s
STEPS_PER_KERNEL = 48  # steps that may run as one kernel, where they divide the series


class Inputs(eqx.Module):
    """Inputs of a model over a series: forcing, features for a network, and the step length."""

    forcing: Forcing
    features: Float[Array, "time feature"] = quantity("1", "Normalized inputs of a network")
    dt: Scalar = quantity("s", "Length of a forcing interval")

    def window(self, start: Any, length: int) -> "Inputs":
        """Return the `length` steps from `start` on; `start` may be traced, `length` may not."""

        def cut(series: Array) -> Array:
            return jax.lax.dynamic_slice_in_dim(series, start, length)

        return self.each(cut)

    def is_a_year_long(self) -> bool:
        """Return True if the series can be cycled by the year, so that its end is followed by its beginning."""
        return self.features.shape[0] * float(self.dt) >= MIN_YEAR

    def each(self, transform: Callable[[Array], Array]) -> "Inputs":
        """Transform every series, the step length excepted."""
        return Inputs(jax.tree.map(transform, self.forcing), transform(self.features), self.dt)


def unroll(
    model: AbstractLandModel,
    carry: Any,
    inputs: Inputs,
    select: Callable[[StepOutput], Any] = lambda output: output,
    segment: int | None = None,
) -> tuple[Any, Any]:
    """Advance a model over a series.

    Args:
        model: Any land model. [1]
        carry: From `model.init(state)` or an earlier call. [1]
        inputs: Series, time leading. [1]
        select: Which part of the outputs to keep; the rest costs no memory. [1]
        segment: Steps whose intermediate values are recomputed in the backward pass instead of stored; must divide the
            number of steps. None stores everything. [1]

    Returns:
        The last carry, and the selected outputs with a leading time axis.
    """

    def advance(carry, now):
        forcing, features = now
        carry, output = model.step(carry, forcing, features, inputs.dt)
        return carry, select(output)

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
    """Advance many columns side by side: the carry leads with columns, series lead with time and then columns.

    If the model holds one `LSTM`, the gradient of its weights is one matrix product over all steps and columns after
    the backward pass, instead of a small one at each step: an added bias of zero collects the gates' cotangents.

    Args:
        model: Any land model, the same for all columns but for `for_site`. [1]
        carry: Of each column. [1]
        inputs: Series, time leading, columns second. [1]
        select: Which part of the outputs to keep. [1]
        sites: Of each column; None leaves the model as it is. [1]

    Returns:
        The last carry of each column, and the selected outputs, time leading, columns second.
    """
    arrays, rest = eqx.partition(model, eqx.is_inexact_array)
    site_leaves, place_site_leaves = split_site_leaves(model, sites)

    def run(weight, arrays, site_leaves, carry, inputs, added_bias):
        shared = eqx.combine(arrays, rest)

        def one(site_leaves, carry, now):
            forcing, features, bias = now
            here = place_site_leaves(shared, site_leaves)
            here = here if weight is None else with_deferred_lstm(here, weight, bias)
            carry, output = here.step(carry, forcing, features, inputs.dt)
            carry, lstm_input = take_lstm_input(carry)
            return carry, (select(output), lstm_input)

        columns = jax.vmap(rematerialize(one, ITERATES, GATES), in_axes=(None if sites is None else 0, 0, 0))
        advance = functools.partial(columns, site_leaves)
        carry, (kept, lstm_inputs) = jax.lax.scan(advance, carry, (inputs.forcing, inputs.features, added_bias))
        return (carry, kept), lstm_inputs

    @jax.custom_vjp
    def deferred(weight, *others):
        return run(weight, *others)[0]

    def forward(weight, *others):
        kept, backward_of_others, lstm_inputs = jax.vjp(lambda *others: run(weight, *others), *others, has_aux=True)
        return kept, (backward_of_others, lstm_inputs)

    def backward(residuals, cotangent):
        backward_of_others, lstm_inputs = residuals
        others = backward_of_others(cotangent)
        return jnp.einsum("...g,...k->gk", others[-1], lstm_inputs), *others

    deferred.defvjp(forward, backward)
    lstms, shape = find_lstms(model), inputs.features.shape[:2]
    if len(lstms) != 1:
        return run(None, arrays, site_leaves, carry, inputs, jnp.zeros(shape))[0]
    (lstm,) = lstms
    added_bias = jnp.zeros((*shape, *lstm.bias.shape), lstm.bias.dtype)
    return deferred(lstm.weight, arrays, site_leaves, carry, inputs, added_bias)


def split_site_leaves(
    model: AbstractLandModel, sites: SiteParameters | None
) -> tuple[Any, Callable[[AbstractLandModel, Any], AbstractLandModel]]:
    """Separate the leaves of a model in which columns differ from those that all of them share.

    Returns:
        The leaves that `for_site` changes, columns leading; and a function that puts those of one column into a model.
    """
    if sites is None:
        return None, lambda model, _: model
    places = {id(leaf): place for place, leaf in enumerate(jax.tree.leaves(model))}
    found: list[tuple[Any, list[int | None]]] = []

    def changed(site: SiteParameters) -> list[Any]:
        leaves, structure = jax.tree.flatten(model.for_site(site))
        found[:] = [(structure, [places.get(id(leaf)) for leaf in leaves])]
        return [None if id(leaf) in places else leaf for leaf in leaves]

    site_leaves = jax.vmap(changed)(sites)
    ((structure, origins),) = found

    def place(model: AbstractLandModel, site_leaves: Any) -> AbstractLandModel:
        shared = jax.tree.leaves(model)
        both = zip(site_leaves, origins, strict=True)
        return jax.tree.unflatten(structure, [own if origin is None else shared[origin] for own, origin in both])

    return site_leaves, place


class _DeferredLSTM(eqx.Module):
    """An LSTM whose weights get no gradient here; it leaves its input in the memory for the product that gives it."""

    weight: Array
    bias: Array

    def init(self) -> LSTMMemory:
        raise NotImplementedError("a deferred LSTM only advances a memory")

    def __call__(self, features: Array, memory: LSTMMemory) -> tuple[Array, "_MemoryWithInput"]:
        lstm_input = jnp.concatenate([features, memory.hidden])
        memory = apply_gates(lstm_input @ self.weight.T + self.bias, memory.cell)
        return memory.hidden, _MemoryWithInput(memory, lstm_input)


class _MemoryWithInput(NamedTuple):
    memory: LSTMMemory
    lstm_input: Array


def find_lstms(model: Any) -> list[LSTM]:
    """Find every `LSTM` in a model."""
    return [node for node in jax.tree.leaves(model, is_leaf=_is_lstm) if _is_lstm(node)]


def with_deferred_lstm(model: Any, weight: Array, added_bias: Array) -> Any:
    """Replace the LSTM of a model by one with the given weights and a bias added to its own."""

    def replace(node: Any) -> Any:
        return _DeferredLSTM(weight, node.bias + added_bias) if _is_lstm(node) else node

    return jax.tree.map(replace, model, is_leaf=_is_lstm)


def take_lstm_input(carry: Any) -> tuple[Any, Array | None]:
    """Take the input that a deferred LSTM left in a carry out of it; None without one."""

    def is_extended(node: Any) -> bool:
        return isinstance(node, _MemoryWithInput)

    found = [node for node in jax.tree.leaves(carry, is_leaf=is_extended) if is_extended(node)]
    carry = jax.tree.map(lambda node: node.memory if is_extended(node) else node, carry, is_leaf=is_extended)
    return carry, found[0].lstm_input if found else None


def _is_lstm(node: Any) -> bool:
    return isinstance(node, LSTM)


def reset_root_zone_where(
    model: AbstractLandModel, carry: Any, begins_anew: Bool[Array, " column"], sites: SiteParameters | None = None
) -> Any:
    """Reset the root zone of those columns whose record, shorter than a year, begins anew; see `reset_root_zone`."""

    def one(carry, begins_anew, site):
        here = model if site is None else model.for_site(site)
        return jax.tree.map(lambda new, old: jnp.where(begins_anew, new, old), reset_root_zone(here, carry), carry)

    return jax.vmap(one)(carry, begins_anew, sites)


@eqx.filter_jit
def run_from_state(
    model: AbstractLandModel, state: State, inputs: Inputs, select: Callable[[StepOutput], Any] = lambda output: output
) -> tuple[Any, Any]:
    """Run a model over a series from a physical state; return the last carry and the outputs, time leading."""
    return unroll(model, model.init(state), inputs, select)


@eqx.filter_jit
def spin_up(model: AbstractLandModel, state: State, inputs: Inputs, cycles: int = 3) -> Any:
    """Cycle a model over a series, usually a year, until it has forgotten its initial state; return the carry.

    Args:
        model: Any land model. [1]
        state: The initial state. [1]
        inputs: The series to cycle over. [1]
        cycles: Number of cycles. [1]
    """

    def cycle(carry, _):
        return unroll(model, carry, inputs, lambda output: None)

    return jax.lax.scan(cycle, model.init(state), None, length=cycles)[0]

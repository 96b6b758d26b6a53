"""Workarounds for the compiler XLA, each with the version of jaxlib that was last seen to need it.

The options that a process chooses before JAX computes are in `bowen.cli.xla_flags`.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

LAST_SEEN_NEEDED = {  # version of jaxlib
    "isolate_program": "0.10.2",
    "optimization_fence": "0.10.2",
    "keep_loop_unfused": "0.10.2",
    "select_by_mask": "0.10.2",
}


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def isolate_program(function: Callable, otherwise: Callable, condition: Bool[Array, ""], *operands: Any) -> Any:
    """Call a function as a branch of a condition that always holds, and so as a program of its own to XLA.

    It is then compiled to the same bits whether its operands are constants, parameters or outputs of a network. The
    gradient has no branch, which would copy its many arrays.

    Args:
        function: Gives a pytree.
        otherwise: Gives a pytree of the same shapes, and is never called.
        condition: True, which XLA cannot know.
        operands: Of both functions.
    """
    return jax.lax.cond(condition, function, otherwise, *operands)


@isolate_program.defjvp
def _(function, otherwise, operands, tangents):
    del otherwise
    return jax.jvp(function, operands[1:], tangents[1:])


@jax.custom_jvp
def optimization_fence(tree: Any) -> Any:
    """Return a pytree behind a barrier: what follows compiles to the same bits, be parameters constant or not."""
    return jax.lax.optimization_barrier(tree)


optimization_fence.defjvp(lambda now, tangents: (optimization_fence(*now), *tangents))


@jax.custom_jvp
def _sort_if_nan(leaf: Array) -> Array:
    """Return an array unchanged, through a sort if it has a NaN."""
    return jax.lax.cond(jnp.isnan(leaf).any(), lambda x: jnp.sort(jnp.stack([x, x]), axis=0)[0], lambda x: x, leaf)


_sort_if_nan.defjvps(lambda tangent, _, leaf: tangent)


def keep_loop_unfused(carry: Any) -> Any:
    """Return the carry unchanged; keep XLA from fusing the enclosing loop into one kernel, which has no sort in it.

    A small loop becomes a kernel (`bowen.fuse_loops`). That is quick while the loop keeps little; what a long one keeps
    of all its steps would be copied at every step.
    """
    leaves, structure = jax.tree.flatten(carry)
    place = min(range(len(leaves)), key=lambda place: leaves[place].size)
    leaves[place] = _sort_if_nan(leaves[place])
    return jax.tree.unflatten(structure, leaves)


def select_by_mask(values: Float[Array, " place"], index: Any) -> Float[Array, ""]:
    """Return the value at an index, 0 where there is none, without a gather.

    The gradients of gathers are scatters, and XLA crashes where it fuses two (docs/speed.md).
    """
    return jnp.where(jnp.arange(len(values)) == index, values, 0.0).sum()

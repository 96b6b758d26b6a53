"""The memory of the learned models: an LSTM that multiplies all it knows at a step by one matrix."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from bowen.numerics.rematerialization import GATES, save_residual

Memory = tuple[Float[Array, " hidden"], Float[Array, " hidden"]]


class LSTM(eqx.Module):
    """An LSTM with the weights `equinox.nn.LSTMCell` begins with, side by side: those of its input, then of itself."""

    weight: Float[Array, "gate known"]
    bias: Float[Array, " gate"]

    def __init__(self, size: int, hidden: int, *, key: PRNGKeyArray):
        made = eqx.nn.LSTMCell(size, hidden, key=key)
        assert made.bias is not None
        self.weight, self.bias = jnp.concatenate([made.weight_ih, made.weight_hh], axis=1), made.bias

    def __call__(self, features: Float[Array, " feature"], memory: Memory) -> tuple[Memory, Float[Array, " known"]]:
        """One step; returns the memory after it, and what the weights were multiplied with. [1]."""
        hidden, inner = memory
        known = jnp.concatenate([features, hidden])
        return apply_gates(known @ self.weight.T + self.bias, inner), known

    def at_rest(self) -> Memory:
        """The memory of an LSTM that has seen nothing, in the precision of its weights."""
        rest = jnp.zeros(self.bias.shape[0] // 4, self.bias.dtype)
        return rest, rest


def apply_gates(gates: Float[Array, " gate"], inner: Float[Array, " hidden"]) -> Memory:
    """The memory after its gates have opened. [1]."""
    enter, keep, new, leave = jnp.split(save_residual(gates, GATES), 4)
    inner = jax.nn.sigmoid(keep) * inner + jax.nn.sigmoid(enter) * jnp.tanh(new)
    return jax.nn.sigmoid(leave) * jnp.tanh(inner), inner

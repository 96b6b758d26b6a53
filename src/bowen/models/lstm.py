"""The LSTM that sets parameters in a hybrid, or the fluxes themselves in a flux network."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from bowen.numerics.rematerialization import GATES, save_residual


class LSTMMemory(NamedTuple):
    """Hidden and cell state of an LSTM."""

    hidden: Float[Array, "*batch hidden"]
    cell: Float[Array, "*batch hidden"]


class LSTM(eqx.Module):
    """Long short-term memory; its output is the hidden state.

    The weights are those of `equinox.nn.LSTMCell`, in one matrix: first of the features, then of the hidden state.

    Source:
        Hochreiter & Schmidhuber (1997), Neural Comput. 9, 1735-1780, with the forget gate of Gers et al. (2000).
    """

    weight: Float[Array, "gate lstm_input"]
    bias: Float[Array, " gate"]

    def __init__(self, num_features: int, *, hidden_size: int, key: PRNGKeyArray):
        """Draw the initial weights.

        Args:
            num_features: Size of the feature vector: `SiteData.num_features`, or `num_weather_features` where a network
                sees no state of the land.
            hidden_size: Size of the hidden state, which is the output.
            key: Random key; a model with an output layer of its own draws that from the second half of the same key.
        """
        cell = eqx.nn.LSTMCell(num_features, hidden_size, key=jax.random.split(key)[0])
        assert cell.bias is not None
        self.weight, self.bias = jnp.concatenate([cell.weight_ih, cell.weight_hh], axis=1), cell.bias

    @property
    def hidden_size(self) -> int:
        """Size of the hidden state."""
        return self.bias.shape[-1] // 4

    @property
    def num_features(self) -> int:
        """Size of the feature vector."""
        return self.weight.shape[-1] - self.hidden_size

    def init(self) -> LSTMMemory:
        """Return a memory of zeros, in the precision of the weights."""
        zeros = jnp.zeros(self.hidden_size, self.bias.dtype)
        return LSTMMemory(zeros, zeros)

    def __call__(self, features: Float[Array, " feature"], memory: LSTMMemory) -> tuple[Array, LSTMMemory]:
        """Return the hidden state after one step, and the memory."""
        lstm_input = jnp.concatenate([features, memory.hidden])
        memory = apply_gates(lstm_input @ self.weight.T + self.bias, memory.cell)
        return memory.hidden, memory


def apply_gates(gates: Float[Array, " gate"], cell: Float[Array, " hidden"]) -> LSTMMemory:
    """Update the cell state by the pre-activations of the input, forget, candidate and output gates."""
    enter, keep, candidate, leave = jnp.split(save_residual(gates, GATES), 4)
    cell = jax.nn.sigmoid(keep) * cell + jax.nn.sigmoid(enter) * jnp.tanh(candidate)
    return LSTMMemory(jax.nn.sigmoid(leave) * jnp.tanh(cell), cell)

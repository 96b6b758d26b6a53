"""What the gradient keeps of a step; all else it computes again, from what was carried into the step."""

from collections.abc import Callable

import jax
from jax.ad_checkpoint import checkpoint_name as save_residual

__all__ = ["GATES", "ITERATES", "rematerialize", "save_residual"]

ITERATES = "iterates"  # by iteration, and the states after each step: few numbers that took long
GATES = "gates"  # of an LSTM: many numbers


def rematerialize(function: Callable, *names: str) -> Callable:
    """The function itself; the gradient computes it again, but for what is `kept` in it under one of the names."""
    return jax.checkpoint(function, policy=jax.checkpoint_policies.save_only_these_names(*names), prevent_cse=False)

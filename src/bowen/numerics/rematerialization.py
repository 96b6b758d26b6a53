"""Rematerialization policy: intermediates of a step saved for the backward pass; the rest is recomputed."""

from collections.abc import Callable

import jax
from jax.ad_checkpoint import checkpoint_name as save_residual

__all__ = ["GATES", "ITERATES", "rematerialize", "save_residual"]

ITERATES = "iterates"  # solutions of iterations, and the states after each step: few and expensive
GATES = "gates"  # of an LSTM: many


def rematerialize(function: Callable, *names: str) -> Callable:
    """Recompute a function in the backward pass, except what `save_residual` saves under one of the names."""
    return jax.checkpoint(function, policy=jax.checkpoint_policies.save_only_these_names(*names), prevent_cse=False)

"""Optimizer: the leaves of a model that training moves, and Adam with a learning rate of its own for each group."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from bowen.config.schema import TrainingConfig
from bowen.errors import ModelError
from bowen.models.base import AbstractLandModel

WARMUP_UPDATES = 20
GROUPS = {"head": "head", "offsets": "static", "regionalization": "static"}  # fields of a model; the rest is "network"


def trainable_leaves(model: AbstractLandModel) -> Any:
    """Mark the leaves of a model that training moves: its arrays, except the part it declares frozen."""
    mask = jax.tree.map(eqx.is_inexact_array, model)
    return eqx.tree_at(lambda m: m.frozen(), mask, jax.tree.map(lambda _: False, model.frozen()))


def require_finite_weights(model: AbstractLandModel) -> None:
    """Check that every weight of a model is a finite number.

    Raises:
        ModelError: One is not; the message names it.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(eqx.filter(model, trainable_leaves(model))):
        if not bool(jnp.isfinite(leaf).all()):
            raise ModelError(
                type(model).__name__,
                f"its weight `{jax.tree_util.keystr(path).removeprefix('.')}` is not finite",
                fix="make or train the model again, with a lower learning rate if it was trained",
            )


def make_optimizer(training: TrainingConfig) -> optax.GradientTransformation:
    """Build AdamW with clipped gradients, a warm-up and a cosine decay; weight decay acts on matrices only.

    Output layers and static parameters start from zero and have far to go, so that they learn at rates of their own.
    """
    rate = optax.warmup_cosine_decay_schedule(
        0.1 * training.learning_rate,
        training.learning_rate,
        min(WARMUP_UPDATES, training.updates),
        max(training.updates, WARMUP_UPDATES + 1),
        0.02 * training.learning_rate,
    )
    factors: Any = {
        "head": optax.scale(training.head_lr_factor),
        "static": optax.scale(training.static_lr_factor),
        "network": optax.identity(),
    }

    def group_labels(tree: Any) -> Any:
        return jax.tree_util.tree_map_with_path(lambda path, _: GROUPS.get(path[0].name, "network"), tree)

    def is_matrix(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf.ndim > 1, tree)

    return optax.chain(
        optax.clip_by_global_norm(training.clip_gradient_norm),
        optax.adamw(rate, weight_decay=training.weight_decay, mask=is_matrix),
        optax.multi_transform(factors, group_labels),
    )

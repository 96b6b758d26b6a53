"""Many columns side by side, with the gradient of the weights taken in one product: the same as one by one."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bowen.hybrid import Hybrid, Network, Scale
from bowen.land import ImplicitStep, Process
from bowen.lstm import Cell
from bowen.solve import Inputs, roll, roll_columns
from bowen.training import learned, predict
from tests import helpers

COLUMNS, STEPS = 3, 48


@pytest.fixture
def inputs(key):
    one = helpers.days(helpers.weather(6), 1, 2)
    warmer = 2.0 * jnp.arange(float(COLUMNS))
    series = one.each(lambda x: jnp.repeat(x[:, None], COLUMNS, axis=1))
    return eqx.tree_at(lambda i: i.forcing.air_temperature, series, series.forcing.air_temperature + warmer[None, :])


def models(inputs, key):
    base = helpers.Parameters()
    size = inputs.features.shape[-1]
    step = ImplicitStep(substeps=1, iterations=2)  # quick to compile
    hybrid = Hybrid(base, ("surface_resistance", "ground_albedo"), features=size, hidden=4, key=key, step=step)
    return {
        "process": Process(base, ("surface_resistance", "root_capacity"), step),
        "hybrid": helpers.restless(hybrid, key),
        "network": Network(features=size, hidden=4, key=key, scale=Scale(jnp.full(2, 50.0), jnp.full(2, 100.0))),
    }


@pytest.mark.parametrize("name", ["process", "hybrid", "network"])
def test_columns_side_by_side_are_columns_one_by_one(inputs, key, name):
    model = models(inputs, key)[name]
    state = helpers.beginning(helpers.Parameters(), helpers.days(helpers.weather(6), 1, 2))
    start = jax.tree.map(lambda x: jnp.repeat(x[None], COLUMNS, axis=0), model.start(state))
    moving, still = eqx.partition(model, learned(model))

    def squares(record):
        return record.observed()

    def together(moving, start):
        carry, told = roll_columns(eqx.combine(moving, still), start, inputs, squares)
        return (told**2).mean(), (carry, told)

    def apart(moving, start):
        def one(carry, forcing, features):
            return roll(eqx.combine(moving, still), carry, Inputs(forcing, features, inputs.dt), squares)

        carry, told = jax.vmap(one, in_axes=(0, 1, 1), out_axes=(0, 1))(start, inputs.forcing, inputs.features)
        return (told**2).mean(), (carry, told)

    def by_days(moving, start):
        carries, (told, _) = predict(eqx.combine(moving, still), start, inputs, STEPS)
        return (told**2).mean(), (jax.tree.map(lambda x: x[-1], carries), told)

    def answer(function):
        return jax.jit(jax.value_and_grad(function, argnums=(0, 1), has_aux=True))(moving, start)

    answers = [answer(function) for function in (together, apart, by_days)]
    for other in (answers[0], answers[2]):
        for mine, theirs in zip(jax.tree.leaves(other), jax.tree.leaves(answers[1]), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12 * (1.0 + np.abs(theirs).max()))
    gradient = jax.tree.leaves(answers[0][1][0])
    assert gradient and all(np.abs(leaf).max() > 0.0 for leaf in gradient)


def test_the_memory_is_that_of_equinox(key):
    """The same weights, the same numbers, and the same gradients, though they stand and are computed otherwise."""
    theirs = eqx.nn.LSTMCell(5, 7, key=key)
    ours = Cell(5, 7, key=key)
    features, memory = jnp.linspace(-2.0, 2.0, 5), (jnp.linspace(-0.5, 0.9, 7), jnp.linspace(2.0, -1.0, 7))

    def answer(cell, features, memory):
        after = cell(features, memory)
        hidden, inner = after[0] if isinstance(cell, Cell) else after
        return (hidden**2).sum() + (inner**3).sum(), (hidden, inner)

    mine = jax.value_and_grad(answer, argnums=(1, 2), has_aux=True)(ours, features, memory)
    other = jax.value_and_grad(answer, argnums=(1, 2), has_aux=True)(theirs, features, memory)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14), mine, other)
    assert ours.at_rest()[0].shape == (7,)

"""The gradient through weeks of weather is the slope that small steps measure, for each parameter and each weight."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from bowen.land.step import ImplicitStep
from bowen.models.base import Process
from bowen.models.rollout import unroll
from tests import helpers

pytestmark = pytest.mark.physics
STEP = ImplicitStep(substeps=1)
STEPS = jnp.asarray([1e-3, 1e-4, 1e-5, 1e-6])
ROUNDING = 1e-10  # the slope that a sum of 100 W m-2, rounded, can feign over the longest of these steps
SEASONS = {"summer": (170, 30), "winter": (0, 120)}  # first day, and number of days that count, of a boreal year
WINDOW = 120  # days, the same for both so that each function is compiled once


def outcome(record):
    """Both heat fluxes, runoff and snow, in numbers of like size."""
    flux = record.fluxes
    return jnp.stack([flux.latent_heat, flux.sensible_heat, 1e6 * flux.runoff, record.state.snow_water])


def process_of(parameters):
    return Process(parameters, helpers.PHYSICAL, solver=STEP)


def hybrid_of(parameters):
    keys = jax.random.split(jax.random.key(3))
    static = tuple(name for name in helpers.PHYSICAL if name not in helpers.DYNAMIC)
    model = helpers.lstm_hybrid(
        parameters, helpers.DYNAMIC, features=5, hidden_size=4, key=keys[0], static=static, solver=STEP
    )
    return helpers.restless(model, keys[1], spread=0.5)


class Slopes:
    """Slopes of a model's mean outcome along each of its learned arrays, by reverse mode and by small steps.

    The direction in an array is random; a parameter is an array of one.
    """

    def __init__(self, model):
        base = model.land
        learned, rest = eqx.partition(eqx.tree_at(lambda m: m.land, model, None), eqx.is_inexact_array)
        here, rebuild = ravel_pytree(learned)
        leaves = jax.tree_util.tree_leaves_with_path(learned)
        self.names = [jax.tree_util.keystr(path) for path, _ in leaves]
        owner = np.repeat(np.arange(len(leaves)), [leaf.size for _, leaf in leaves])
        noise = np.random.default_rng(1).normal(size=owner.size)
        directions = jnp.asarray((owner == np.arange(len(leaves))[:, None]) * noise)

        def value(point, inputs, counted):
            moved = eqx.combine(rebuild(point), rest)
            moved = eqx.tree_at(lambda m: m.land, moved, base, is_leaf=lambda x: x is None)
            state = dataclasses.replace(helpers.beginning(base, inputs), groundwater=jnp.asarray(50.0))
            outcomes = unroll(moved, moved.init(state), inputs, outcome)[1]
            return outcomes.mean(axis=0, where=counted[:, None]).sum()

        def by_small_steps(inputs, counted):
            signed = jnp.concatenate([STEPS, -STEPS])
            points = here[None, None] + signed[:, None, None] * directions[None]
            up, down = jnp.split(jax.vmap(jax.vmap(lambda point: value(point, inputs, counted)))(points), 2)
            return (up - down) / (2.0 * STEPS[:, None])

        self.by_reverse_mode = jax.jit(lambda *weather: directions @ jax.grad(value)(here, *weather))
        self.by_small_steps = jax.jit(by_small_steps)


@pytest.fixture(scope="module", params=[process_of, hybrid_of], ids=["process", "hybrid"])
def tower_and_slopes(request, shared_data):
    parameters, record = helpers.tower(shared_data, "SE-Svb")
    return record, Slopes(request.param(parameters))


@pytest.mark.parametrize("season", SEASONS)
def test_gradients_agree_with_central_differences(tower_and_slopes, season):
    """V16: the best of four step lengths, since a kink crossed by a step or its rounding spoils some."""
    record, slopes = tower_and_slopes
    first, count = SEASONS[season]
    inputs = helpers.days(record, first, WINDOW)
    counted = jnp.arange(WINDOW * helpers.DAY) < count * helpers.DAY
    exact = np.asarray(slopes.by_reverse_mode(inputs, counted))
    error = np.abs(slopes.by_small_steps(inputs, counted) - exact[None]).min(axis=0)
    assert np.isfinite(exact).all()
    wrong = error > 1e-6 * np.abs(exact) + ROUNDING
    assert not wrong.any(), [(slopes.names[k], exact[k], error[k]) for k in np.flatnonzero(wrong)]


@pytest.mark.slow
@pytest.mark.parametrize("make", [process_of, hybrid_of], ids=["process", "hybrid"])
def test_gradients_are_finite_over_eight_years(shared_data, make):
    parameters, inputs = helpers.tower(shared_data, "US-SRM")
    state = helpers.beginning(parameters, inputs)

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(model, state, inputs):
        return unroll(model, model.init(state), inputs, outcome, segment=helpers.DAY)[1].mean()

    slopes = jax.tree.leaves(gradient(make(parameters), state, inputs))
    assert all(np.isfinite(slope).all() for slope in slopes)
    assert any((slope != 0.0).any() for slope in slopes)

"""Many columns side by side, with the gradient of the weights taken in one product: the same as one by one."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bowen.experiments.run_directory import named_leaves
from bowen.land.step import ImplicitStep
from bowen.land.surface_exchange import net_radiation_measured_if_available
from bowen.models.base import Process
from bowen.models.hybrid import FluxScale
from bowen.models.lstm import LSTM, LSTMMemory
from bowen.models.regionalization import Regionalization
from bowen.models.rollout import Inputs, unroll, unroll_columns
from bowen.training.loss import predict
from bowen.training.optimizer import trainable_leaves
from bowen.training.windows import stack_trees
from tests import helpers

COLUMNS, STEPS = 3, 48


@pytest.fixture
def inputs(key):
    one = helpers.days(helpers.weather(6), 1, 2)
    warmer = 2.0 * jnp.arange(float(COLUMNS))
    series = one.each(lambda x: jnp.repeat(x[:, None], COLUMNS, axis=1))
    measured = jnp.arange(COLUMNS) == 1  # in one column; the other radiation of each is NaN
    forcing = dataclasses.replace(
        series.forcing,
        air_temperature=series.forcing.air_temperature + warmer[None, :],
        longwave_down=jnp.where(measured, jnp.nan, series.forcing.longwave_down),
        net_radiation=jnp.where(measured, series.forcing.longwave_down, jnp.nan),
    )
    return eqx.tree_at(lambda i: i.forcing, series, forcing)


def models(inputs, key, more=()):
    base = helpers.Parameters()
    size = inputs.features.shape[-1]
    step = ImplicitStep(substeps=1, iterations=2, net_radiation=net_radiation_measured_if_available)  # quick to compile
    regional = Regionalization(
        ("root_zone_capacity",), num_attributes=1, site_specific=("closure_fraction",), num_sites=2
    )
    regional = eqx.tree_at(
        lambda r: (r.slopes, r.departures), regional, (jnp.full((1, 1), 0.3), jnp.array([[0.2], [0.4]]))
    )
    learned = ("root_zone_capacity", "closure_fraction", *more)
    dynamic = ("minimum_stomatal_resistance", "ground_albedo")
    hybrid = helpers.lstm_hybrid(
        base, dynamic, static=learned, features=size, hidden_size=4, key=key, solver=step, regionalization=regional
    )
    return {
        "process": Process(base, learned, solver=step, regionalization=regional),
        "hybrid": helpers.restless(hybrid, key),
        "network": helpers.lstm_fluxes(
            features=size, hidden_size=4, key=key, scale=FluxScale(jnp.full(2, 50.0), jnp.full(2, 100.0))
        ),
    }


def different_sites():
    base = helpers.Parameters()
    resistant = dataclasses.replace(base, minimum_stomatal_resistance=200.0)
    return stack_trees([helpers.site(base, [0.5], 0), helpers.site(resistant, [-0.5], 1), helpers.site(base, [1.0])])


@pytest.mark.parametrize("name", ["process", "hybrid", "network"])
@pytest.mark.parametrize("many", [False, True], ids=["one site", "many sites"])
def test_columns_side_by_side_are_columns_one_by_one(inputs, key, name, many):
    model, sites = models(inputs, key)[name], different_sites() if many else None
    state = helpers.beginning(helpers.Parameters(), helpers.days(helpers.weather(6), 1, 2))
    start = jax.tree.map(lambda x: jnp.repeat(x[None], COLUMNS, axis=0), model.init(state))
    moving, still = eqx.partition(model, trainable_leaves(model))

    def squares(record):
        return record.observed()

    def together(moving, start):
        carry, told = unroll_columns(eqx.combine(moving, still), start, inputs, squares, sites)
        return (told**2).mean(), (carry, told)

    def apart(moving, start):
        def one(site, carry, forcing, features):
            model = eqx.combine(moving, still)
            here = model if site is None else model.for_site(site)
            return unroll(here, carry, Inputs(forcing, features, inputs.dt), squares)

        columns = jax.vmap(one, in_axes=(0, 0, 1, 1), out_axes=(0, 1))
        carry, told = columns(sites, start, inputs.forcing, inputs.features)
        return (told**2).mean(), (carry, told)

    def by_days(moving, start):
        carry, (told, _) = predict(eqx.combine(moving, still), start, inputs, jnp.zeros((1, COLUMNS), bool), sites)
        return (told**2).mean(), (carry, told)

    def answer(function):
        return jax.jit(jax.value_and_grad(function, argnums=(0, 1), has_aux=True))(moving, start)

    answers = [answer(function) for function in (together, apart, by_days)]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(answers[0]))
    for other in (answers[0], answers[2]):
        for mine, theirs in zip(jax.tree.leaves(other), jax.tree.leaves(answers[1]), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12 * (1.0 + np.abs(theirs).max()))
    gradient = {
        place: leaf for place, leaf in named_leaves(answers[0][1][0]).items() if many or "regionalization" not in place
    }
    assert gradient and all(np.abs(leaf).max() > 0.0 for leaf in gradient.values())


@pytest.mark.parametrize("name", ["process", "hybrid", "network"])
def test_water_begins_anew_where_it_is_told_to(inputs, key, name):
    """At its own site, and with a gradient to what a record begins with."""
    model, sites = models(inputs, key, ("initial_saturation",))[name], different_sites()
    state = helpers.beginning(helpers.Parameters(), helpers.days(helpers.weather(6), 1, 2))
    start = jax.tree.map(lambda x: jnp.repeat(x[None], COLUMNS, axis=0), model.init(state))
    renewals = jnp.array([[False, True, False]])
    moving, still = eqx.partition(model, trainable_leaves(model))

    @jax.jit
    def fluxes(moving, renewals, start):
        told = predict(eqx.combine(moving, still), start, inputs, renewals, sites)[1][0]
        return (told**2).mean(), told

    never = jnp.zeros_like(renewals)
    (_, renewed), (_, left) = fluxes(moving, renewals, start), fluxes(moving, never, start)
    assert (renewed != left).any(axis=(0, 2)).tolist() == [False, name != "network", False]
    if name == "network":
        return
    here = model.for_site(jax.tree.map(lambda x: x[1], sites))
    capacity = helpers.Learned(here).root_zone_capacity
    full = eqx.tree_at(water_of, start, water_of(start).at[1].set(0.5 * capacity))
    np.testing.assert_allclose(renewed, fluxes(moving, never, full)[1], rtol=1e-9)
    gradient = jax.jit(jax.grad(fluxes, has_aux=True))(moving, renewals, start)[0]
    assert gradient.offsets["initial_saturation"] != 0.0


def water_of(carry):
    return (carry[1] if isinstance(carry, tuple) else carry).root_zone_water


def test_the_memory_is_that_of_equinox(key):
    """The same weights, the same numbers, and the same gradients, though they stand and are computed otherwise."""
    theirs = eqx.nn.LSTMCell(5, 7, key=jax.random.split(key)[0])
    ours = LSTM(5, hidden_size=7, key=key)
    features, memory = jnp.linspace(-2.0, 2.0, 5), LSTMMemory(jnp.linspace(-0.5, 0.9, 7), jnp.linspace(2.0, -1.0, 7))

    def answer(cell, features, memory):
        hidden, inner = cell(features, memory)[1] if isinstance(cell, LSTM) else cell(features, tuple(memory))
        return (hidden**2).sum() + (inner**3).sum(), (hidden, inner)

    mine = jax.value_and_grad(answer, argnums=(1, 2), has_aux=True)(ours, features, memory)
    other = jax.value_and_grad(answer, argnums=(1, 2), has_aux=True)(theirs, features, memory)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14), mine, other)
    assert ours.init().hidden.shape == (7,)

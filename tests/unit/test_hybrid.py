"""Learned models are built as they say, or say why not."""

import dataclasses
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bowen.land.parameters import Parameters
from bowen.land.quantities import apply_logit_offsets
from bowen.land.step import ImplicitStep
from bowen.land.tower_observation import TowerParameters
from bowen.models.base import Process, SiteParameters
from bowen.models.hybrid import (
    NUM_STATE_FEATURES,
    FluxScale,
    GuidedHybrid,
    feed_back,
    feed_back_without_gradient,
)
from bowen.physics.turbulence import neutral
from bowen.training.optimizer import trainable_leaves
from tests import helpers
from tests.reference_solver import AdaptiveStep

STEP = ImplicitStep(substeps=1, iterations=2, stability=neutral)


def hybrid(key, dynamic=("minimum_stomatal_resistance", "ground_albedo"), **options):
    return helpers.lstm_hybrid(Parameters(), dynamic, features=5, hidden_size=4, key=key, solver=STEP, **options)


@pytest.mark.parametrize(
    ("dynamic", "static", "message"),
    [
        (("heat_capacity",), (), "`heat_capacity` cannot be dynamic: a storage coefficient"),
        (
            ("stomata",),
            (),
            "`stomata` is not a parameter. Parameters that can be dynamic: minimum_stomatal_resistance,",
        ),
        (("emissivity",), ("gustiness",), "`gustiness` cannot be static. Parameters that can be static: "),
        (("emissivity",), ("emissivity",), "`emissivity` is listed as dynamic and as static: keep one."),
    ],
)
def test_impossible_parameters_are_refused(key, dynamic, static, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        hybrid(key, dynamic, static=static)


def test_a_process_refuses_what_cannot_be_calibrated():
    with pytest.raises(ValueError, match="`gustiness` cannot be static"):
        Process(Parameters(), ("gustiness",))


@pytest.mark.parametrize(
    ("feedback", "size"),
    [(None, 5), (feed_back, 5 + NUM_STATE_FEATURES), (feed_back_without_gradient, 5 + NUM_STATE_FEATURES)],
)
def test_the_network_sees_the_state_where_it_is_fed_back(key, feedback, size):
    gates, known = hybrid(key, state_feedback=feedback).network.weight.shape
    assert known - gates // 4 == size


@pytest.mark.parametrize(
    ("feedback", "seen"), [(feed_back, True), (feed_back_without_gradient, False)], ids=["fed", "stopped"]
)
def test_stopped_feedback_carries_no_gradient(key, feedback, seen):
    model = helpers.restless(hybrid(key, state_feedback=feedback), key)
    inputs = helpers.weather(1)
    state = helpers.beginning(model.land, inputs)

    def offset(root_zone_water):
        now = eqx.tree_at(lambda s: s.root_zone_water, state, root_zone_water)
        weather = jax.tree.map(lambda series: series[24], inputs.forcing)
        record = model.step(model.init(now), weather, inputs.features[24], inputs.dt)[1]
        return record.offsets["minimum_stomatal_resistance"]

    assert (jax.jit(jax.grad(offset))(state.root_zone_water) != 0.0) == seen


def test_each_parameter_is_moved_by_its_own_offset(key):
    """Also the ones learned as one number: the record tells what the step was given."""
    model = helpers.restless(hybrid(key, static=("heat_capacity",)), key)
    model = eqx.tree_at(lambda m: m.offsets["heat_capacity"], model, jnp.asarray(0.3))
    inputs = helpers.weather(1)
    offsets = helpers.run(model, helpers.beginning(model.land, inputs), inputs, lambda record: record.offsets)
    assert set(offsets) == {"minimum_stomatal_resistance", "ground_albedo", "heat_capacity"}
    np.testing.assert_array_equal(offsets["heat_capacity"], 0.3)
    assert np.ptp(offsets["minimum_stomatal_resistance"]) > 0.1
    moved = jax.vmap(lambda offset: apply_logit_offsets(model.land, offset))(offsets)
    assert moved.minimum_stomatal_resistance.shape == (helpers.DAY,)


def test_training_moves_network_and_offsets_but_no_parameter_of_the_site(key):
    marks = trainable_leaves(hybrid(key, static=("heat_capacity",)))
    assert all(jax.tree.leaves((marks.network, marks.head, marks.offsets)))
    assert not any(jax.tree.leaves((marks.land, marks.tower)))


def test_a_network_answers_on_the_scale_of_the_fluxes(key):
    scale = FluxScale(jnp.asarray([50.0, 30.0]), jnp.asarray([60.0, 90.0]))
    model = helpers.lstm_fluxes(features=5, hidden_size=4, key=key, scale=scale)
    inputs = helpers.weather(1)
    record = helpers.run(model, None, inputs, lambda record: record)
    assert record.state is None and record.offsets == {}
    assert record.fluxes.latent_heat.shape == record.fluxes.sensible_heat.shape == (helpers.DAY,)
    silent = eqx.tree_at(lambda m: m.head, model, jax.tree.map(jnp.zeros_like, model.head))
    fluxes = helpers.run(silent, None, inputs)
    np.testing.assert_array_equal(fluxes.latent_heat, 50.0)
    np.testing.assert_array_equal(fluxes.sensible_heat, 30.0)


def guided_by_a_constant(key, latent, base, moved):
    """A hybrid of closed stomata that moves what its tower sees; its guide always tells the same latent heat."""
    network = helpers.lstm_fluxes(
        features=5, hidden_size=4, key=key, scale=FluxScale(jnp.asarray([latent, 0.0]), jnp.ones(2))
    )
    network = eqx.tree_at(lambda m: m.head, network, jax.tree.map(jnp.zeros_like, network.head))
    own = helpers.lstm_hybrid(
        base, ("closure_fraction",), features=5, hidden_size=4, key=key, solver=ImplicitStep(substeps=1)
    )
    return GuidedHybrid(eqx.tree_at(lambda m: m.head.bias, own, jnp.asarray([moved])), network)


@pytest.mark.physics
@pytest.mark.parametrize(("share", "moved"), [(1.0, 0.0), (0.8, 0.0), (0.8, -1.0)])
def test_a_guided_hybrid_evaporates_half_of_what_it_is_asked_for(key, share, moved):
    """As its tower would see it; and nothing that is not there, from a root zone that runs dry."""
    closed = dataclasses.replace(Parameters(), minimum_stomatal_resistance=4999.0)
    inputs = helpers.weather(40, storms=False)
    state = dataclasses.replace(helpers.beginning(closed, inputs), root_zone_water=60.0)

    def told(latent):
        site = SiteParameters(closed, TowerParameters(closure_fraction=share))
        return helpers.run(guided_by_a_constant(key, latent, site, moved), state, inputs, lambda record: record)

    idle, led = told(0.0), told(100.0)
    first = slice(0, 5 * helpers.DAY)
    asked = (led.closure_fraction[:, 0] * (led.fluxes.latent_heat - idle.fluxes.latent_heat))[first]
    np.testing.assert_allclose(asked, 50.0, rtol=0.1)
    assert led.state.root_zone_water.min() >= 0.0 and led.state.root_zone_water[-1] < 5.0
    assert led.fluxes.latent_heat[-helpers.DAY :].mean() < 0.2 * led.fluxes.latent_heat[first].mean()
    for residual, most in ((led.fluxes.energy_residual, 1e-9), (led.fluxes.water_residual, 1e-14)):
        assert np.abs(residual).max() < most


def test_only_the_implicit_step_is_guided(key):
    network = helpers.lstm_fluxes(features=5, hidden_size=4, key=key, scale=FluxScale(jnp.zeros(2), jnp.ones(2)))
    own = helpers.lstm_hybrid(
        Parameters(), ("ground_albedo",), features=5, hidden_size=4, key=key, solver=AdaptiveStep()
    )
    with pytest.raises(ValueError, match="only a hybrid with the implicit step can be guided"):
        GuidedHybrid(own, network)

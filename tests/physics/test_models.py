"""A model is the same function however it is called, and a network that knows nothing changes nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bowen.land.land_classes import parameters_for
from bowen.land.parameters import Parameters
from bowen.land.step import ImplicitStep
from bowen.land.surface_exchange import PRIESTLEY_TAYLOR, RESISTANCE
from bowen.land.tower_observation import TowerParameters
from bowen.models.base import Process, SiteParameters
from bowen.models.hybrid import feed_back
from bowen.models.rollout import unroll
from tests import helpers

pytestmark = pytest.mark.physics
STATIC = ("heat_capacity", "snow_albedo", "snow_threshold", "precipitation_factor", "vegetation_heat_capacity")


def fluxes_and_states(record):
    return record.fluxes, record.state


@pytest.mark.parametrize(
    ("feedback", "evaporation"),
    [(None, RESISTANCE), (feed_back, RESISTANCE), (feed_back, PRIESTLEY_TAYLOR)],
    ids=["blind", "fed", "by energy"],
)
def test_an_untrained_hybrid_is_the_process(key, feedback, evaporation):
    """V20: every flux and every state, bit for bit, with every parameter that can be learned being learned."""
    inputs, step = helpers.weather(120, mean=275.0), ImplicitStep(evaporation=evaporation)
    hybrid = helpers.lstm_hybrid(
        parameters_for("ENF"),
        helpers.DYNAMIC,
        features=5,
        hidden_size=16,
        key=key,
        static=STATIC,
        state_feedback=feedback,
        solver=step,
    )
    process, state = Process(hybrid.land, solver=step), helpers.beginning(hybrid.land, inputs)
    told, expected = (helpers.run(model, state, inputs, fluxes_and_states) for model in (hybrid, process))
    assert expected[1].snow_water.max() > 1.0
    jax.tree.map(np.testing.assert_array_equal, told, expected)


def require_close(actual, expected):
    """To rounding, of a flux that is nearly zero too."""
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * np.abs(b).max()), actual, expected
    )


def heat_and_states(record):
    return record.fluxes.latent_heat, record.fluxes.sensible_heat, record.state


def test_sites_side_by_side_are_sites_one_by_one():
    """V22"""
    parameters = [parameters_for(igbp) for igbp in ("ENF", "GRA", "DBF")]
    inputs = [helpers.weather(5, mean=mean) for mean in (272.0, 285.0, 295.0)]
    alone = [
        helpers.run(Process(p), helpers.beginning(p, i), i, heat_and_states)
        for p, i in zip(parameters, inputs, strict=True)
    ]
    parameters, inputs, alone = (
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *group) for group in (parameters, inputs, alone)
    )

    @jax.vmap
    def together(parameters, inputs):
        return helpers.run(Process(parameters), helpers.beginning(parameters, inputs), inputs, heat_and_states)

    require_close(together(parameters, inputs), alone)


def test_a_tower_sees_a_share_of_fluxes_and_all_of_runoff_and_snow():
    inputs = helpers.weather(20, mean=272.0)
    model = Process(SiteParameters(parameters_for("ENF"), TowerParameters(closure_fraction=0.5)))
    names = ("latent_heat", "sensible_heat", "runoff", "snow_water")
    record = helpers.run(model, helpers.beginning(model.land, inputs), inputs, lambda record: record)
    seen = jax.vmap(lambda record: record.observed(names))(record)
    heat = 0.5 * jnp.stack([record.fluxes.latent_heat, record.fluxes.sensible_heat], axis=-1)
    np.testing.assert_array_equal(seen[:, :2], heat)
    np.testing.assert_array_equal(seen[:, 2:], jnp.stack([record.fluxes.runoff, record.state.snow_water], axis=-1))
    np.testing.assert_array_equal(jax.vmap(lambda record: record.observed())(record), heat)
    assert float(seen[:, 3].max()) > 1.0


def test_compiling_changes_nothing():
    """V22"""
    inputs = helpers.weather(3, mean=273.0).window(130, 4)  # a storm sets in
    model = Process(Parameters())
    state = helpers.beginning(model.land, inputs)
    compiled = helpers.run(model, state, inputs, heat_and_states)
    with jax.disable_jit():
        interpreted = unroll(model, state, inputs, heat_and_states)[1]
    require_close(compiled, interpreted)

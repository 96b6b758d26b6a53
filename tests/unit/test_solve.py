"""Time passes the same however the series is cut."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bowen.land.parameters import Parameters
from bowen.land.step import ImplicitStep
from bowen.models.base import Process
from bowen.models.rollout import run_from_state, spin_up, unroll
from bowen.physics.turbulence import neutral
from tests import helpers

MODEL = Process(
    Parameters(), ("minimum_stomatal_resistance",), solver=ImplicitStep(substeps=1, iterations=2, stability=neutral)
)


@pytest.fixture(scope="module")
def inputs():
    return helpers.weather(2)


@pytest.fixture(scope="module")
def state(inputs):
    return helpers.beginning(MODEL.land, inputs)


@pytest.fixture(scope="module")
def whole(state, inputs):
    return run_from_state(MODEL, state, inputs)


def require_close(actual, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-10), actual, expected)


def test_segments_change_neither_values_nor_gradients(state, inputs):
    def mean_heat(state, segment):
        return unroll(MODEL, state, inputs, lambda record: record.fluxes.latent_heat, segment)[1].mean()

    graded = jax.jit(jax.value_and_grad(mean_heat), static_argnums=1)
    require_close(graded(state, 24), graded(state, None))


def test_a_segment_must_divide_the_series(state, inputs):
    with pytest.raises(ValueError, match=re.escape("segment of 36 steps does not divide the series of 96.")):
        unroll(MODEL, state, inputs, segment=36)


def test_the_carry_takes_up_where_it_was_left(state, inputs, whole):
    carry, records = whole
    morning, first = run_from_state(MODEL, state, inputs.window(0, 48))
    evening, second = run_from_state(MODEL, morning, inputs.window(48, 48))
    require_close(evening, carry)
    require_close(jax.tree.map(lambda a, b: jnp.concatenate([a, b]), first, second), records)


def test_the_last_record_is_the_carry(whole):
    carry, records = whole
    require_close(jax.tree.map(lambda series: series[-1], records.state), carry)


def test_spin_up_forgets_where_it_began(state, inputs):
    """Cold and warm starts come together; only the deep soil takes longer than this."""
    warmer = dataclasses.replace(jax.tree.map(lambda leaf: leaf + 5.0, state), soil_ice=state.soil_ice)  # can hold none

    def difference(cycles):
        cold, warm = (spin_up(MODEL, start, inputs, cycles=cycles).soil_temperature_excess for start in (state, warmer))
        return np.abs(warm - cold)[:3].max()

    assert difference(20) < 0.2 * difference(1)


def test_spinning_up_cycles_the_series(state, inputs, whole):
    once = whole[0]
    require_close(spin_up(MODEL, state, inputs, cycles=2), run_from_state(MODEL, once, inputs)[0])

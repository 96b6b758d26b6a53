"""Leaves hold rain, lose it through no stomata, and let the rest fall; where they hold none, nothing changes."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from bowen.land.parameters import Parameters
from bowen.models.base import Process
from bowen.physics import hydrology
from tests import helpers
from tests.reference_solver import AdaptiveStep

pytestmark = pytest.mark.physics
HOLDING = dataclasses.replace(Parameters(), interception_capacity=1.5)


def test_leaves_hold_what_they_can():
    held = hydrology.interception(jnp.asarray([0.0, 1.0, 1.5]), jnp.asarray([0.4, 0.8, 0.0]), jnp.asarray(1.5))
    np.testing.assert_allclose(held, [0.4, 1.5, 1.5])


@pytest.fixture(scope="module")
def storms():
    """Records of ten days with storms, by what the leaves hold."""
    inputs = helpers.weather(10)
    state = helpers.beginning(Parameters(), inputs)
    return {
        parameters.interception_capacity.item(): helpers.run(Process(parameters), state, inputs, lambda record: record)
        for parameters in (Parameters(), HOLDING)
    }


def test_rain_that_is_held_evaporates_and_never_reaches_the_roots(storms):
    bare, leafy = storms[0.0], storms[1.5]
    assert not bare.state.canopy_water.any() and not bare.fluxes.canopy_evaporation.any()
    assert 0.0 <= leafy.state.canopy_water.min() and leafy.state.canopy_water.max() == pytest.approx(1.5, abs=0.01)
    assert leafy.state.canopy_water[helpers.DAY * 3 - 2] > 1.4  # in the storm of the third evening
    assert leafy.state.canopy_water[helpers.DAY * 4 - 12] < 0.1  # a day later
    rain, lost = (1800.0 * float(flux.sum()) for flux in (leafy.fluxes.rainfall, leafy.fluxes.canopy_evaporation))
    assert 3.0 < lost < 3 * 1.6 + 2.0 < rain
    gain = leafy.state.root_zone_water + leafy.state.groundwater - bare.state.root_zone_water - bare.state.groundwater
    assert gain[-1] < -0.5
    assert leafy.fluxes.evapotranspiration.sum() > bare.fluxes.evapotranspiration.sum()


def test_wet_leaves_do_not_transpire(storms):
    wet = np.asarray(storms[1.5].state.canopy_water) > 1.4
    assert wet.any()
    transpired = {held: record.fluxes.root_evaporation[wet].mean() for held, record in storms.items()}
    assert transpired[1.5] < 0.2 * transpired[0.0]


@pytest.mark.slow
def test_an_adaptive_solver_finds_the_same():
    inputs = helpers.weather(4).window(2 * helpers.DAY, 2 * helpers.DAY)
    state, steps = helpers.beginning(HOLDING, inputs), (None, AdaptiveStep())
    lost = [helpers.run(Process(HOLDING, solver=step), state, inputs).canopy_evaporation.sum() for step in steps]
    assert lost[0] == pytest.approx(float(lost[1]), rel=0.1) and lost[0] > 0.0

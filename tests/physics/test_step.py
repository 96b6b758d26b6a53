"""The implicit step is what it is said to be: linear in one iteration, quadratic in several, first order in time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bowen.land.parameters import Parameters
from bowen.land.step import ImplicitStep
from bowen.land.surface_exchange import surface_conditions, surface_fluxes
from bowen.models.base import Process
from bowen.models.rollout import Inputs
from bowen.physics import soil
from bowen.physics.constants import LAYER_THICKNESS
from bowen.physics.surface_balance import GroundHeatCoupling
from tests import helpers
from tests.reference_solver import AdaptiveStep

pytestmark = pytest.mark.physics
DT = jnp.asarray(1800.0)
NOON = 24


@pytest.fixture(scope="module")
def summer() -> Inputs:
    return helpers.weather(1, storms=False)


NOTHING_BELOW = GroundHeatCoupling(*3 * (jnp.asarray(0.0),))


@pytest.fixture
def noon(summer):
    """Parameters, a state and the weather of a dry summer noon, when much happens in one step."""
    parameters = Parameters()
    state = helpers.beginning(parameters, summer)
    return parameters, state, jax.tree.map(lambda series: series[NOON], summer.forcing)


def test_one_iteration_is_the_linearized_step(noon):
    """V18: against the linear system of all five layers, solved at once."""
    parameters, state, forcing = noon
    step = ImplicitStep(substeps=1, iterations=1)
    after, _ = jax.jit(step)(parameters, state, forcing, DT)

    @jax.jit
    def surface(warming):
        at = surface_conditions(step, parameters, state, forcing, DT)
        flux = surface_fluxes(step, at, NOTHING_BELOW, warming)
        return flux.net_radiation - flux.sensible_heat - at.vaporization_heat * flux.root_evaporation

    heating, slope = jax.jvp(surface, (jnp.asarray(0.0),), (jnp.asarray(1.0),))
    conduction = np.zeros((5, 5))
    for k, g in enumerate(soil.layer_conductances(parameters.thermal_conductivity, jnp.asarray(0.0))):
        conduction[k : k + 2, k : k + 2] += g * np.array([[1.0, -1.0], [-1.0, 1.0]])
    matrix = np.diag(parameters.heat_capacity * np.array(LAYER_THICKNESS) / DT) + conduction
    matrix[0, 0] -= slope
    source = np.eye(5)[0] * heating - conduction @ state.soil_temperature_excess
    np.testing.assert_allclose(
        after.soil_temperature_excess, state.soil_temperature_excess + np.linalg.solve(matrix, source), rtol=1e-13
    )


def test_iterations_converge_quadratically(noon):
    """V18"""
    surface = [
        float(jax.jit(ImplicitStep(substeps=1, iterations=count))(*noon, DT)[0].soil_temperature_excess[0])
        for count in (1, 2, 3, 8)
    ]
    error = np.abs(np.array(surface[:-1]) - surface[-1])
    assert error[0] > 0.1
    assert (error[1:] < 0.02 * error[:-1] ** 2 + 1e-13).all()


@pytest.mark.slow
def test_the_step_is_of_first_order(summer):
    """V19: halving, then thirding the sub-step brings the heat fluxes nearer to an adaptive solver in proportion."""
    parameters = Parameters()
    state = helpers.beginning(parameters, summer)

    def heat(record):
        return jnp.stack([record.fluxes.latent_heat, record.fluxes.sensible_heat])

    reference = helpers.run(Process(parameters, solver=AdaptiveStep(rtol=1e-7, atol=1e-7)), state, summer, heat)
    errors = []
    for substeps in (1, 2, 6):
        ours = helpers.run(Process(parameters, solver=ImplicitStep(substeps=substeps)), state, summer, heat)
        errors.append(np.sqrt(((ours - reference) ** 2).mean(axis=0)))
    slopes = np.log(np.array(errors[:-1]) / np.array(errors[1:])) / np.log([[2.0], [3.0]])
    np.testing.assert_allclose(slopes, 1.0, atol=0.1)

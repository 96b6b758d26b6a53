"""The budgets close as the README promises in numbers, in single and in double precision, at every extreme draw."""

import dataclasses
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bowen.evaluation.scores import MAX_ENERGY_RESIDUAL, MAX_WATER_RESIDUAL
from bowen.land.step import ImplicitStep
from bowen.land.surface_exchange import PRIESTLEY_TAYLOR, RESISTANCE
from tests import helpers

pytestmark = pytest.mark.physics
DRAWS = pytest.mark.parametrize("draws", [300, pytest.param(10_000, marks=pytest.mark.slow)])
PRECISIONS = pytest.mark.parametrize("precision", MAX_ENERGY_RESIDUAL)
LAWS = {"by resistance": RESISTANCE, "by energy": PRIESTLEY_TAYLOR}
HALF_HOUR = 1800.0


@functools.cache
def fluxes_of_extremes(draws, precision, law):
    """Fluxes of a half-hour from random states of up to 1,000 kg m-2 a store, in the worst weather."""
    points = helpers.extremes(jax.random.key(9), draws, insulated=True)
    parameters, state, forcing = jax.tree.map(lambda x: x.astype(precision), points)
    step = jax.jit(jax.vmap(ImplicitStep(evaporation=LAWS[law]), in_axes=(0, 0, 0, None)))
    return step(parameters, state, forcing, jnp.asarray(HALF_HOUR, precision))[1]


def require_promised(fluxes, precision):
    series = {field.name: np.asarray(getattr(fluxes, field.name), float) for field in dataclasses.fields(fluxes)}
    spent = sum(series[name] for name in ("latent_heat", "sensible_heat", "ground_heat", "fusion_heat"))
    assert np.abs(series["energy_residual"]).max() < MAX_ENERGY_RESIDUAL[precision]
    assert np.abs(series["net_radiation"] - spent).max() < MAX_ENERGY_RESIDUAL[precision]
    assert np.abs(series["water_residual"]).max() * HALF_HOUR < MAX_WATER_RESIDUAL[precision]


@pytest.mark.parametrize("law", LAWS)
@PRECISIONS
@DRAWS
def test_every_draw_keeps_the_promise(draws, precision, law):
    fluxes = fluxes_of_extremes(draws, precision, law)
    assert fluxes.latent_heat.dtype == precision
    require_promised(fluxes, precision)


@pytest.mark.parametrize("name", ["energy_residual", "water_residual", "ground_heat"])
@PRECISIONS
def test_a_leak_breaks_the_promise(precision, name):
    """Of twice what is promised, in one of the draws."""
    fluxes = fluxes_of_extremes(300, precision, "by resistance")
    leak = 2.0 * (MAX_WATER_RESIDUAL[precision] / HALF_HOUR if "water" in name else MAX_ENERGY_RESIDUAL[precision])
    values = np.array(getattr(fluxes, name), float)
    values[7] += leak
    with pytest.raises(AssertionError):
        require_promised(dataclasses.replace(fluxes, **{name: jnp.asarray(values)}), precision)


@PRECISIONS
def test_the_readme_says_the_promise_in_numbers(precision):
    readme = " ".join((Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8").split())
    kind = {"float64": "double", "float32": "single"}[precision]
    promise = f"{MAX_ENERGY_RESIDUAL[precision]:g} W m-2 and {MAX_WATER_RESIDUAL[precision]:g} kg m-2"
    assert f"{promise} in {kind} precision" in readme

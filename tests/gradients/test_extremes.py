"""No state, weather or parameter within reach of a user spoils a gradient."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bowen.land.parameters import Parameters
from bowen.land.step import ImplicitStep
from bowen.land.surface_exchange import (
    PRIESTLEY_TAYLOR,
    RESISTANCE,
    computed_net_radiation,
    measured_net_radiation,
    net_radiation_measured_if_available,
)
from bowen.land.variables import Forcing, State, is_layered
from bowen.physics import thermodynamics
from bowen.physics.constants import GRAVITY, HEAT_CAPACITY_AIR, MELTING_POINT
from tests import helpers

pytestmark = pytest.mark.physics
DRAWS = 10_000
SATURATED = thermodynamics.specific_humidity(
    thermodynamics.saturation_vapor_pressure(jnp.asarray(MELTING_POINT)), jnp.asarray(1e5)
)
STILL_AIR = MELTING_POINT - GRAVITY / HEAT_CAPACITY_AIR * 10.0  # as warm at the surface as the melting point
PROBES = {
    "all stores empty at the melting point": {},
    "neutral": dict(air_temperature=STILL_AIR),
    "calm": dict(wind_speed=0.0),
    "calm and neutral": dict(wind_speed=0.0, air_temperature=STILL_AIR),
    "beyond the critical Richardson number": dict(wind_speed=0.0, air_temperature=310.0),
    "saturated at the surface": dict(specific_humidity=SATURATED),
    "a trace of snow": dict(snow_water=1e-12),
    "deep snow": dict(snow_water=1000.0),
    "snow just melting": dict(snow_water=10.0, shortwave_down=0.0, longwave_down=315.0),
    "root zone full": dict(root_zone_water=129.1),
    "root zone at the onset of stress": dict(root_zone_water=0.75 * 129.1),
    "corner of the overflow": dict(root_zone_water=129.1 - 0.5),
    "dark": dict(shortwave_down=0.0),
    "cloudburst": dict(precipitation=200.0 / 3600.0),
}


def probe(**changes):
    """An empty column at the melting point on a mild day, but for the changes."""
    plain = {field.name: jnp.zeros(5) if is_layered(field.name) else 0.0 for field in dataclasses.fields(State)}
    plain |= dict(shortwave_down=300.0, air_temperature=280.0, specific_humidity=0.004, air_pressure=1e5)
    plain |= dict(wind_speed=3.0, precipitation=0.0, longwave_down=280.0) | changes
    state, forcing = (
        kind(**{field.name: plain[field.name] for field in dataclasses.fields(kind) if field.name in plain})
        for kind in (State, Forcing)
    )
    return Parameters(), state, forcing


@pytest.fixture(scope="module", params=[RESISTANCE, PRIESTLEY_TAYLOR], ids=["by resistance", "by energy"])
def extreme(request):
    """At each probe and random draw: the gradient of a random mix of all that a step gives, and the terms of the mix's
    derivative in a random direction, by reverse and by forward mode."""
    probes = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(probe(**changes) for changes in PROBES.values()))
    drawing, mixing, heading = jax.random.split(jax.random.key(4), 3)
    points = jax.tree.map(lambda *ends: jnp.concatenate(ends), probes, helpers.extremes(drawing, DRAWS, insulated=True))
    step = ImplicitStep(substeps=1, evaporation=request.param)

    def advance(point):
        return step(*point, jnp.asarray(1800.0))

    def slopes(point, mix, direction):
        (gradient,) = jax.vjp(advance, point)[1](mix)
        change = jax.jvp(advance, (point,), (direction,))[1]
        return gradient, dot(gradient, direction), dot(mix, change)

    mixes = random_like(mixing, jax.eval_shape(jax.vmap(advance), points))
    directions = jax.tree.map(jnp.multiply, random_like(heading, points), points)
    return jax.jit(jax.vmap(slopes))(points, mixes, directions)


def random_like(key, tree):
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    drawn = [jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, drawn)


def dot(one, other):
    """Terms of the inner product, leaf by leaf."""
    return jnp.stack([(a * b).sum() for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)])


def broken(gradient, rows):
    parts = jax.tree_util.tree_leaves_with_path(gradient)
    return {jax.tree_util.keystr(path): bad for path, leaf in parts if (bad := int((~np.isfinite(leaf[rows])).sum()))}


@pytest.mark.parametrize("name", PROBES)
def test_gradients_are_finite_on_every_corner(extreme, name):
    """V17"""
    assert broken(extreme[0], list(PROBES).index(name)) == {}


def test_gradients_are_finite_in_random_extremes(extreme):
    assert broken(extreme[0], slice(len(PROBES), None)) == {}


def test_reverse_mode_is_the_transpose_of_forward_mode(extreme):
    """<w, J v> = <J' w, v>: exact, with no step size to choose; to the rounding of the largest term."""
    _, reverse, forward = extreme
    size = np.maximum(np.abs(reverse).max(axis=1), np.abs(forward).max(axis=1))
    error = np.abs(reverse.sum(axis=1) - forward.sum(axis=1)) / size
    assert error.max() < 1e-10


@pytest.mark.parametrize("measured", [False, True], ids=["by longwave", "by net radiation"])
def test_radiation_that_does_not_drive_the_site_may_be_nan(measured):
    """Neither numbers nor gradients know of it: they are those of a step that has only the other."""
    parameters, state, forcing = probe(snow_water=2.0)
    missing = jnp.asarray(jnp.nan)
    alone = (
        dataclasses.replace(forcing, longwave_down=None, net_radiation=forcing.longwave_down) if measured else forcing
    )
    both = dataclasses.replace(
        alone, **{name: missing for name in ("longwave_down", "net_radiation") if getattr(alone, name) is None}
    )

    def slopes(choice, forcing):
        step = ImplicitStep(substeps=1, net_radiation=choice)

        def mean_heat(parameters, state, forcing):
            after, fluxes = step(parameters, state, forcing, jnp.asarray(1800.0))
            return fluxes.latent_heat + fluxes.sensible_heat + after.soil_temperature_excess.sum()

        return jax.jit(jax.value_and_grad(mean_heat, argnums=(0, 1, 2)))(parameters, state, forcing)

    ours = slopes(net_radiation_measured_if_available, both)
    theirs = slopes(measured_net_radiation if measured else computed_net_radiation, alone)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(ours))
    for mine, other in zip(
        jax.tree.leaves((ours[0], ours[1][:2])), jax.tree.leaves((theirs[0], theirs[1][:2])), strict=True
    ):
        np.testing.assert_allclose(mine, other, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    "choice", [computed_net_radiation, measured_net_radiation, net_radiation_measured_if_available]
)
def test_radiation_that_is_needed_and_not_there_is_named(choice):
    parameters, state, forcing = probe(longwave_down=None)
    with pytest.raises(TypeError, match=r"net radiation is .*`?Forcing|forcing has only one"):
        ImplicitStep(net_radiation=choice)(parameters, state, forcing, jnp.asarray(1800.0))

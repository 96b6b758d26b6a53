"""Static parameters that differ between sites: untrained they do not, and corrections stay at their tower."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bowen.land.parameters import Parameters
from bowen.land.step import ImplicitStep
from bowen.models.base import Process
from bowen.models.regionalization import Regionalization
from bowen.physics.turbulence import neutral
from tests import helpers

STEP = ImplicitStep(substeps=1, iterations=2, stability=neutral)
SITES = ((0.0, -1), (1.0, 0), (-2.0, 1))  # attribute, number
LEARNED = ("root_zone_capacity", "closure_fraction", "external_supply")


@pytest.fixture
def model():
    regional = Regionalization(
        ("root_zone_capacity",),
        num_attributes=1,
        site_specific=LEARNED[1:],
        water_corrections=("external_supply",),
        num_sites=2,
    )
    return Process(Parameters(), LEARNED, regionalization=regional)


def parameters(model, site):
    here = model.for_site(site)
    return helpers.Learned(here)


def test_untrained_every_site_has_the_parameters_of_its_classes(model):
    base = dataclasses.replace(Parameters(), root_zone_capacity=50.0, reference_height=30.0)
    here = parameters(model, helpers.site(base, [2.0], 1))
    assert float(here.root_zone_capacity) == 50.0 and float(here.reference_height) == 30.0
    assert float(here.closure_fraction) == 1.0


def test_attributes_move_all_sites_and_departures_only_their_own(model):
    known = jnp.array([[1.0]]), jnp.array([[-1.0, 2.0], [1.0, 0.0]])
    model = eqx.tree_at(lambda m: (m.regionalization.slopes, m.regionalization.departures), model, known)
    sites = [helpers.site(Parameters(), [attribute], number) for attribute, number in ((0.0, 0), (0.5, 1), (0.5, -1))]
    first, second, elsewhere = (parameters(model, site) for site in sites)
    assert first.root_zone_capacity < second.root_zone_capacity == elsewhere.root_zone_capacity
    assert first.closure_fraction < elsewhere.closure_fraction == 1.0 < second.closure_fraction


def test_what_all_towers_depart_by_moves_none(model):
    """Else what is learned could be written down twice, and what others inherit would be left to chance."""
    site = helpers.site(Parameters(), [0.0], 0)
    before, moved = (
        parameters(model, site),
        eqx.tree_at(lambda m: m.regionalization.departures, model, jnp.ones((2, 2))),
    )
    assert parameters(moved, site).closure_fraction == before.closure_fraction
    assert parameters(moved, site).external_supply > before.external_supply  # which not all towers may have


def test_a_correction_is_none_where_it_is_not_allowed(model):
    offsets = {**model.offsets, "external_supply": jnp.asarray(3.0), "closure_fraction": jnp.asarray(-1.0)}
    model = eqx.tree_at(lambda m: m.offsets, model, offsets)
    sites = [
        helpers.site(Parameters(), [0.0], 0),
        helpers.site(Parameters(), [0.0], 1, has_water_correction=False),
        helpers.site(Parameters(), [0.0]),
    ]
    allowed, refused, elsewhere = (parameters(model, site) for site in sites)
    assert float(allowed.external_supply) > 0.0
    assert float(refused.external_supply) == float(elsewhere.external_supply) == 0.0
    fractions = {float(here.closure_fraction) for here in (allowed, refused, elsewhere)}
    assert len(fractions) == 1 and max(fractions) < 1.0
    np.testing.assert_array_equal(elsewhere.root_zone_capacity, Parameters().root_zone_capacity)


def test_the_gradient_scatters_nothing(model):
    """XLA crashes where it fuses two scatters, so that all that a model may learn must do without."""
    sites = jax.tree.map(lambda *x: jnp.stack(x), *(helpers.site(Parameters(), [0.0], number) for number in (0, 1, -1)))

    def total(learned):
        told = jax.vmap(lambda site: parameters(learned, site))(sites)
        return sum(getattr(told, name).sum() for name in LEARNED)

    learned = eqx.tree_at(lambda m: m.regionalization.departures, model, jnp.array([[-1.0, 2.0], [1.0, 0.0]]))
    assert "scatter" not in str(eqx.filter_make_jaxpr(eqx.filter_grad(total))(learned)[0])
    found = eqx.filter_grad(total)(learned).regionalization.departures
    assert (found[:, 1] > 0.0).all() and found[:, 0].sum() == pytest.approx(0.0)


def test_what_a_network_sets_differs_between_sites_by_a_number_of_their_own(key):
    names = ("minimum_stomatal_resistance",)
    regional = Regionalization(names, num_attributes=1, site_specific=names, num_sites=2)
    hybrid = helpers.lstm_hybrid(
        Parameters(),
        names,
        features=5,
        hidden_size=4,
        key=key,
        solver=STEP,
        regionalization=regional,
        state_feedback=None,
    )
    learned = jnp.array([[0.5]]), jnp.array([[0.3], [-0.3]])
    hybrid = eqx.tree_at(lambda m: (m.regionalization.slopes, m.regionalization.departures), hybrid, learned)
    hybrid = helpers.restless(hybrid, key)
    inputs = helpers.weather(1)
    state = helpers.beginning(Parameters(), inputs)

    def offsets(site):
        return helpers.run(
            hybrid.for_site(site), state, inputs, lambda record: record.offsets["minimum_stomatal_resistance"]
        )

    plain, first, second = (offsets(helpers.site(Parameters(), [attribute], number)) for attribute, number in SITES)
    np.testing.assert_allclose(first - plain, 0.5 + 0.3, rtol=1e-9)
    np.testing.assert_allclose(second - plain, -0.5 * 2.0 - 0.3, rtol=1e-9)
    assert np.ptp(plain) > 0.1

"""Parameters stay within their bounds, and stand still until something is learned."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bowen.data import SCHEMA
from bowen.land.parameters import Parameters
from bowen.land.quantities import apply_logit_offsets, check_learnable, declared_quantities, move_off_bounds
from bowen.land.variables import Fluxes, State
from tests import helpers

TABLE = declared_quantities(Parameters)
PRECISIONS = pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64], ids=["single", "double"])


def in_precision(dtype):
    return jax.tree.map(lambda leaf: leaf.astype(dtype), move_off_bounds(Parameters(), helpers.LEARNABLE))


def test_parameters_of_both_kinds_can_be_learned():
    assert {TABLE[name]["log"] for name in helpers.LEARNABLE} == {True, False}
    assert {TABLE[name]["role"] for name in helpers.LEARNABLE} == {"dynamic", "static"}


@PRECISIONS
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
def test_no_offset_changes_no_bit(dtype, compiled):
    base = in_precision(dtype)
    zeros = {name: jnp.zeros((), dtype) for name in helpers.LEARNABLE}
    moved = (jax.jit(apply_logit_offsets) if compiled else apply_logit_offsets)(base, zeros)
    jax.tree.map(np.testing.assert_array_equal, moved, base)


@PRECISIONS
@pytest.mark.parametrize("name", helpers.LEARNABLE)
def test_parameters_rise_with_their_offset_and_stay_within_bounds(dtype, name):
    low, high = TABLE[name]["bounds"]
    base = in_precision(dtype)
    offsets = jnp.linspace(-50.0, 50.0, 401).astype(dtype)
    values = np.asarray(
        getattr(jax.vmap(lambda offset: apply_logit_offsets(base, {name: offset}))(offsets), name), float
    )
    assert np.asarray(low, dtype) <= values.min() <= values.max() <= np.asarray(high, dtype)
    assert (np.diff(values) >= -16 * np.finfo(dtype).eps * high).all()
    assert (np.diff(values[np.abs(offsets) <= 5.0]) > 0.0).all()


@pytest.mark.parametrize("name", ["ground_albedo", "minimum_stomatal_resistance"], ids=["linear", "logarithmic"])
def test_offsets_add_up_in_logit_space(name):
    meta, base = TABLE[name], Parameters()

    def logit(value):
        low, high, value = (np.log(x) if meta["log"] else x for x in (*meta["bounds"], value))
        fraction = (value - low) / (high - low)
        return np.log(fraction / (1.0 - fraction))

    moved = apply_logit_offsets(base, {name: jnp.asarray(0.7)})
    np.testing.assert_allclose(logit(getattr(moved, name)), logit(getattr(base, name)) + 0.7, rtol=1e-12)


def test_nothing_moves_but_what_is_named():
    moved = apply_logit_offsets(Parameters(), {"emissivity": jnp.asarray(1.0)})
    still = dataclasses.replace(moved, emissivity=Parameters().emissivity)
    jax.tree.map(np.testing.assert_array_equal, still, Parameters())


def test_learning_begins_within_the_bounds():
    on_a_bound = {name: Parameters(**{name: bound}) for name in helpers.LEARNABLE for bound in TABLE[name]["bounds"]}
    for name, parameters in on_a_bound.items():
        low, high = TABLE[name]["bounds"]
        assert low < getattr(move_off_bounds(parameters, (name,)), name) < high


def test_what_is_off_begins_where_it_is_declared_to():
    ready = move_off_bounds(Parameters(), ("external_supply", "minimum_stomatal_resistance"))
    assert (ready.external_supply, ready.minimum_stomatal_resistance) == (5e-6, 56.6)
    assert ready.vegetation_heat_capacity == 0.0


@pytest.mark.parametrize(
    ("name", "role", "message"),
    [
        ("heat_capacity", "dynamic", "`heat_capacity` cannot be dynamic: a storage coefficient"),
        ("critical_richardson", "static", "`critical_richardson` cannot be static. Parameters that can be static: "),
        ("albedo", "dynamic", "`albedo` is not a parameter. Did you mean `ground_albedo`? Parameters that can be "),
    ],
)
def test_what_cannot_be_learned_is_refused(name, role, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check_learnable(Parameters, ("minimum_stomatal_resistance", name), role)


def test_what_may_change_in_time_may_also_stand_still():
    check_learnable(Parameters, helpers.DYNAMIC, "dynamic")
    check_learnable(Parameters, helpers.LEARNABLE, "static")


def test_quantities_become_arrays_of_the_default_precision():
    parameters = Parameters(minimum_stomatal_resistance=60, roughness_length=jnp.float32(0.1))
    assert parameters.minimum_stomatal_resistance.dtype == jnp.float64
    assert parameters.roughness_length.dtype == jnp.float32


@pytest.mark.parametrize("module", [State, Fluxes])
def test_declarations_agree_with_the_catalogue(module):
    """What is simulated and also read from the files of others has one unit and one name in each convention."""
    shared = {name: meta for name, meta in declared_quantities(module).items() if name in SCHEMA}
    assert shared
    for name, meta in shared.items():
        ours = SCHEMA[name].units, SCHEMA[name].alma, SCHEMA[name].standard_name
        assert (meta["unit"], meta["alma"], meta["standard_name"]) == ours


def test_names_in_files_are_used_once():
    names = [meta["alma"] for module in (State, Fluxes) for meta in declared_quantities(module).values()]
    assert len(set(filter(None, names))) == len(list(filter(None, names)))

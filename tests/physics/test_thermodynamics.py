"""Moist air is written once, for the arrays of NumPy and of JAX and for numbers."""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest

from bowen.physics import thermodynamics

FORMULAS = {
    thermodynamics.saturation_vapor_pressure: (285.0,),
    thermodynamics.saturation_vapor_pressure_ice: (265.0,),
    thermodynamics.specific_humidity: (900.0, 9e4),
    thermodynamics.vapor_pressure: (0.006, 9e4),
    thermodynamics.air_density: (285.0, 0.006, 9e4),
    thermodynamics.potential_temperature: (285.0, 20.0),
    thermodynamics.vaporization_heat: (285.0,),
}


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.__name__)
def test_a_formula_is_the_same_for_every_kind_of_array(formula):
    number = formula(*FORMULAS[formula])
    ours = formula(*(np.full(3, value) for value in FORMULAS[formula]))
    theirs = formula(*(jnp.full(3, value) for value in FORMULAS[formula]))
    assert isinstance(ours, np.ndarray) and isinstance(theirs, jnp.ndarray)
    np.testing.assert_allclose(ours, theirs, rtol=1e-14)
    np.testing.assert_allclose(ours, number, rtol=1e-14)


def test_every_formula_is_tried():
    public = {f for name, f in inspect.getmembers(thermodynamics, inspect.isfunction) if not name.startswith("_")}
    assert public == {*FORMULAS}


def test_vapor_pressure_and_specific_humidity_are_inverse():
    vapor = np.linspace(1.0, 4000.0, 10)
    back = thermodynamics.vapor_pressure(thermodynamics.specific_humidity(vapor, 9e4), 9e4)
    np.testing.assert_allclose(back, vapor, rtol=1e-12)


def test_specific_humidity_grows_up_to_that_of_boiling_water():
    """The formula alone has a pole, beyond which hot surfaces would draw vapor from the air and heat without end."""
    saturated = thermodynamics.saturation_vapor_pressure(np.linspace(200.0, 1000.0, 2000))
    humidity = thermodynamics.specific_humidity(saturated, 7e4)
    assert (np.diff(humidity) >= 0.0).all() and humidity.max() == pytest.approx(1.0)

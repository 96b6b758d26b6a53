"""A simulation whose states nature does not allow is refused, although its budgets close."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from bowen.errors import ModelError
from bowen.land.parameters import Parameters
from bowen.land.quantities import declared_quantities
from bowen.land.step import ImplicitStep
from bowen.land.surface_exchange import measured_net_radiation
from bowen.land.variables import State, find_invalid_state, initial_state
from bowen.training.trainer import warn_of_invalid_states
from bowen.training.windows import WindowLoader
from tests.trust import made_simulations


def states(count=4, **changes):
    """States of a mild column, with changes at the third."""
    state = initial_state(Parameters(), 285.0)
    series = {
        field.name: np.repeat(np.asarray(getattr(state, field.name))[None], count, axis=0)
        for field in dataclasses.fields(state)
    }
    for name, value in changes.items():
        series[name][2] = value
    return State(**{name: jnp.asarray(values) for name, values in series.items()})


@pytest.mark.parametrize("name", declared_quantities(State))
def test_each_state_has_a_range_of_which_the_ends_are_found(name):
    low, high = declared_quantities(State)[name]["valid_range"]
    assert np.isfinite((low, high)).all()
    assert find_invalid_state(states(**{name: low})) is None and find_invalid_state(states(**{name: high})) is None
    for value in (low - 0.1, high + 0.1):
        found = find_invalid_state(states(**{name: value}))
        assert found is not None and found.index == 2


def test_the_first_invalid_state_is_found():
    """Temperatures are in kelvin; what is not finite is left to another check."""
    assert find_invalid_state(states(groundwater=np.nan)) is None
    found = find_invalid_state(states(soil_temperature_excess=4630.0 - 273.16))
    assert found == ("soil_temperature", 2, pytest.approx(4630.0), (pytest.approx(170.0), pytest.approx(370.0)), "K")


def test_simulate_refuses_a_runaway():
    """Net radiation of a wrong unit heats the surface without bound; the message has all that one has to know."""
    weather = made_simulations.record()
    weather["net_radiation"] = 0.6 * weather.shortwave_down - 40.0
    weather["net_radiation"][600:] = 2e4
    weather["net_radiation_qc"] = weather.latent_heat_qc
    solver = ImplicitStep(net_radiation=measured_net_radiation)
    with pytest.raises(ModelError) as refused:
        made_simulations.simulate(weather, processes=(), net_radiation="measured", solver=solver)
    message = str(refused.value)
    assert "LaD gave soil_temperature of " in message and "outside the 170 to 370 K that nature allows" in message
    when = np.datetime64(message.split(" at ")[1][:16])
    assert weather.time.values[600] <= when < weather.time.values[-1]
    assert "net_radiation 2e+04 W m-2" in message and "likely cause: net_radiation is outside -400 to 1400" in message
    assert "fix: " in message


def test_training_says_so():
    loader = object.__new__(WindowLoader)
    loader.site_names, loader.owner = ["XX-One", "XX-Two"], np.array([0, 1, 1, 1])
    warn_of_invalid_states({"land": states()}, loader, 7)
    with pytest.warns(RuntimeWarning, match=r"update 7, XX-Two: snow_water is 50000 kg m-2, outside the 0 to 10000"):
        warn_of_invalid_states({"land": states(snow_water=5e4)}, loader, 7)

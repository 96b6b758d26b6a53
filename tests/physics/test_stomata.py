import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowen.physics.canopy_resistance import DARK_RESISTANCE, parallel_with_ground, stomatal_resistance

LEAST = st.floats(1.0, 5000.0)
LIGHT = st.floats(0.0, 1300.0)
DEFICIT = st.floats(-0.01, 0.06)
COLD = st.floats(230.0, 320.0)
ROOTS = st.floats(-15.0, 30.0)
RESPONSES = st.tuples(st.floats(0.0, 600.0), st.floats(0.0, 400.0), st.floats(0.0, 0.003), st.floats(0.0, 10.0))


def resistance(*values):
    return float(stomatal_resistance(*map(jnp.asarray, values)))


@settings(deadline=None)
@given(LEAST, LIGHT, DEFICIT, COLD, ROOTS)
def test_switched_off_it_is_the_least_resistance_to_the_bit(least, light, deficit, air, roots):
    assert resistance(least, light, deficit, air, roots, 0.0, 0.0, 0.0, 0.0) == least


def test_known_answers():
    """Noah's needleleaf forest (125 s m-1, R_gl 30 W m-2, h_s 47.35) with a leaf area of 4."""
    half = 30.0 * 4.0 / 1.1
    light = 1.1 * 500.0 / (30.0 * 4.0)
    noah = 125.0 / ((light + 125.0 / 5000.0) / (1.0 + light)) * (1.0 + 47.35 * 0.008) / (1.0 - 0.0016 * 15.0**2)
    assert resistance(125.0, 500.0, 0.008, 283.0, 9.0, half, 47.35, 0.0016, 0.0) == pytest.approx(noah, rel=1e-5)
    assert resistance(125.0, 0.0, 0.0, 300.0, 9.0, half, 0.0, 0.0016, 0.0) == pytest.approx(DARK_RESISTANCE, rel=1e-3)
    assert resistance(100.0, 500.0, 0.0, 263.0, 9.0, 0.0, 0.0, 0.0016, 0.0) == pytest.approx(5000.0)


@pytest.mark.parametrize(("roots", "gain"), [(20.0, 1.04), (4.0, 2.0), (2.0, 5.0), (0.0, 50.0), (-3.0, 50.0)])
def test_cold_roots_close_stomata(roots, gain):
    assert resistance(80.0, 500.0, 0.0, 300.0, roots, 0.0, 0.0, 0.0, 4.0) == pytest.approx(80.0 * gain, rel=1e-6)


@settings(deadline=None)
@given(LEAST, LIGHT, DEFICIT, COLD, ROOTS, RESPONSES)
def test_dark_dry_and_cold_only_close(least, light, deficit, air, roots, responses):
    here = resistance(least, light, deficit, air, roots, *responses)
    assert np.isfinite(here) and here >= least * (1 - 1e-12)
    assert resistance(least, light + 50.0, deficit, air, roots, *responses) <= here * (1 + 1e-12)
    assert resistance(least, light, deficit + 0.005, air, roots, *responses) >= here
    assert resistance(least, light, deficit, air - 5.0, roots, *responses) >= here
    assert resistance(least, light, deficit, air, roots - 1.0, *responses) >= here * (1 - 1e-12)


@settings(deadline=None)
@given(st.floats(1.0, 2.5e5), st.floats(1e-5, 0.02))
def test_the_ground_gives_vapor_beside_the_plants(stomatal, conductance):
    def together(g):
        return float(parallel_with_ground(jnp.asarray(stomatal), jnp.asarray(g)))

    assert together(0.0) == stomatal
    assert 1.0 / together(conductance) == pytest.approx(1.0 / stomatal + conductance, rel=1e-6)


def test_at_night_the_ground_goes_on():
    night = stomatal_resistance(*map(jnp.asarray, (80.0, 0.0, 0.002, 285.0, 10.0, 100.0, 40.0, 0.0, 0.0)))
    assert float(night) > 4000.0 and float(parallel_with_ground(night, jnp.asarray(0.002))) == pytest.approx(
        450.0, abs=10.0
    )

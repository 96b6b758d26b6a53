import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowen.physics.stomata import DARK_RESISTANCE, stomatal_resistance

LEAST = st.floats(1.0, 5000.0)
LIGHT = st.floats(0.0, 1300.0)
DEFICIT = st.floats(-0.01, 0.06)


COLD = st.floats(230.0, 320.0)


def resistance(*values):
    return float(stomatal_resistance(*map(jnp.asarray, values)))


@settings(deadline=None)
@given(LEAST, LIGHT, DEFICIT, COLD)
def test_switched_off_it_is_the_least_resistance_to_the_bit(least, light, deficit, air):
    assert resistance(least, light, deficit, air, 0.0, 0.0, 0.0) == least


def test_known_answers():
    """Noah's needleleaf forest (125 s m-1, R_gl 30 W m-2, h_s 47.35) with a leaf area of 4."""
    half = 30.0 * 4.0 / 1.1
    light = 1.1 * 500.0 / (30.0 * 4.0)
    noah = 125.0 / ((light + 125.0 / 5000.0) / (1.0 + light)) * (1.0 + 47.35 * 0.008) / (1.0 - 0.0016 * 15.0**2)
    assert resistance(125.0, 500.0, 0.008, 283.0, half, 47.35, 0.0016) == pytest.approx(noah, rel=1e-5)
    assert resistance(125.0, 0.0, 0.0, 300.0, half, 0.0, 0.0016) == pytest.approx(DARK_RESISTANCE, rel=1e-3)
    assert resistance(100.0, 500.0, 0.0, 263.0, 0.0, 0.0, 0.0016) == pytest.approx(5000.0)


@settings(deadline=None)
@given(LEAST, LIGHT, DEFICIT, COLD, st.floats(0.0, 600.0), st.floats(0.0, 400.0), st.floats(0.0, 0.003))
def test_dark_dry_and_cold_air_only_close(least, light, deficit, air, half, dryness, cold):
    here = resistance(least, light, deficit, air, half, dryness, cold)
    assert np.isfinite(here) and here >= least * (1 - 1e-12)
    assert resistance(least, light + 50.0, deficit, air, half, dryness, cold) <= here * (1 + 1e-12)
    assert resistance(least, light, deficit + 0.005, air, half, dryness, cold) >= here
    assert resistance(least, light, deficit, air - 5.0, half, dryness, cold) >= here

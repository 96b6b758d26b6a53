"""Turbulence obeys Monin and Obukhov, and agrees with the numbers of GFDL's FMS."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bowen.physics.constants import VON_KARMAN
from bowen.physics.turbulence import (
    MAX_STABILITY,
    MIN_COEFFICIENT,
    bulk_richardson,
    integrated_profiles,
    louis,
    monin_obukhov,
    monin_obukhov_limited,
    neutral,
    obukhov_parameter,
)

GEOMETRY = tuple(jnp.asarray(x) for x in (10.0, 0.1, 0.1 * np.exp(-2.0), 2.0))
SCHEMES = pytest.mark.parametrize(
    "scheme", [monin_obukhov, monin_obukhov_limited, louis, neutral], ids=lambda scheme: scheme.__name__
)


def heat_coefficient(scheme, richardson):
    return jax.jit(scheme)(jnp.asarray(richardson), *GEOMETRY)[1]


@pytest.mark.physics
@pytest.mark.parametrize("scheme", [monin_obukhov, neutral], ids=lambda scheme: scheme.__name__)
def test_neutral_air_has_logarithmic_profiles(scheme):
    """V12"""
    coefficients = jax.jit(scheme)(jnp.asarray(0.0), *GEOMETRY)
    exact = VON_KARMAN**2 / (np.log(100.0) * np.array([np.log(100.0), np.log(100.0) + 2.0]))
    np.testing.assert_allclose(coefficients, exact, rtol=1e-12)
    np.testing.assert_allclose(coefficients, [7.544467880e-3, 5.260055014e-3], rtol=1e-9)


@pytest.mark.physics
@SCHEMES
def test_the_gradient_is_finite_through_neutral(scheme):
    """V12"""
    jacobian = jax.jit(jax.jacrev(scheme, argnums=(0, 1, 2, 3, 4)))
    gradients = jax.tree.leaves(jacobian(jnp.asarray(0.0), *GEOMETRY))
    assert all(np.isfinite(g).all() for g in gradients)


@pytest.mark.physics
def test_coefficients_at_known_stabilities():
    """V13"""
    known = {
        -1.0: 1.27230412e-2,
        -0.1: 7.14223778e-3,
        -0.01: 5.56893415e-3,
        0.01: 4.95541723e-3,
        0.1: 2.73236189e-3,
        0.5: 4.30746478e-4,
        1.0: 1.20128148e-4,
        1.8: 5.99084571e-6,
    }
    zeta, *followed = jax.jit(obukhov_parameter)(jnp.asarray(list(known)), *GEOMETRY)
    np.testing.assert_allclose(zeta[4], 0.51538909, rtol=1e-7)
    momentum, heat = integrated_profiles(zeta, *GEOMETRY)
    np.testing.assert_allclose(followed, (momentum, heat), rtol=1e-9)
    np.testing.assert_allclose(VON_KARMAN**2 / (momentum * heat), list(known.values()), rtol=1e-7)
    floored = np.maximum(list(known.values()), MIN_COEFFICIENT)
    np.testing.assert_allclose(heat_coefficient(monin_obukhov, list(known)), floored, rtol=1e-7)


@pytest.mark.physics
def test_the_vectors_of_fms():
    """V14: inputs of NOAA-GFDL/FMS `test_monin_obukhov.F90`; values fully converged."""
    air = jnp.asarray([268.559120403867, 269.799228886728, 277.443023238556, 295.79192777341, 293.268717243262])
    surface = jnp.asarray([273.42369841804, 272.551410044203, 278.638168565727, 298.133068766049, 292.898163706587])
    height = jnp.asarray([29.432779269303, 30.0497139076724, 31.6880000418153, 34.1873479240475, 33.2184943356517])
    rough = jnp.asarray([5.86144925739178e-05, 0.0001, 0.000641655193293549, 3.23383768877187e-05, 0.07])
    smooth = jnp.asarray(
        [3.69403636275411e-05, 0.0001, 1.01735489109205e-05, 7.63933834969505e-05, 0.00947346982656289]
    )
    wind = jnp.asarray([2.9693638452068, 2.43308757772094, 5.69418282305367, 9.5608693754561, 4.35302260074334])
    richardson = bulk_richardson(surface, air, height, wind)
    momentum, heat = jax.jit(monin_obukhov)(richardson, height, rough, smooth, jnp.full(5, 10.0))
    friction_velocity = jnp.sqrt(momentum) * wind
    expected = [
        [1.358951564e-3, 1.470261396e-3, 1.536924347e-3, 9.25865124e-4, 3.572286913e-3],
        [1.460632713e-3, 1.659078967e-3, 1.130651642e-3, 1.037331816e-3, 2.750038003e-3],
        [0.10946251072, 0.09329428025, 0.223232617803, 0.290918438189, 0.260174116412],
    ]
    np.testing.assert_allclose(jnp.stack([momentum, heat, friction_velocity]), expected, rtol=1e-8)


@pytest.mark.physics
@SCHEMES
def test_stability_stills_the_air(scheme):
    """V15: the coefficient only falls as the air grows stable, and never below its floor."""
    coefficient = heat_coefficient(scheme, np.concatenate([-np.geomspace(1e3, 1e-6), np.geomspace(1e-6, 1e3)]))
    assert (np.diff(coefficient) <= 0.0).all()
    assert (coefficient > 0.0).all()


@pytest.mark.physics
def test_the_limits_of_stability():
    """V15: free convection grows without end; at the critical Richardson number only the floor is left."""
    convection = heat_coefficient(monin_obukhov, [-10.0, -100.0, -1000.0])
    assert (convection[1:] > 1.5 * convection[:-1]).all()
    np.testing.assert_array_equal(heat_coefficient(monin_obukhov, [1.95, 2.0, 50.0]), MIN_COEFFICIENT)


@pytest.mark.physics
def test_air_stays_coupled_to_a_cold_surface():
    """As by similarity up to half an Obukhov length, which is a Richardson number of .097 here, and no less beyond."""
    mild, cold = jnp.asarray([-1.0, -0.01, 0.0, 0.05, 0.09]), jnp.asarray([0.1, 0.5, 1.9, 30.0])
    np.testing.assert_array_equal(heat_coefficient(monin_obukhov_limited, mild), heat_coefficient(monin_obukhov, mild))
    momentum, heat = integrated_profiles(jnp.asarray(MAX_STABILITY), *GEOMETRY)
    np.testing.assert_allclose(
        heat_coefficient(monin_obukhov_limited, cold), VON_KARMAN**2 / (momentum * heat), rtol=1e-9
    )

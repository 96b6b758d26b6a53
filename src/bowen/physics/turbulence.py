"""Exchange between the surface and the air: bulk transfer coefficients and their stability correction.

Each scheme has the same arguments, so one can stand for another: `monin_obukhov` (the default), `louis`, `neutral`.
"""

import jax
import jax.numpy as jnp

from bowen.constants import GRAVITY, VON_KARMAN
from bowen.quantities import Scalar

SHARE_OF_CRITICAL = (
    0.95  # beyond this share of the critical Richardson number FMS lets the coefficient fall to its floor
)
LEAST_COEFFICIENT = 1e-5


def bulk_richardson(surface_virtual: Scalar, air_virtual: Scalar, height: Scalar, wind: Scalar) -> Scalar:
    r"""Bulk Richardson number, $Ri = -g\,(\theta_{v,s} - \theta_{v,a})/\theta_{v,s}\; z / (U^2 + 10^{-4})$.

    Args:
        surface_virtual: Virtual potential temperature of the surface. [K]
        air_virtual: Virtual potential temperature of the air. [K]
        height: Height above the zero-plane displacement. [m]
        wind: Wind speed. [m s-1]

    Returns:
        Bulk Richardson number, negative when unstable. [1]

    Source:
        GFDL FMS, `monin_obukhov`.
    """
    return -GRAVITY * (surface_virtual - air_virtual) / surface_virtual * height / (wind**2 + 1e-4)


def integrated_profiles(
    zeta: Scalar, height: Scalar, momentum_roughness: Scalar, heat_roughness: Scalar, critical_richardson: Scalar
) -> tuple[Scalar, Scalar]:
    """Similarity profiles of momentum and heat, integrated from the roughness length to the height.

    The unstable part is evaluated at min(zeta, 0) and the stable part at max(zeta, 0): both are always finite.

    Args:
        zeta: Height over the Obukhov length. [1]
        height: Height above the zero-plane displacement. [m]
        momentum_roughness: Roughness length of momentum. [m]
        heat_roughness: Roughness length of heat and vapor. [m]
        critical_richardson: Richardson number at which turbulence ceases. [1]

    Returns:
        The integrals F_m and F_h. [1]

    Source:
        GFDL FMS `monin_obukhov`, `stable_option = 1`.
    """
    unstable, stable = jnp.minimum(zeta, 0.0), jnp.maximum(zeta, 0.0)
    slope = 1.0 / critical_richardson

    def stable_part(roughness: Scalar) -> Scalar:
        low = stable * roughness / height
        return (5.0 - slope) * jnp.log((1.0 + stable) / (1.0 + low)) + slope * (stable - low)

    x, x0 = (1.0 - 16.0 * unstable) ** 0.25, (1.0 - 16.0 * unstable * momentum_roughness / height) ** 0.25
    y, y0 = (1.0 - 16.0 * unstable) ** 0.5, (1.0 - 16.0 * unstable * heat_roughness / height) ** 0.5
    momentum = 2.0 * (jnp.arctan(x) - jnp.arctan(x0)) - jnp.log(
        (1.0 + x) ** 2 * (1.0 + x**2) / ((1.0 + x0) ** 2 * (1.0 + x0**2))
    )
    heat = -2.0 * jnp.log((1.0 + y) / (1.0 + y0))
    return (
        jnp.log(height / momentum_roughness) + momentum + stable_part(momentum_roughness),
        jnp.log(height / heat_roughness) + heat + stable_part(heat_roughness),
    )


def obukhov_parameter(
    richardson: Scalar,
    height: Scalar,
    momentum_roughness: Scalar,
    heat_roughness: Scalar,
    critical_richardson: Scalar,
    iterations: int = 6,
) -> Scalar:
    """Height over the Obukhov length that belongs to a bulk Richardson number: the root of Ri = zeta F_h / F_m^2.

    Newton's iterations carry no gradient; one last step does, which is the implicit-function derivative. Six and the
    last reach round-off for Richardson numbers from -100 to 0.95 of the critical one.

    Args:
        richardson: Bulk Richardson number. [1]
        height: Height above the zero-plane displacement. [m]
        momentum_roughness: Roughness length of momentum. [m]
        heat_roughness: Roughness length of heat and vapor. [m]
        critical_richardson: Richardson number at which turbulence ceases. [1]
        iterations: Newton steps before the differentiated one. [1]

    Returns:
        Height over the Obukhov length. [1]

    Source:
        GFDL FMS `monin_obukhov` for the equation and the first guess; Bolte, Pauwels & Vaiter (2023) for the last step.
    """

    def residual(zeta, richardson, *geometry):
        momentum, heat = integrated_profiles(zeta, *geometry)
        return zeta * heat / momentum**2 - richardson

    def newton(zeta, arguments):
        value, slope = jax.jvp(lambda z: residual(z, *arguments), (zeta,), (jnp.ones_like(zeta),))
        limit = jnp.maximum(1.0, jnp.abs(zeta))
        return zeta - jnp.clip(value / slope, -limit, limit), slope

    arguments = (richardson, height, momentum_roughness, heat_roughness, critical_richardson)
    frozen = jax.lax.stop_gradient(arguments)
    zeta = first_guess(*frozen)
    for _ in range(iterations):
        zeta, _ = newton(zeta, frozen)
    _, slope = newton(zeta, frozen)
    return zeta - residual(zeta, *arguments) / slope


def first_guess(
    richardson: Scalar, height: Scalar, momentum_roughness: Scalar, heat_roughness: Scalar, critical_richardson: Scalar
) -> Scalar:
    """Neutral guess of height over the Obukhov length, stretched toward the critical Richardson number.

    Args:
        richardson: Bulk Richardson number, below the critical one. [1]
        height: Height above the zero-plane displacement. [m]
        momentum_roughness: Roughness length of momentum. [m]
        heat_roughness: Roughness length of heat and vapor. [m]
        critical_richardson: Richardson number at which turbulence ceases. [1]

    Returns:
        Height over the Obukhov length. [1]

    Source:
        GFDL FMS `monin_obukhov`.
    """
    neutral_value = richardson * jnp.log(height / momentum_roughness) ** 2 / jnp.log(height / heat_roughness)
    return neutral_value / (1.0 - jnp.maximum(richardson, 0.0) / critical_richardson)


def monin_obukhov(
    richardson: Scalar,
    height: Scalar,
    momentum_roughness: Scalar,
    heat_roughness: Scalar,
    critical_richardson: Scalar,
    iterations: int = 6,
) -> tuple[Scalar, Scalar]:
    """Bulk transfer coefficients of momentum and heat by Monin-Obukhov similarity.

    Args:
        richardson: Bulk Richardson number. [1]
        height: Height above the zero-plane displacement. [m]
        momentum_roughness: Roughness length of momentum. [m]
        heat_roughness: Roughness length of heat and vapor. [m]
        critical_richardson: Richardson number at which turbulence ceases. [1]
        iterations: Newton steps of the Obukhov parameter before the differentiated one. [1]

    Returns:
        Coefficients C_m and C_h, not less than 1e-5. [1]

    Source:
        GFDL FMS `monin_obukhov`; the cap at 0.95 of the critical Richardson number keeps the floor continuous.
    """
    capped = jnp.minimum(richardson, SHARE_OF_CRITICAL * critical_richardson)
    geometry = (height, momentum_roughness, heat_roughness, critical_richardson)
    momentum, heat = integrated_profiles(obukhov_parameter(capped, *geometry, iterations=iterations), *geometry)
    return (
        jnp.maximum(VON_KARMAN**2 / momentum**2, LEAST_COEFFICIENT),
        jnp.maximum(VON_KARMAN**2 / (momentum * heat), LEAST_COEFFICIENT),
    )


def neutral(
    richardson: Scalar, height: Scalar, momentum_roughness: Scalar, heat_roughness: Scalar, critical_richardson: Scalar
) -> tuple[Scalar, Scalar]:
    """Bulk transfer coefficients of momentum and heat without a stability correction.

    Args:
        richardson: Bulk Richardson number, not used. [1]
        height: Height above the zero-plane displacement. [m]
        momentum_roughness: Roughness length of momentum. [m]
        heat_roughness: Roughness length of heat and vapor. [m]
        critical_richardson: Not used. [1]

    Returns:
        Coefficients C_m and C_h. [1]

    Source:
        Logarithmic profiles of momentum and heat.
    """
    del critical_richardson
    momentum, heat = jnp.log(height / momentum_roughness), jnp.log(height / heat_roughness)
    shape = jnp.zeros_like(richardson)
    return VON_KARMAN**2 / momentum**2 + shape, VON_KARMAN**2 / (momentum * heat) + shape


def louis(
    richardson: Scalar, height: Scalar, momentum_roughness: Scalar, heat_roughness: Scalar, critical_richardson: Scalar
) -> tuple[Scalar, Scalar]:
    """Bulk transfer coefficients with an explicit stability correction: no iteration.

    Args:
        richardson: Bulk Richardson number. [1]
        height: Height above the zero-plane displacement. [m]
        momentum_roughness: Roughness length of momentum. [m]
        heat_roughness: Roughness length of heat and vapor. [m]
        critical_richardson: Not used: the correction has no critical number. [1]

    Returns:
        Coefficients C_m and C_h. [1]

    Source:
        Louis (1979) with b = c = d = 5, as in LMDZ `vdif_cd.F`; the same correction is used for momentum.
    """
    momentum, heat = neutral(richardson, height, momentum_roughness, heat_roughness, critical_richardson)
    stable, unstable = jnp.maximum(richardson, 0.0), jnp.maximum(-richardson, 0.0)
    root = jnp.sqrt(unstable * (1.0 + height / momentum_roughness) + 1e-12)
    correction = 1.0 / (1.0 + 15.0 * stable * jnp.sqrt(1.0 + 5.0 * stable)) + 15.0 * unstable / (
        1.0 + 75.0 * momentum * root
    )
    return momentum * correction, heat * correction

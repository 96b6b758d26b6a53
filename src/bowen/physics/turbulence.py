"""Exchange between the surface and the air: bulk transfer coefficients and their stability correction.

Each scheme has the same arguments, so one can stand for another: `monin_obukhov` (the default), `louis`, `neutral`.
"""

import jax
import jax.numpy as jnp

from bowen.numerics.array_types import Scalar
from bowen.numerics.rematerialization import ITERATES, save_residual
from bowen.physics.constants import GRAVITY, VON_KARMAN

MAX_SHARE_OF_CRITICAL = (
    0.95  # beyond this share of the critical Richardson number FMS lets the coefficient fall to its floor
)
MAX_STABILITY = 0.5  # height over the Obukhov length
MIN_COEFFICIENT = 1e-5


def log_wind_ratio(wanted: Scalar | float, height: Scalar, roughness_length: Scalar) -> Scalar:
    r"""Compute the wind at a height over that at another, $\ln(z_2/z_0) / \ln(z_1/z_0)$, in neutral air.

    Args:
        wanted: Height above displacement of the wind that is wanted; below twice the roughness length it counts as
            that. [m]
        height: Height above displacement of the wind that is known. [m]
        roughness_length: Roughness length of momentum. [m]

    Returns:
        Ratio of the winds. [1]

    Source:
        Logarithmic wind profile.
    """
    wanted = jnp.maximum(wanted, 2.0 * roughness_length)
    return jnp.log(wanted / roughness_length) / jnp.log(height / roughness_length)


def bulk_richardson(surface_virtual: Scalar, air_virtual: Scalar, height: Scalar, wind: Scalar) -> Scalar:
    r"""Compute the bulk Richardson number, $Ri = -g\,(\theta_{v,s} - \theta_{v,a})/\theta_{v,s}\; z / (U^2 + 10^{-4})$.

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
    """Integrate the similarity profiles of momentum and heat from the roughness length to the height.

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
    momentum_share, heat_share = momentum_roughness / height, heat_roughness / height
    slope = 1.0 / critical_richardson
    y = jnp.sqrt(1.0 - 16.0 * unstable)
    y_momentum, y_heat = jnp.sqrt(1.0 - 16.0 * unstable * momentum_share), jnp.sqrt(1.0 - 16.0 * unstable * heat_share)
    x, x_roughness = jnp.sqrt(y), jnp.sqrt(y_momentum)
    turning = 2.0 * jnp.arctan((x - x_roughness) / (1.0 + x * x_roughness))
    convective = zeta < 0.0

    def part(ratio: Scalar, power: float, rest: Scalar, share: Scalar) -> Scalar:
        """Compute logarithm and remainder of the regime that applies."""
        stable_ratio = (1.0 + stable) / (1.0 + stable * share)
        logarithm = jnp.log(jnp.where(convective, ratio, stable_ratio))
        return jnp.where(
            convective, rest - power * logarithm, (5.0 - slope) * logarithm + slope * stable * (1.0 - share)
        )

    momentum_ratio = (1.0 + x) ** 2 * (1.0 + y) / ((1.0 + x_roughness) ** 2 * (1.0 + y_momentum))
    return (
        part(momentum_ratio, 1.0, turning, momentum_share) - jnp.log(momentum_share),
        part((1.0 + y) / (1.0 + y_heat), 2.0, jnp.zeros_like(y), heat_share) - jnp.log(heat_share),
    )


def obukhov_parameter(
    richardson: Scalar,
    height: Scalar,
    momentum_roughness: Scalar,
    heat_roughness: Scalar,
    critical_richardson: Scalar,
    iterations: int = 4,
) -> tuple[Scalar, Scalar, Scalar]:
    r"""Solve Ri = zeta F_h / F_m^2 for the height over the Obukhov length.

    Newton's method on the logarithms of both sides, with $\ln t \approx 2 (t - 1) / (t + 1)$. The iterations carry no
    gradient; one last Newton step does, which is the implicit-function derivative, and the profiles follow it along
    their tangent.

    Args:
        richardson: Bulk Richardson number. [1]
        height: Height above the zero-plane displacement. [m]
        momentum_roughness: Roughness length of momentum. [m]
        heat_roughness: Roughness length of heat and vapor. [m]
        critical_richardson: Richardson number at which turbulence ceases. [1]
        iterations: Steps before the differentiated one; four and that one reach round-off for Richardson numbers from
            -100 to 0.5 of the critical one, and 1e-7 up to 0.95 of it. [1]

    Returns:
        Height over the Obukhov length, and the integrals F_m and F_h there. [1]

    Source:
        GFDL FMS `monin_obukhov` for the equation; Bolte, Pauwels & Vaiter (2023) for the last step.
    """
    geometry = (height, momentum_roughness, heat_roughness, critical_richardson)
    fixed_richardson, fixed = jax.lax.stop_gradient((richardson, geometry))

    def profiles_with_slopes(zeta: Scalar) -> tuple[Scalar, Scalar, Scalar, Scalar, Scalar]:
        """Compute the profiles, their slopes, and the slope of zeta F_h / F_m^2."""
        (momentum, heat), (momentum_slope, heat_slope) = jax.jvp(
            lambda z: integrated_profiles(z, *fixed), (zeta,), (jnp.ones_like(zeta),)
        )
        slope = (heat + zeta * (heat_slope - 2.0 * heat * momentum_slope / momentum)) / momentum**2
        return momentum, heat, momentum_slope, heat_slope, slope

    zeta = first_guess(fixed_richardson, *fixed)
    for _ in range(iterations):
        momentum, heat, _, _, slope = profiles_with_slopes(zeta)
        rate = heat / momentum**2  # Ri over zeta; t is that of the iterate over that wanted
        wanted = fixed_richardson / jnp.where(zeta == 0.0, 1.0, zeta)
        change = 2.0 * (wanted - rate) / (wanted + rate) * rate / slope
        grown = jnp.where(change > 0.0, 1.0 + change + 0.5 * change**2, 1.0 / (1.0 - change + 0.5 * change**2))
        zeta = jnp.where(zeta == 0.0, zeta, zeta * grown)
    zeta = save_residual(zeta, ITERATES)
    _, _, momentum_slope, heat_slope, slope = profiles_with_slopes(zeta)
    momentum, heat = integrated_profiles(zeta, *geometry)
    step = (richardson - zeta * heat / momentum**2) / slope
    return zeta + step, momentum + momentum_slope * step, heat + heat_slope * step


def first_guess(
    richardson: Scalar, height: Scalar, momentum_roughness: Scalar, heat_roughness: Scalar, critical_richardson: Scalar
) -> Scalar:
    """Guess the height over the Obukhov length by neutral profiles, or by fixed logarithms if stable.

    With the logarithms of the stable profiles fixed at the neutral guess, Ri = zeta F_h / F_m^2 is a quadratic.

    Args:
        richardson: Bulk Richardson number, below the critical one. [1]
        height: Height above the zero-plane displacement. [m]
        momentum_roughness: Roughness length of momentum. [m]
        heat_roughness: Roughness length of heat and vapor. [m]
        critical_richardson: Richardson number at which turbulence ceases. [1]

    Returns:
        Height over the Obukhov length. [1]

    Source:
        GFDL FMS `monin_obukhov` for the neutral guess, stretched toward the critical Richardson number.
    """
    momentum_share, heat_share = momentum_roughness / height, heat_roughness / height
    momentum, heat, slope = -jnp.log(momentum_share), -jnp.log(heat_share), 1.0 / critical_richardson
    stable = jnp.maximum(richardson, 0.0)
    neutral_value = richardson * momentum**2 / heat / (1.0 - stable * slope)
    stable_guess = jnp.maximum(neutral_value, 0.0)

    def rest(logarithm: Scalar, share: Scalar) -> Scalar:
        """Compute the stable profile without its part that is linear in zeta."""
        return (
            logarithm
            + (5.0 - slope) * jnp.log((1.0 + stable_guess) / (1.0 + stable_guess * share))
            - slope * stable_guess * share
        )

    momentum, heat = rest(momentum, momentum_share), rest(heat, heat_share)
    square, line, constant = slope - stable * slope**2, heat - 2.0 * stable * momentum * slope, stable * momentum**2
    root = 2.0 * constant / (line + jnp.sqrt(line**2 + 4.0 * square * constant))
    return jnp.where(richardson < 0.0, neutral_value, root)


def monin_obukhov(
    richardson: Scalar,
    height: Scalar,
    momentum_roughness: Scalar,
    heat_roughness: Scalar,
    critical_richardson: Scalar,
    iterations: int = 4,
) -> tuple[Scalar, Scalar]:
    """Compute bulk transfer coefficients of momentum and heat by Monin-Obukhov similarity.

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
    capped = jnp.minimum(richardson, MAX_SHARE_OF_CRITICAL * critical_richardson)
    geometry = (height, momentum_roughness, heat_roughness, critical_richardson)
    _, momentum, heat = obukhov_parameter(capped, *geometry, iterations=iterations)
    return (
        jnp.maximum(VON_KARMAN**2 / momentum**2, MIN_COEFFICIENT),
        jnp.maximum(VON_KARMAN**2 / (momentum * heat), MIN_COEFFICIENT),
    )


def monin_obukhov_limited(
    richardson: Scalar, height: Scalar, momentum_roughness: Scalar, heat_roughness: Scalar, critical_richardson: Scalar
) -> tuple[Scalar, Scalar]:
    """Compute bulk transfer coefficients by Monin-Obukhov similarity with a limit of stability.

    Without the limit, turbulence over a cold surface ceases in a winter's night, and the surface cools without end.

    Args:
        richardson: Bulk Richardson number; that of a height of half the Obukhov length is the largest that counts. [1]
        height: Height above the zero-plane displacement. [m]
        momentum_roughness: Roughness length of momentum. [m]
        heat_roughness: Roughness length of heat and vapor. [m]
        critical_richardson: Richardson number at which turbulence would cease. [1]

    Returns:
        Coefficients C_m and C_h. [1]

    Source:
        The limit is that of the Community Land Model, version 5 (its parameter `zetamaxstable`, 0.5).
    """
    geometry = (height, momentum_roughness, heat_roughness, critical_richardson)
    limit = jnp.full_like(richardson, MAX_STABILITY)
    momentum, heat = integrated_profiles(limit, *geometry)
    return monin_obukhov(jnp.minimum(richardson, limit * heat / momentum**2), *geometry)


def neutral(
    richardson: Scalar, height: Scalar, momentum_roughness: Scalar, heat_roughness: Scalar, critical_richardson: Scalar
) -> tuple[Scalar, Scalar]:
    """Compute bulk transfer coefficients of momentum and heat without a stability correction.

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
    """Compute bulk transfer coefficients with an explicit stability correction.

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

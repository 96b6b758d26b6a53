"""Observation by a flux tower: from the fluxes of the land to those a tower reports, outside of the budgets."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from bowen.land.quantities import quantity
from bowen.numerics.array_types import Scalar

SMALLEST_RELATIVE = 1e-6  # keeps still air finite


class TowerParameters(eqx.Module):
    """Parameters between the fluxes of the land and those a tower reports: energy balance closure and noise."""

    closure_fraction: Scalar = quantity(
        "1",
        "Fraction of the turbulent fluxes that the tower measures (energy balance closure)",
        default=1.0,
        bounds=(0.4, 1.2),
        role="dynamic",
    )
    closure_partitioning: Scalar = quantity(
        "1",
        "Partitioning of the unmeasured flux: 0 keeps the Bowen ratio, 1 is all sensible heat, -1 all latent heat",
        default=0.0,
        bounds=(-1.0, 1.0),
        role="dynamic",
    )
    stable_half_saturation: Scalar = quantity(
        "1",
        "Friction velocity, over the typical one by day, at which half of the downward sensible heat is measured",
        default=0.0,
        bounds=(0.0, 2.0),
        role="static",
        start=0.5,
    )
    typical_friction_velocity: Scalar = quantity("m s-1", "Friction velocity of a typical day at the site", default=0.3)
    latent_heat_noise_scale: Scalar = quantity(
        "W m-2",
        "Scale of the random error of latent heat where a tower reports no negative values",
        default=0.0,
        bounds=(0.0, 60.0),
        role="dynamic",
        start=10.0,
    )
    is_latent_heat_truncated: Bool[Array, "*batch"] = eqx.field(converter=jnp.asarray, default=False)


def stable_share(relative: Scalar, half_saturation: Scalar) -> Scalar:
    r"""Compute the share of downward sensible heat that a tower measures, $u/(u+h)$ of the friction velocity $u$.

    In calm and stable air, at night above all, heat leaves by drainage, advection and storage that a tower does not
    see. At 18 towers LE + H is 0.27, 0.40 and 0.79 of the available energy in the calmest, middle and windiest third
    of the nights, and 0.73, 0.77 and 0.80 at the same winds by day (medians).

    Args:
        relative: Friction velocity over the typical one by day, $u$. [1]
        half_saturation: $h$; with 0 the share is 1. [1]

    Returns:
        Share between 0 and 1. [1]

    Source:
        That closure at night rises with the friction velocity: Wilson et al. (2002), Agric. For. Meteorol. 113,
        223-243. The form is the simplest that is linear in calm air and has a limit.
    """
    relative = relative + SMALLEST_RELATIVE
    return relative / (relative + half_saturation)


def closure_fractions(
    parameters: TowerParameters, friction_velocity: Scalar, sensible_heat: Scalar
) -> Float[Array, "*batch target"]:
    r"""Compute the measured fractions of latent and sensible heat, $f^{1-x}$ and $f^{1+x}$ with partitioning $x$. [1].

    With $x = 0$ the tower keeps the Bowen ratio (Twine et al. 2000, Agric. For. Meteorol. 103, 279-300). With $x = 1$
    all that is missed is sensible heat, as most of it is in Charuchittipan et al. (2014, Boundary-Layer Meteorol. 152,
    303-327), and by the water balance of basins in Arizona (Scott 2010, Agric. For. Meteorol. 150, 219-225). Of
    sensible heat that flows downward, `stable_share` is measured.

    Args:
        parameters: Of the tower.
        friction_velocity: Of the step. [m s-1]
        sensible_heat: Of the land. [W m-2]
    """
    fraction, partitioning = parameters.closure_fraction, parameters.closure_partitioning
    relative = friction_velocity / parameters.typical_friction_velocity
    stable = stable_share(relative, parameters.stable_half_saturation)
    share = jnp.where(sensible_heat < 0.0, stable, jnp.ones_like(stable))
    return jnp.stack(
        [fraction ** (1.0 - partitioning) * jnp.ones_like(share), fraction ** (1.0 + partitioning) * share], axis=-1
    )


def noise_scale(parameters: TowerParameters) -> Scalar:
    """Return the scale of the random error of latent heat where negative values are left out, else 0. [W m-2]."""
    return jnp.where(parameters.is_latent_heat_truncated, parameters.latent_heat_noise_scale, 0.0)


def mean_of_truncated_reports(flux: Scalar, scale: Scalar) -> Scalar:
    r"""Compute the mean report of a flux by a tower that leaves out all values that random errors make negative.

    The errors follow a Laplace distribution. For a flux of $x$ times their scale $b$ the positive values have the mean
    $b\,(x + e^{-x}/2)/(1 - e^{-x}/2)$, and $b$ if the flux is negative.

    Args:
        flux: Flux of the land. [W m-2]
        scale: The scale $b$; 0 where negative values are reported. [W m-2]

    Returns:
        Mean of the reported values. [W m-2]

    Source:
        Distribution of Hollinger & Richardson (2005), Tree Physiol. 25, 873-885; the mean follows from it.
    """
    safe_scale = jnp.where(scale > 0.0, scale, 1.0)
    relative = jnp.maximum(flux, 0.0) / safe_scale
    left_out = 0.5 * jnp.exp(-relative)
    return jnp.where(scale > 0.0, safe_scale * (relative + left_out) / (1.0 - left_out), flux)

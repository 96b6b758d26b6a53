"""Observation by a flux tower: from the fluxes of the land to those a tower reports, outside of the budgets."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from bowen.land.quantities import quantity
from bowen.numerics.array_types import Scalar


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
    latent_heat_noise_scale: Scalar = quantity(
        "W m-2",
        "Scale of the random error of latent heat where a tower reports no negative values",
        default=0.0,
        bounds=(0.0, 60.0),
        role="dynamic",
        start=10.0,
    )
    is_latent_heat_truncated: Bool[Array, "*batch"] = eqx.field(converter=jnp.asarray, default=False)


def closure_fractions(parameters: TowerParameters) -> Float[Array, "*batch target"]:
    r"""Compute the measured fractions of latent and sensible heat, $f^{1-x}$ and $f^{1+x}$ with partitioning $x$. [1].

    With $x = 0$ the tower keeps the Bowen ratio (Twine et al. 2000, Agric. For. Meteorol. 103, 279-300). With $x = 1$
    all that is missed is sensible heat, as most of it is in Charuchittipan et al. (2014, Boundary-Layer Meteorol. 152,
    303-327), and by the water balance of basins in Arizona (Scott 2010, Agric. For. Meteorol. 150, 219-225).
    """
    fraction, partitioning = parameters.closure_fraction, parameters.closure_partitioning
    return jnp.stack([fraction ** (1.0 - partitioning), fraction ** (1.0 + partitioning)], axis=-1)


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

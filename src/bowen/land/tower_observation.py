"""What stands between the fluxes of the land and those its tower reports; the budgets know nothing of it."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from bowen.land.parameters import Parameters
from bowen.land.quantities import Scalar


def closure_fractions(parameters: Parameters) -> Float[Array, "*batch target"]:
    r"""Share of latent and of sensible heat that a tower measures, $f^{1-x}$ and $f^{1+x}$ with the skew $x$. [1].

    Where $x$ is 0 the tower keeps the Bowen ratio (Twine et al. 2000, Agricultural and Forest Meteorology 103). Where
    it is 1 all that is missed is sensible heat: most of it is to Charuchittipan et al. (2014, Boundary-Layer
    Meteorology 152), and the water of basins in Arizona tells so (Scott 2010, Agricultural and Forest Meteorology 150).
    """
    share, skew = parameters.closure_fraction, parameters.closure_partitioning
    return jnp.stack([share ** (1.0 - skew), share ** (1.0 + skew)], axis=-1)


def noise_scale(parameters: Parameters) -> Scalar:
    """Scale of the error of latent heat where a tower reports none below zero; 0 where it reports all. [W m-2]."""
    return parameters.latent_heat_truncated * parameters.latent_heat_noise_scale


def mean_of_truncated_reports(flux: Scalar, error: Scalar) -> Scalar:
    r"""Mean of what a tower reports of a flux if it leaves out whatever random errors make negative. [W m-2].

    They follow a Laplace distribution (Hollinger & Richardson 2005, Tree Physiology 25). Of a flux of $x$ times their
    scale $b$ the positive values have the mean $b\,(x + e^{-x}/2)/(1 - e^{-x}/2)$, and $b$ where it is negative.

    Args:
        flux: What there is. [W m-2]
        error: The scale $b$; 0 where all is reported. [W m-2]
    """
    scale = jnp.where(error > 0.0, error, 1.0)
    times = jnp.maximum(flux, 0.0) / scale
    lost = 0.5 * jnp.exp(-times)
    return jnp.where(error > 0.0, scale * (times + lost) / (1.0 - lost), flux)

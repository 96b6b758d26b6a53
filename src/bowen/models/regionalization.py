"""Regionalization: parameters from what is known of a site, so that they hold where nobody has trained."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bowen.land.parameters import Parameters
from bowen.land.quantities import Scalar, move_off_bounds
from bowen.models.base import SiteParameters
from bowen.numerics.xla_workarounds import select_by_mask


class Regionalization(eqx.Module):
    """Offsets of parameters that differ between sites; zero before training.

    All sites share a slope on each attribute; for a parameter that a network sets, it is constant in time. Sites that
    are trained on have an offset of their own for the parameters in `site_specific`, counted from the mean over those
    sites, so that an unseen site gets the mean. The parameters in `water_corrections` are allowed at some sites only
    and stay at their defaults elsewhere; an unseen site where they are allowed gets the mean of the sites that have
    them.
    """

    slopes: Float[Array, "name attribute"]
    departures: Float[Array, "tower site_specific"]
    names: tuple[str, ...] = eqx.field(static=True)
    site_specific: tuple[str, ...] = eqx.field(static=True)
    water_corrections: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        names: tuple[str, ...] = (),
        *,
        attributes: int = 0,
        site_specific: tuple[str, ...] = (),
        water_corrections: tuple[str, ...] = (),
        towers: int = 1,
    ):
        self.slopes = jnp.zeros((len(names), attributes))
        self.departures = jnp.zeros((towers, len(site_specific)))
        self.names, self.site_specific, self.water_corrections = (
            tuple(names),
            tuple(site_specific),
            tuple(water_corrections),
        )

    def __call__(self, offsets: Mapping[str, Scalar], site: SiteParameters) -> dict[str, Scalar]:
        """The offsets at a site, from those all sites share. [1]."""
        here = dict(offsets)
        for name, shared in zip(self.names, self.slopes @ site.attributes, strict=True):
            here[name] = here.get(name, 0.0) + shared
        for name, own in zip(self.site_specific, self.departures.T, strict=True):
            middle = 0.0 if name in self.water_corrections else own.mean()
            here[name] = here.get(name, 0.0) + select_by_mask(own - middle, site.number)
        for name in self.water_corrections:
            here[name] = jnp.where(site.corrected, here[name], 0.0)
        return here

    def ready(self, base: Parameters, learned: tuple[str, ...], site: SiteParameters) -> Parameters:
        """The parameters of a site, ready to learn those named; but corrections only where they are allowed."""
        inherited = move_off_bounds(base, tuple(name for name in learned if name not in self.water_corrections))
        corrected = move_off_bounds(inherited, self.water_corrections)
        return jax.tree.map(lambda there, here: jnp.where(site.corrected, there, here), corrected, inherited)

"""Regionalization: parameters that depend on the attributes of a site, so that they hold at unseen sites."""

from collections.abc import Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bowen.land.parameters import Parameters
from bowen.land.quantities import move_off_bounds
from bowen.land.tower_observation import TowerParameters
from bowen.models.base import SiteParameters
from bowen.numerics.array_types import Scalar
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
    departures: Float[Array, "site site_specific"]
    names: tuple[str, ...] = eqx.field(static=True)
    site_specific: tuple[str, ...] = eqx.field(static=True)
    water_corrections: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        names: Sequence[str] = (),
        *,
        num_attributes: int = 0,
        site_specific: Sequence[str] = (),
        water_corrections: Sequence[str] = (),
        num_sites: int = 1,
    ):
        """Start from slopes and departures of zero.

        Args:
            names: Parameters with a slope on each attribute.
            num_attributes: Number of attributes of a site.
            site_specific: Parameters with a departure for each site that is trained on.
            water_corrections: Those of `site_specific` that are allowed at some sites only.
            num_sites: Number of sites that are trained on.
        """
        self.slopes = jnp.zeros((len(names), num_attributes))
        self.departures = jnp.zeros((num_sites, len(site_specific)))
        self.names, self.site_specific = tuple(names), tuple(site_specific)
        self.water_corrections = tuple(water_corrections)

    def __call__(self, offsets: Mapping[str, Scalar], site: SiteParameters) -> dict[str, Scalar]:
        """Return the offsets at a site, from those that all sites share. [1]."""
        here = dict(offsets)
        for name, shared in zip(self.names, self.slopes @ site.attributes, strict=True):
            here[name] = here.get(name, 0.0) + shared
        for name, departures in zip(self.site_specific, self.departures.T, strict=True):
            mean = 0.0 if name in self.water_corrections else departures.mean()
            here[name] = here.get(name, 0.0) + select_by_mask(departures - mean, site.index)
        for name in self.water_corrections:
            here[name] = jnp.where(site.has_water_correction, here[name], 0.0)
        return here

    def prepare(self, site: SiteParameters, learned: Sequence[str]) -> tuple[Parameters, TowerParameters]:
        """Return the parameters of a site, ready to be learned; water corrections only where they are allowed."""
        both = site.land, site.tower
        shared = move_off_bounds(both, tuple(name for name in learned if name not in self.water_corrections))
        corrected = move_off_bounds(shared, self.water_corrections)
        return jax.tree.map(lambda there, here: jnp.where(site.has_water_correction, there, here), corrected, shared)

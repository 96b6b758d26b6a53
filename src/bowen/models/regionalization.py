"""Regionalization: parameters from what is known of a site, so that they hold where nobody has trained."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bowen.land.parameters import Parameters
from bowen.land.quantities import Scalar, ready_to_learn
from bowen.models.base import Site


class Regional(eqx.Module):
    """How the offsets of parameters differ between sites; untrained, they do not.

    All sites share a slope on each attribute; of a parameter that a network sets it is the same at every step. Towers
    that are trained on have, for the parameters in `owned`, a departure of their own besides, which no other site
    inherits; it counts from their mean, so that what all share is the middle of them. Of these, `corrections` are
    allowed at some sites only, trained on or not: they are as they come at all others, and what the towers that have
    them share is what another such site inherits.
    """

    slopes: Float[Array, "name attribute"]
    departures: Float[Array, "tower owned"]
    names: tuple[str, ...] = eqx.field(static=True)
    owned: tuple[str, ...] = eqx.field(static=True)
    corrections: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        names: tuple[str, ...] = (),
        *,
        attributes: int = 0,
        owned: tuple[str, ...] = (),
        corrections: tuple[str, ...] = (),
        towers: int = 1,
    ):
        self.slopes = jnp.zeros((len(names), attributes))
        self.departures = jnp.zeros((towers, len(owned)))
        self.names, self.owned, self.corrections = tuple(names), tuple(owned), tuple(corrections)

    def __call__(self, offsets: Mapping[str, Scalar], site: Site) -> dict[str, Scalar]:
        """The offsets at a site, from those all sites share. [1]."""
        here, towers = dict(offsets), jnp.arange(len(self.departures))
        for name, shared in zip(self.names, self.slopes @ site.attributes, strict=True):
            here[name] = here.get(name, 0.0) + shared
        for name, own in zip(self.owned, self.departures.T, strict=True):
            middle = 0.0 if name in self.corrections else own.mean()
            # by a mask: looked up, the gradient would be scatters, and XLA crashes where it fuses two (docs/speed.md)
            here[name] = here.get(name, 0.0) + jnp.where(towers == site.number, own - middle, 0.0).sum()
        for name in self.corrections:
            here[name] = jnp.where(site.corrected, here[name], 0.0)
        return here

    def ready(self, base: Parameters, learned: tuple[str, ...], site: Site) -> Parameters:
        """The parameters of a site, ready to learn those named; but corrections only where they are allowed."""
        inherited = ready_to_learn(base, tuple(name for name in learned if name not in self.corrections))
        corrected = ready_to_learn(inherited, self.corrections)
        return jax.tree.map(lambda there, here: jnp.where(site.corrected, there, here), corrected, inherited)

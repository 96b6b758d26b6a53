"""The land models: the protocol they follow, what tells their sites apart, and the physics with static parameters."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from bowen.land.parameters import Parameters
from bowen.land.quantities import Scalar, learnable, ready_to_learn, shift
from bowen.land.step import AbstractStep, ImplicitStep
from bowen.land.tower_observation import observed_fraction, reported, reporting_error
from bowen.land.variables import Forcing, State
from bowen.models.lstm import Cell
from bowen.physics.constants import LAYER_THICKNESS, MELTING_POINT

TURBULENT = ("latent_heat", "sensible_heat")


class Record(NamedTuple):
    """What a model tells of one step; with a leading time axis, of a series."""

    fluxes: Any  # `Fluxes`, or for a model without physics what it has of them
    state: State | None  # at the end of the step
    offsets: Mapping[str, Scalar]  # of the learned parameters, in logit space
    observed_fraction: Float[Array, "*batch target"]  # of latent and sensible heat, by which a tower's differ from them
    known: Scalar | None = None  # what the weights of a network's memory were multiplied with
    error: Scalar | None = None  # of latent heat, where a tower reports none below zero; see `reported`

    def observed(self, names: Sequence[str] = TURBULENT) -> Scalar:
        """Fluxes or stores as a tower would report them, which sees a share of the turbulent fluxes. [SI]."""
        share = {name: self.observed_fraction[..., place] for place, name in enumerate(TURBULENT)}
        told = {name: getattr(self.fluxes if hasattr(self.fluxes, name) else self.state, name) for name in names}
        told = {name: share[name] * value if name in share else value for name, value in told.items()}
        if self.error is not None and "latent_heat" in told:
            told["latent_heat"] = reported(told["latent_heat"], self.error)
        return jnp.stack(list(told.values()))


class Site(eqx.Module):
    """What tells one column from another."""

    base: Parameters  # of its classes and heights
    attributes: Float[Array, "*batch attribute"]  # of order one, that describe it
    number: Int[Array, "*batch"]  # among the towers that were trained on; -1 is another
    corrected: Bool[Array, "*batch"]  # whether corrections of its record are allowed

    def __init__(
        self, base: Parameters, attributes: Sequence[float] = (), number: int = -1, corrected: bool | None = None
    ):
        """Take what is known of a site; unless told otherwise, corrections are allowed where it was trained on."""
        self.base, self.number = base, jnp.asarray(number)
        self.attributes = jnp.asarray(attributes, base.root_capacity.dtype)
        self.corrected = jnp.asarray(number >= 0 if corrected is None else corrected)


class AbstractLand(eqx.Module):
    """Anything that turns forcing into fluxes, one step at a time."""

    def at(self, site: Site) -> "AbstractLand":
        """The model at a site: with its parameters, and what regionalization makes of its attributes."""
        del site
        return self

    def particulars(self) -> tuple:
        """The parts of the model that `at` changes."""
        return ()

    @abc.abstractmethod
    def start(self, state: State) -> Any:
        """What the model carries from step to step, beginning with a physical state."""

    def renewed(self, carry: Any) -> Any:
        """What is carried where a record begins that no year of weather precedes: its root zone as full as it says."""
        return carry

    def memory(self) -> Cell | None:
        """The network of the model, if it has one."""
        return None

    @abc.abstractmethod
    def advance(self, carry: Any, forcing: Forcing, features: Scalar, dt: Scalar) -> tuple[Any, Record]:
        """One forcing interval of `dt` [s]; `features` are the normalized inputs of a network."""

    @abc.abstractmethod
    def fixed(self) -> Any:
        """The part of the model that training leaves alone."""


def settled(model: Any, site: Site, learned: tuple[str, ...]) -> Any:
    """A model of parameters and offsets at a site, where `learned` of them are ready to learn."""
    base, offsets = ready_to_learn(site.base, learned), model.offsets
    if model.regional is not None:
        base, offsets = model.regional.ready(site.base, learned, site), model.regional(offsets, site)
    return eqx.tree_at(lambda m: m.particulars(), model, (base, offsets))


class Process(AbstractLand):
    """The physics alone, with static parameters. `learned` names those that training may move: "calibrated LaD".

    With a `regional`, they differ between sites.
    """

    base: Parameters
    offsets: dict[str, Scalar]
    step: AbstractStep
    regional: Any | None

    def __init__(
        self,
        base: Parameters,
        learned: tuple[str, ...] = (),
        step: AbstractStep | None = None,
        regional: Any | None = None,
    ):
        """Take the parameters to begin from.

        Raises:
            ValueError: A learned name is not a parameter, or may not be learned.
        """
        learnable(base, learned, "static")
        self.base = ready_to_learn(base, learned)
        self.offsets = {name: jnp.zeros_like(getattr(base, name)) for name in learned}
        self.step = ImplicitStep() if step is None else step
        self.regional = regional

    def at(self, site):
        return settled(self, site, tuple(self.offsets))

    def particulars(self):
        return self.base, self.offsets

    def start(self, state):
        return state

    def renewed(self, carry):
        return refilled(shift(self.base, self.offsets), carry)

    def advance(self, carry, forcing, features, dt):
        del features
        parameters = shift(self.base, self.offsets)
        state, fluxes = self.step(parameters, carry, forcing, dt)
        return state, Record(
            fluxes, state, self.offsets, observed_fraction(parameters), error=reporting_error(parameters)
        )

    def fixed(self):
        return self.base


def refilled(parameters: Parameters, state: State) -> State:
    """A state with as much water in the root zone as a record begins with."""
    return dataclasses.replace(state, root_water=parameters.initial_saturation * parameters.root_capacity)


def initial_state(parameters: Parameters, air_temperature: Scalar) -> State:
    """A first guess to spin up from: soil as warm as the air on average, no snow, no ice.

    Args:
        parameters: Of the site; only what the root zone holds, and how full it is, is used. [1]
        air_temperature: Mean air temperature. [K]
    """
    zero = jnp.zeros_like(parameters.root_capacity)
    warmth = jnp.full((*zero.shape, len(LAYER_THICKNESS)), air_temperature - MELTING_POINT, zero.dtype)
    stores = dict.fromkeys(
        ("snow_water", "snow_liquid", "root_water", "groundwater", "quick_water", "canopy_water"), zero
    )
    return refilled(parameters, State(soil_warmth=warmth, soil_ice=jnp.zeros_like(warmth), **stores))

"""The land models: the protocol they follow, what tells their sites apart, and the physics with static parameters."""

import abc
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from bowen.land.parameters import Parameters
from bowen.land.quantities import Scalar, apply_logit_offsets, check_learnable, move_off_bounds
from bowen.land.step import ImplicitStep, Step
from bowen.land.tower_observation import closure_fractions, mean_of_truncated_reports, noise_scale
from bowen.land.variables import Forcing, State, fill_root_zone
from bowen.models.lstm import LSTM

TURBULENT_FLUXES = ("latent_heat", "sensible_heat")


class StepOutput(NamedTuple):
    """What a model tells of one step; with a leading time axis, of a series."""

    fluxes: Any  # `Fluxes`, or for a model without physics what it has of them
    state: State | None  # at the end of the step
    offsets: Mapping[str, Scalar]  # of the learned parameters, in logit space
    closure_fraction: Float[Array, "*batch target"]  # of latent and sensible heat, by which a tower's differ from them
    lstm_input: Scalar | None = None  # what the weights of a network's memory were multiplied with
    error: Scalar | None = None  # of latent heat, where a tower reports none below zero; see `reported`

    def observed(self, names: Sequence[str] = TURBULENT_FLUXES) -> Scalar:
        """Fluxes or stores as a tower would report them, which sees a share of the turbulent fluxes. [SI]."""
        share = {name: self.closure_fraction[..., place] for place, name in enumerate(TURBULENT_FLUXES)}
        told = {name: getattr(self.fluxes if hasattr(self.fluxes, name) else self.state, name) for name in names}
        told = {name: share[name] * value if name in share else value for name, value in told.items()}
        if self.error is not None and "latent_heat" in told:
            told["latent_heat"] = mean_of_truncated_reports(told["latent_heat"], self.error)
        return jnp.stack(list(told.values()))


class SiteParameters(eqx.Module):
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
        self.attributes = jnp.asarray(attributes, base.root_zone_capacity.dtype)
        self.corrected = jnp.asarray(number >= 0 if corrected is None else corrected)


class AbstractLandModel(eqx.Module):
    """Anything that turns forcing into fluxes, one step at a time."""

    def at(self, site: SiteParameters) -> "AbstractLandModel":
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

    def memory(self) -> LSTM | None:
        """The network of the model, if it has one."""
        return None

    @abc.abstractmethod
    def advance(self, carry: Any, forcing: Forcing, features: Scalar, dt: Scalar) -> tuple[Any, StepOutput]:
        """One forcing interval of `dt` [s]; `features` are the normalized inputs of a network."""

    @abc.abstractmethod
    def fixed(self) -> Any:
        """The part of the model that training leaves alone."""


def specialize_to_site(model: Any, site: SiteParameters, learned: tuple[str, ...]) -> Any:
    """A model of parameters and offsets at a site, where `learned` of them are ready to learn."""
    base, offsets = move_off_bounds(site.base, learned), model.offsets
    if model.regionalization is not None:
        base, offsets = model.regionalization.ready(site.base, learned, site), model.regionalization(offsets, site)
    return eqx.tree_at(lambda m: m.particulars(), model, (base, offsets))


class Process(AbstractLandModel):
    """The physics alone, with static parameters. `learned` names those that training may move: "calibrated LaD".

    With a `regional`, they differ between sites.
    """

    base: Parameters
    offsets: dict[str, Scalar]
    step: Step
    regionalization: Any | None

    def __init__(
        self,
        base: Parameters,
        learned: tuple[str, ...] = (),
        step: Step | None = None,
        regionalization: Any | None = None,
    ):
        """Take the parameters to begin from.

        Raises:
            ValueError: A learned name is not a parameter, or may not be learned.
        """
        check_learnable(base, learned, "static")
        self.base = move_off_bounds(base, learned)
        self.offsets = {name: jnp.zeros_like(getattr(base, name)) for name in learned}
        self.step = ImplicitStep() if step is None else step
        self.regionalization = regionalization

    def at(self, site):
        return specialize_to_site(self, site, tuple(self.offsets))

    def particulars(self):
        return self.base, self.offsets

    def start(self, state):
        return state

    def renewed(self, carry):
        return fill_root_zone(apply_logit_offsets(self.base, self.offsets), carry)

    def advance(self, carry, forcing, features, dt):
        del features
        parameters = apply_logit_offsets(self.base, self.offsets)
        state, fluxes = self.step(parameters, carry, forcing, dt)
        return state, StepOutput(
            fluxes, state, self.offsets, closure_fractions(parameters), error=noise_scale(parameters)
        )

    def fixed(self):
        return self.base

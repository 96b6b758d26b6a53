"""The protocol of land models, the parameters of a site, and `Process`: the physics with static parameters."""

import abc
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from bowen.land.parameters import Parameters
from bowen.land.quantities import apply_logit_offsets, check_learnable, declared_quantities, move_off_bounds
from bowen.land.step import ImplicitStep, Step
from bowen.land.tower_observation import TowerParameters, closure_fractions, mean_of_truncated_reports, noise_scale
from bowen.land.variables import Forcing, State, initial_state
from bowen.numerics.array_types import Scalar

TURBULENT_FLUXES = ("latent_heat", "sensible_heat")


class StepOutput(NamedTuple):
    """Output of a model for one step; for a series, with a leading time axis."""

    fluxes: Any  # `Fluxes`, or those a model without physics has
    state: State | None  # at the end of the step
    offsets: Mapping[str, Scalar]  # of the learned parameters, in logit space
    closure_fraction: Float[Array, "*batch target"]  # of latent and sensible heat, the tower's over the land's
    noise_scale: Scalar | None = None  # W m-2, of latent heat where a tower reports no negative values

    def observed(self, names: Sequence[str] = TURBULENT_FLUXES) -> Scalar:
        """Return fluxes or stores as the tower would report them, stacked in the order of the names. [SI]."""
        fractions = {name: self.closure_fraction[..., place] for place, name in enumerate(TURBULENT_FLUXES)}
        values = {name: getattr(self.fluxes if hasattr(self.fluxes, name) else self.state, name) for name in names}
        values = {name: fractions[name] * value if name in fractions else value for name, value in values.items()}
        if self.noise_scale is not None and "latent_heat" in values:
            values["latent_heat"] = mean_of_truncated_reports(values["latent_heat"], self.noise_scale)
        return jnp.stack(list(values.values()))


class SiteParameters(eqx.Module):
    """Parameters and attributes of one site: everything in which its column differs from others."""

    land: Parameters  # of its vegetation and soil classes and its heights
    tower: TowerParameters
    attributes: Float[Array, "*batch attribute"]  # of order one
    index: Int[Array, "*batch"]  # among the sites trained on; -1: an unseen site
    has_water_correction: Bool[Array, "*batch"]

    def __init__(
        self,
        land: Parameters,
        tower: TowerParameters | None = None,
        *,
        attributes: Sequence[float] = (),
        index: int = -1,
        has_water_correction: bool | None = None,
    ):
        """Take the parameters of a site; water corrections are allowed at sites trained on, unless the caller says."""
        self.land, self.tower = land, TowerParameters() if tower is None else tower
        self.index = jnp.asarray(index)
        self.attributes = jnp.asarray(attributes, land.root_zone_capacity.dtype)
        self.has_water_correction = jnp.asarray(index >= 0 if has_water_correction is None else has_water_correction)


@runtime_checkable
class Network(Protocol):
    """A network that a model takes as an argument: any Equinox module with these two methods."""

    def init(self) -> Any:
        """Return the memory before the first step; an empty tuple for a network without memory."""
        ...

    def __call__(self, features: Array, memory: Any, /) -> tuple[Array, Any]:
        """Return outputs (a vector) for one step, and the memory after it."""
        ...


class AbstractLandModel(eqx.Module):
    """A model that turns forcing into fluxes, one step at a time; it has these four methods and no others."""

    @abc.abstractmethod
    def for_site(self, site: SiteParameters) -> "AbstractLandModel":
        """Return the model at a site: with the parameters of the site and its regionalized offsets."""

    @abc.abstractmethod
    def init(self, state: State | None) -> Any:
        """Return the carry before the first step, from a physical state or, with None, from `initial_state`."""

    @abc.abstractmethod
    def step(self, carry: Any, forcing: Forcing, features: Scalar, dt: Scalar) -> tuple[Any, StepOutput]:
        """Advance by one forcing interval of `dt` [s]; `features` are the normalized inputs of a network. [1]."""

    @abc.abstractmethod
    def frozen(self) -> Any:
        """Return the part of the model that training leaves unchanged."""


class LearnedParameters(NamedTuple):
    """Parameters with their learned offsets applied."""

    land: Parameters
    tower: TowerParameters


LEARNABLE = (Parameters, TowerParameters)


def split_parameters(parameters: SiteParameters | Parameters, names: Iterable[str]) -> LearnedParameters:
    """Return land and tower parameters, with those named moved off their bounds so that they can be learned."""
    site = parameters if isinstance(parameters, SiteParameters) else SiteParameters(parameters)
    return LearnedParameters(*move_off_bounds((site.land, site.tower), tuple(names)))


def zero_offsets(parameters: LearnedParameters, names: Iterable[str]) -> dict[str, Scalar]:
    """Return a zero offset for each named parameter, of its shape and precision."""
    owners = {name: module for module in parameters for name in declared_quantities(module)}
    return {name: jnp.zeros_like(getattr(owners[name], name)) for name in names}


def with_offsets(land: Parameters, tower: TowerParameters, offsets: Mapping[str, Scalar]) -> LearnedParameters:
    """Apply offsets to the parameters they name, in logit space."""
    return LearnedParameters(*apply_logit_offsets((land, tower), offsets))


def specialize_to_site(model: Any, site: SiteParameters, learned: Iterable[str]) -> Any:
    """Return a model with the parameters of a site, those in `learned` ready to be learned, and the site's offsets."""
    names, offsets = tuple(learned), model.offsets
    if model.regionalization is None:
        land, tower = move_off_bounds((site.land, site.tower), names)
    else:
        land, tower = model.regionalization.prepare(site, names)
        offsets = model.regionalization(offsets, site)
    return eqx.tree_at(lambda m: (m.land, m.tower, m.offsets), model, (land, tower, offsets))


class Process(AbstractLandModel):
    """The physics alone; with `static` parameters that training may move it is the calibrated land model."""

    land: Parameters
    tower: TowerParameters
    offsets: dict[str, Scalar]
    solver: Step
    regionalization: Any | None

    def __init__(
        self,
        parameters: SiteParameters | Parameters,
        static: Sequence[str] = (),
        *,
        solver: Step | None = None,
        regionalization: Any | None = None,
    ):
        """Start from the parameters of a site.

        Args:
            parameters: Of a site (`SiteData.parameters`), or of the land alone.
            static: Parameters that are learned as one number each.
            solver: The time step; None is `ImplicitStep()`.
            regionalization: Dependence of the learned parameters on the site; None: the same at all sites.

        Raises:
            ValueError: A learned name is not a parameter, or may not be learned.
        """
        check_learnable(LEARNABLE, static, "static")
        start = split_parameters(parameters, static)
        self.land, self.tower = start
        self.offsets = zero_offsets(start, static)
        self.solver = ImplicitStep() if solver is None else solver
        self.regionalization = regionalization

    def for_site(self, site):
        return specialize_to_site(self, site, self.offsets)

    def init(self, state):
        land, _ = with_offsets(self.land, self.tower, self.offsets)
        return initial_state(land) if state is None else state

    def step(self, carry, forcing, features, dt):
        del features
        land, tower = with_offsets(self.land, self.tower, self.offsets)
        state, fluxes = self.solver(land, carry, forcing, dt)
        fractions = closure_fractions(tower, fluxes.friction_velocity, fluxes.sensible_heat)
        return state, StepOutput(fluxes, state, self.offsets, fractions, noise_scale(tower))

    def frozen(self):
        return self.land, self.tower


def reset_root_zone(model: AbstractLandModel, carry: Any) -> Any:
    """Return a carry with the root zone at its initial saturation, as where a record shorter than a year begins."""

    def reset(old: Any, new: Any) -> Any:
        is_state = isinstance(old, State)
        return dataclasses.replace(old, root_zone_water=new.root_zone_water) if is_state else old

    return jax.tree.map(reset, carry, model.init(None), is_leaf=lambda node: isinstance(node, State))

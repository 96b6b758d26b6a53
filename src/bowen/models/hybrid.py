"""Learned models: a network that sets the parameters of the physics, and a network that predicts the fluxes alone."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from bowen.land.parameters import Parameters
from bowen.land.quantities import check_learnable, quantity
from bowen.land.step import ImplicitStep, Step
from bowen.land.surface_exchange import guided_evaporation
from bowen.land.tower_observation import TowerParameters, closure_fractions, noise_scale
from bowen.land.variables import Forcing, State, initial_state
from bowen.models.base import (
    LEARNABLE,
    AbstractLandModel,
    LearnedParameters,
    Network,
    SiteParameters,
    StepOutput,
    specialize_to_site,
    split_parameters,
    with_offsets,
    zero_offsets,
)
from bowen.numerics.array_types import Scalar
from bowen.physics.constants import MELTING_POINT
from bowen.physics.radiation import snow_masking
from bowen.physics.thermodynamics import vaporization_heat

NUM_STATE_FEATURES = 6


def state_features(parameters: Parameters, state: State, forcing: Forcing) -> Float[Array, " feature"]:
    """Return the state of the land as network inputs of order one. [1].

    Args:
        parameters: Land parameters. [1]
        state: At the start of the step. [1]
        forcing: Of the step. [1]
    """
    surface_excess = state.soil_temperature_excess[0] - (forcing.air_temperature - MELTING_POINT)
    return jnp.stack(
        [
            state.root_zone_water / parameters.root_zone_capacity,
            jnp.log1p(jnp.maximum(state.snow_water, 0.0)),
            surface_excess / 10.0,
            state.soil_temperature_excess[1] / 10.0,
            state.soil_temperature_excess[4] / 10.0,
            snow_masking(state.snow_water, parameters.snow_masking_mass),
        ]
    )


def feed_back(features: Scalar) -> Scalar:
    """Feed the states back to the network, with their gradient. [1]."""
    return features


def feed_back_without_gradient(features: Scalar) -> Scalar:
    """Feed the states back to the network, without their gradient. [1]."""
    return jax.lax.stop_gradient(features)


def count_outputs(network: Any, num_features: int | None = None) -> int:
    """Count the outputs of a network by tracing it, without computing anything.

    Args:
        network: Any `Network`.
        num_features: Size of the feature vector; None takes the network's attribute `num_features` or, without one, the
            first of the sizes of its arrays with which it can be traced.

    Raises:
        ValueError: No size fits.
    """
    own = num_features or getattr(network, "num_features", None)
    arrays = [leaf for leaf in jax.tree.leaves(network) if eqx.is_inexact_array(leaf)]
    sizes = [own] if own else sorted({size for array in arrays for size in array.shape})
    dtype = arrays[0].dtype if arrays else jnp.zeros(()).dtype
    for size in sizes:
        features = jax.ShapeDtypeStruct((size,), dtype)
        try:
            outputs, _ = eqx.filter_eval_shape(lambda net, x: net(x, net.init()), network, features)
        except (AttributeError, TypeError, ValueError):
            continue
        if len(outputs.shape) == 1:
            return outputs.shape[0]
    raise ValueError(
        f"{type(network).__name__} gives no vector for {' or '.join(map(str, sizes)) or 'any number of'} features. "
        "A network has init() -> memory and (features, memory) -> (outputs, memory); num_features gives its input size."
    )


class Hybrid(AbstractLandModel):
    """The physics with some parameters set by a network at every step; before training, it is `Process` bit for bit."""

    network: Network
    head: eqx.nn.Linear
    land: Parameters
    tower: TowerParameters
    offsets: dict[str, Scalar]
    solver: Step
    regionalization: Any | None
    dynamic: tuple[str, ...] = eqx.field(static=True)
    state_feedback: Callable | None = eqx.field(static=True)

    def __init__(
        self,
        parameters: SiteParameters | Parameters,
        dynamic: Sequence[str],
        *,
        network: Any,
        static: Sequence[str] = (),
        state_feedback: Callable | None = feed_back,
        solver: Step | None = None,
        regionalization: Any | None = None,
        num_features: int | None = None,
    ):
        """Join physics and network by an output layer of zeros, so that the parameters start at those of the site.

        Args:
            parameters: Of a site (`SiteData.parameters`), or of the land alone.
            dynamic: Parameters the network sets at every step.
            network: Any Equinox module with `init() -> memory` and `(features, memory) -> (outputs, memory)`, such as
                `LSTM`; its features are those of the record, followed by `state_features` if there is state feedback.
            static: Parameters that are learned as one number each.
            state_feedback: `feed_back`, `feed_back_without_gradient`, or None for a network that does not see states.
            solver: The time step; None is `ImplicitStep()`.
            regionalization: Dependence of the learned parameters on the site; None: the same at all sites.
            num_features: Size of the feature vector, if `count_outputs` cannot find it.

        Raises:
            ValueError: A name is not a parameter, may not be learned that way, or is in both lists.
        """
        dynamic, static = tuple(dynamic), tuple(static)
        check_learnable(LEARNABLE, dynamic, "dynamic")
        check_learnable(LEARNABLE, static, "static")
        if both := set(dynamic) & set(static):
            raise ValueError(f"`{both.pop()}` is listed as dynamic and as static: keep one.")
        head = eqx.nn.Linear(count_outputs(network, num_features), len(dynamic), key=jax.random.key(0))
        start = split_parameters(parameters, (*dynamic, *static))
        self.network, self.head = network, jax.tree.map(jnp.zeros_like, head)
        self.land, self.tower = start
        self.offsets = zero_offsets(start, static)
        self.solver = ImplicitStep() if solver is None else solver
        self.dynamic, self.state_feedback, self.regionalization = dynamic, state_feedback, regionalization

    def for_site(self, site):
        return specialize_to_site(self, site, (*self.dynamic, *self.offsets))

    def init(self, state):
        land, _ = with_offsets(self.land, self.tower, self.offsets)
        return self.network.init(), initial_state(land) if state is None else state

    def step(self, carry, forcing, features, dt):
        memory, parameters, offsets = self.set_parameters(carry, forcing, features)
        state, fluxes = self.solver(parameters.land, carry[1], forcing, dt)
        fractions = closure_fractions(parameters.tower, fluxes.friction_velocity, fluxes.sensible_heat)
        output = StepOutput(fluxes, state, offsets, fractions, noise_scale(parameters.tower))
        return (memory, state), output

    def set_parameters(
        self, carry: Any, forcing: Forcing, features: Scalar
    ) -> tuple[Any, LearnedParameters, dict[str, Scalar]]:
        """Return the memory of the network after a step, the parameters it sets, and all offsets. [1]."""
        memory, state = carry
        if self.state_feedback:
            states = self.state_feedback(state_features(self.land, state, forcing))
            features = jnp.concatenate([features, states])
        outputs, memory = self.network(features, memory)
        dynamic = dict(zip(self.dynamic, self.head(outputs), strict=True))
        offsets = self.offsets | {name: value + self.offsets.get(name, 0.0) for name, value in dynamic.items()}
        return memory, with_offsets(self.land, self.tower, offsets), offsets

    def frozen(self):
        return self.land, self.tower


class TurbulentFluxes(eqx.Module):
    """Fluxes that a network without physics predicts."""

    latent_heat: Scalar = quantity("W m-2", "Latent heat flux")
    sensible_heat: Scalar = quantity("W m-2", "Sensible heat flux")


class FluxScale(NamedTuple):
    """Mean and standard deviation of latent and sensible heat, which scale the outputs of a network."""

    mean: Float[Array, "target"]  # W m-2
    deviation: Float[Array, "target"]  # W m-2


class FluxNetwork(AbstractLandModel):
    """A network from the same inputs to the fluxes; it conserves neither energy nor water."""

    network: Network
    head: eqx.nn.Linear
    scale: FluxScale

    def __init__(self, scale: FluxScale, *, network: Any, key: PRNGKeyArray, num_features: int | None = None):
        """Put an output layer of two fluxes on a network.

        Args:
            scale: Of the fluxes (`SiteData.flux_scale`).
            network: Any `Network`; its features are those of the record.
            key: Random key of the output layer.
            num_features: Size of the feature vector, if `count_outputs` cannot find it.
        """
        self.network, self.scale = network, scale
        self.head = eqx.nn.Linear(count_outputs(network, num_features), 2, key=jax.random.split(key)[1])

    def for_site(self, site):
        del site
        return self

    def init(self, state):
        del state
        return self.network.init()

    def step(self, carry, forcing, features, dt):
        del forcing, dt
        outputs, memory = self.network(features, carry)
        latent, sensible = self.scale.mean + self.scale.deviation * self.head(outputs)
        return memory, StepOutput(TurbulentFluxes(latent, sensible), None, {}, jnp.ones_like(self.scale.mean))

    def frozen(self):
        return self.scale


class GuidedHybrid(AbstractLandModel):
    """A hybrid whose evaporation is half its own and half what a flux network predicts.

    The root zone supplies the network's part as far as there is water, and the surface its energy, so that the budgets
    close as those of the hybrid do. Both models are trained beforehand; this one is not.
    """

    hybrid: Hybrid
    network: FluxNetwork

    def __init__(self, hybrid: Hybrid, network: FluxNetwork):
        """Join a hybrid and a flux network that take the same features.

        Raises:
            ValueError: The hybrid is not stepped implicitly.
        """
        if not isinstance(hybrid.solver, ImplicitStep):
            raise ValueError("only a hybrid with the implicit step can be guided.")
        solver = dataclasses.replace(hybrid.solver, evaporation=guided_evaporation(hybrid.solver.evaporation))
        self.hybrid, self.network = eqx.tree_at(lambda model: model.solver, hybrid, solver), network

    @property
    def land(self) -> Parameters:
        """Land parameters of the hybrid."""
        return self.hybrid.land

    @property
    def tower(self) -> TowerParameters:
        """Tower parameters of the hybrid."""
        return self.hybrid.tower

    def for_site(self, site):
        return eqx.tree_at(lambda model: model.hybrid, self, self.hybrid.for_site(site))

    def init(self, state):
        return self.hybrid.init(state), self.network.init(state)

    def step(self, carry, forcing, features, dt):
        own, memory = carry
        memory, guide = self.network.step(memory, forcing, features, dt)
        network_memory, parameters, offsets = self.hybrid.set_parameters(own, forcing, features)
        tower = parameters.tower
        typical = tower.typical_friction_velocity
        fractions = closure_fractions(tower, typical, jnp.zeros_like(typical))
        vapor = guide.fluxes.latent_heat / vaporization_heat(forcing.air_temperature)
        forcing = dataclasses.replace(forcing, requested_evaporation=vapor / fractions[..., 0])
        state, fluxes = self.hybrid.solver(parameters.land, own[1], forcing, dt)
        fractions = closure_fractions(tower, fluxes.friction_velocity, fluxes.sensible_heat)
        output = StepOutput(fluxes, state, offsets, fractions, noise_scale(tower))
        return ((network_memory, state), memory), output

    def frozen(self):
        return self.hybrid, self.network

"""Learned models: an LSTM that sets the parameters of the physics, and the LSTM alone, its rival."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from bowen.land.parameters import Parameters
from bowen.land.quantities import Scalar, apply_logit_offsets, check_learnable, move_off_bounds, quantity
from bowen.land.step import ImplicitStep, Step
from bowen.land.surface_exchange import guided_evaporation
from bowen.land.tower_observation import closure_fractions, noise_scale
from bowen.land.variables import Forcing, State, fill_root_zone
from bowen.models.base import AbstractLandModel, StepOutput, specialize_to_site
from bowen.models.lstm import LSTM
from bowen.physics.constants import MELTING_POINT
from bowen.physics.radiation import snow_masking
from bowen.physics.thermodynamics import vaporization_heat

STATE_FEATURES = 6


def state_features(parameters: Parameters, state: State, forcing: Forcing) -> Float[Array, " feature"]:
    """What a network sees of the land's state, all of order one. [1]."""
    surface = state.soil_temperature_excess[0] - (forcing.air_temperature - MELTING_POINT)
    return jnp.stack(
        [
            state.root_zone_water / parameters.root_zone_capacity,
            jnp.log1p(jnp.maximum(state.snow_water, 0.0)),
            surface / 10.0,
            state.soil_temperature_excess[1] / 10.0,
            state.soil_temperature_excess[4] / 10.0,
            snow_masking(state.snow_water, parameters.snow_masking_mass),
        ]
    )


def feed_back(features: Scalar) -> Scalar:
    """Feed the states back to the network, with their gradient."""
    return features


def feed_back_without_gradient(features: Scalar) -> Scalar:
    """Feed the states back to the network, without their gradient."""
    return jax.lax.stop_gradient(features)


class Hybrid(AbstractLandModel):
    """The physics with some parameters set, at every step, by an LSTM. Untrained, it is `Process`, bit for bit.

    `dynamic` names the parameters the LSTM sets; `static` those learned as one number for the site. `feedback` is
    `fed`, `stopped`, or None for a network that does not see the state of the land.
    """

    cell: LSTM
    head: eqx.nn.Linear
    base: Parameters
    offsets: dict[str, Scalar]
    step: Step
    regionalization: Any | None
    dynamic: tuple[str, ...] = eqx.field(static=True)
    feedback: Callable | None = eqx.field(static=True)

    def __init__(
        self,
        base: Parameters,
        dynamic: tuple[str, ...],
        *,
        features: int,
        hidden_size: int,
        key: PRNGKeyArray,
        static: tuple[str, ...] = (),
        feedback: Callable | None = feed_back,
        step: Step | None = None,
        regionalization: Any | None = None,
    ):
        """Set the head to zero, so that the parameters begin at those of `base`.

        Raises:
            ValueError: A name is not a parameter, may not be learned that way, or is in both lists.
        """
        check_learnable(base, dynamic, "dynamic")
        check_learnable(base, static, "static")
        if both := set(dynamic) & set(static):
            raise ValueError(f"`{both.pop()}` is listed as dynamic and as static: keep one.")
        cell_key, head_key = jax.random.split(key)
        size = features + (STATE_FEATURES if feedback else 0)
        self.cell = LSTM(size, hidden_size, key=cell_key)
        self.head = jax.tree.map(jnp.zeros_like, eqx.nn.Linear(hidden_size, len(dynamic), key=head_key))
        self.base = move_off_bounds(base, (*dynamic, *static))
        self.offsets = {name: jnp.zeros_like(getattr(base, name)) for name in static}
        self.step = ImplicitStep() if step is None else step
        self.dynamic, self.feedback, self.regionalization = tuple(dynamic), feedback, regionalization

    def at(self, site):
        return specialize_to_site(self, site, (*self.dynamic, *self.offsets))

    def particulars(self):
        return self.base, self.offsets

    def start(self, state):
        return self.cell.at_rest(), state

    def renewed(self, carry):
        memory, state = carry
        return memory, fill_root_zone(apply_logit_offsets(self.base, self.offsets), state)

    def advance(self, carry, forcing, features, dt):
        memory, state = carry
        if self.feedback:
            seen = self.feedback(state_features(self.base, state, forcing))
            features = jnp.concatenate([features, seen])
        memory, known = self.cell(features, memory)
        moved = dict(zip(self.dynamic, self.head(memory[0]), strict=True))
        offsets = self.offsets | {name: now + self.offsets.get(name, 0.0) for name, now in moved.items()}
        parameters = apply_logit_offsets(self.base, offsets)
        state, fluxes = self.step(parameters, state, forcing, dt)
        return (memory, state), StepOutput(
            fluxes, state, offsets, closure_fractions(parameters), known, noise_scale(parameters)
        )

    def memory(self):
        return self.cell

    def fixed(self):
        return self.base


class TurbulentFluxes(eqx.Module):
    """What a network without physics predicts."""

    latent_heat: Scalar = quantity("W m-2", "Latent heat flux")
    sensible_heat: Scalar = quantity("W m-2", "Sensible heat flux")


class FluxScale(NamedTuple):
    """Mean and spread of latent and sensible heat, so that a network can answer in numbers of order one."""

    mean: Float[Array, "target"]  # W m-2
    spread: Float[Array, "target"]  # W m-2


class FluxNetwork(AbstractLandModel):
    """An LSTM from the same inputs straight to the fluxes: the rival, which conserves nothing."""

    cell: LSTM
    head: eqx.nn.Linear
    scale: FluxScale

    def __init__(self, *, features: int, hidden_size: int, key: PRNGKeyArray, scale: FluxScale):
        cell_key, head_key = jax.random.split(key)
        self.cell = LSTM(features, hidden_size, key=cell_key)
        self.head = eqx.nn.Linear(hidden_size, 2, key=head_key)
        self.scale = scale

    def start(self, state: Any) -> Any:
        del state
        return self.cell.at_rest()

    def advance(self, carry, forcing, features, dt):
        del forcing, dt
        memory, known = self.cell(features, carry)
        latent, sensible = self.scale.mean + self.scale.spread * self.head(memory[0])
        return memory, StepOutput(TurbulentFluxes(latent, sensible), None, {}, jnp.ones_like(self.scale.mean), known)

    def memory(self):
        return self.cell

    def fixed(self):
        return self.scale


class GuidedHybrid(AbstractLandModel):
    """A hybrid whose evaporation is half its own, half what a network without physics predicts there.

    What the network predicts is asked of the root zone, which gives it as far as there is water, and takes it from the
    energy at the surface: the budgets close as those of the hybrid do. Nothing of it is trained.
    """

    hybrid: Hybrid
    network: FluxNetwork

    def __init__(self, hybrid: Hybrid, network: FluxNetwork):
        """Take a hybrid and a network that see the same features.

        Raises:
            ValueError: The hybrid is not stepped implicitly.
        """
        if not isinstance(hybrid.step, ImplicitStep):
            raise ValueError("only a hybrid with the implicit step can be guided.")
        step = dataclasses.replace(hybrid.step, evaporation=guided_evaporation(hybrid.step.evaporation))
        self.hybrid, self.network = eqx.tree_at(lambda model: model.step, hybrid, step), network

    @property
    def base(self) -> Parameters:
        """Of the hybrid."""
        return self.hybrid.base

    def at(self, site):
        return eqx.tree_at(lambda model: model.hybrid, self, self.hybrid.at(site))

    def start(self, state):
        return self.hybrid.start(state), self.network.start(state)

    def renewed(self, carry):
        return self.hybrid.renewed(carry[0]), carry[1]

    def advance(self, carry, forcing, features, dt):
        own, memory = carry
        memory, told = self.network.advance(memory, forcing, features, dt)
        demand = told.fluxes.latent_heat / vaporization_heat(forcing.air_temperature)
        led = eqx.tree_at(lambda model: model.base.demand, self.hybrid, demand)
        own, record = led.advance(own, forcing, features, dt)
        return (own, memory), record._replace(lstm_input=None)

    def fixed(self):
        return self.hybrid, self.network

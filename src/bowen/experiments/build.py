"""The model that a configuration describes, untrained."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bowen.config.schema import Config
from bowen.data.features import TARGETS, Scaler
from bowen.land.land_classes import parameters_for
from bowen.land.parameters import Parameters
from bowen.land.step import ImplicitStep
from bowen.land.surface_exchange import (
    PRIESTLEY_TAYLOR,
    RESISTANCE,
    computed_net_radiation,
    measured_net_radiation,
    net_radiation_measured_if_available,
)
from bowen.models.base import AbstractLandModel, Process, SiteParameters
from bowen.models.hybrid import FluxNetwork, FluxScale, Hybrid, feed_back, feed_back_without_gradient
from bowen.models.regionalization import Regionalization
from bowen.physics.turbulence import monin_obukhov, monin_obukhov_limited

STATE_FEEDBACK = {"on": feed_back, "stop_gradient": feed_back_without_gradient, "off": None}
NET_RADIATION = {
    "computed": computed_net_radiation,
    "measured": measured_net_radiation,
    "measured_if_available": net_radiation_measured_if_available,
}
STABILITY = {"monin_obukhov": monin_obukhov, "monin_obukhov_limited": monin_obukhov_limited}
EVAPORATION = {"resistance": RESISTANCE, "priestley_taylor": PRIESTLEY_TAYLOR}


def base_parameters(config: Config, site: Mapping[str, Any]) -> Parameters:
    """Parameters of the Land Dynamics model for a site, in the precision of the run."""
    base = parameters_for(
        site["igbp"],
        config.data.soil,
        reference_height=site["reference_height"],
        canopy_height=site["canopy_height"],
    )
    return dataclasses.replace(
        base,
        closure_fraction=float(site.get("closure_fraction", 1)),
        latent_heat_truncated=float(site.get("latent_heat_truncated", 0)),
    )


def site_parameters(
    config: Config, site: Mapping[str, Any], attributes: Mapping[str, float], number: int, corrected: bool
) -> SiteParameters:
    """What tells a site from others; `number` is its place among the towers that are trained on."""
    followed = [attributes.get(name, 0.0) for name in config.model.regionalized_by]
    return SiteParameters(base_parameters(config, site), followed, number, corrected)


def make_regionalization(config: Config, towers: int) -> Regionalization | None:
    """What makes static parameters differ between sites, if anything is to."""
    model = config.model
    if not (model.regionalized or model.site_specific):
        return None
    return Regionalization(
        model.regionalized,
        attributes=len(model.regionalized_by),
        site_specific=model.site_specific,
        water_corrections=model.water_corrections,
        towers=towers,
    )


def make_step(config: Config) -> ImplicitStep:
    """Make the step that a configuration describes."""
    return ImplicitStep(
        substeps=config.model.substeps,
        iterations=config.model.newton_iterations,
        net_radiation=NET_RADIATION[config.data.net_radiation],
        evaporation=EVAPORATION[config.model.evaporation],
        stability=STABILITY[config.model.stability],
    )


def static_parameters(config: Config) -> tuple[str, ...]:
    """The parameters that are learned as one number: those a model lists, and the tower's share of the fluxes."""
    listed = config.model.static
    learns = config.model.kind != "process" or listed  # LaD as it comes does not
    through = learns and config.data.closure == "learned_fraction" and "closure_fraction" not in listed
    return (*listed, "closure_fraction") if through else listed


def build_model(config: Config, scaler: Scaler, base: Parameters, towers: int = 1) -> AbstractLandModel:
    """The untrained model a configuration describes, for a number of towers to train on."""
    model, key = config.model, jax.random.key(config.training.seed)
    size = len(scaler.features)
    if model.kind == "process":
        return Process(base, static_parameters(config), make_step(config), make_regionalization(config, towers))
    if model.kind == "network":
        scale = FluxScale(*(jnp.asarray([table[name] for name in TARGETS]) for table in (scaler.mean, scaler.spread)))
        return FluxNetwork(features=size, hidden_size=model.hidden_size, key=key, scale=scale)
    return Hybrid(
        base,
        model.dynamic,
        features=size,
        hidden_size=model.hidden_size,
        key=key,
        static=static_parameters(config),
        feedback=STATE_FEEDBACK[model.state_feedback],
        step=make_step(config),
        regionalization=make_regionalization(config, towers),
    )

"""Models from configurations, untrained."""

import jax

from bowen.config.schema import Config
from bowen.data.features import Scaler
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
from bowen.models.hybrid import NUM_STATE_FEATURES, FluxNetwork, Hybrid, feed_back, feed_back_without_gradient
from bowen.models.lstm import LSTM
from bowen.models.regionalization import Regionalization
from bowen.physics.turbulence import monin_obukhov, monin_obukhov_limited
from bowen.training.site_data import flux_scale

STATE_FEEDBACK = {"on": feed_back, "stop_gradient": feed_back_without_gradient, "off": None}
NET_RADIATION = {
    "computed": computed_net_radiation,
    "measured": measured_net_radiation,
    "measured_if_available": net_radiation_measured_if_available,
}
STABILITY = {"monin_obukhov": monin_obukhov, "monin_obukhov_limited": monin_obukhov_limited}
EVAPORATION = {"resistance": RESISTANCE, "priestley_taylor": PRIESTLEY_TAYLOR}


def make_regionalization(config: Config, num_sites: int) -> Regionalization | None:
    """Build the dependence of parameters on the site; None if the configuration names no such parameter."""
    model = config.model
    if not (model.regionalized or model.site_specific):
        return None
    return Regionalization(
        model.regionalized,
        num_attributes=len(model.regionalized_by),
        site_specific=model.site_specific,
        water_corrections=model.water_corrections,
        num_sites=num_sites,
    )


def make_step(config: Config) -> ImplicitStep:
    """Build the step that a configuration describes."""
    return ImplicitStep(
        substeps=config.model.substeps,
        iterations=config.model.newton_iterations,
        net_radiation=NET_RADIATION[config.data.net_radiation],
        evaporation=EVAPORATION[config.model.evaporation],
        stability=STABILITY[config.model.stability],
    )


def static_parameters(config: Config) -> tuple[str, ...]:
    """List the parameters learned as one number, with the closure fraction where the configuration learns it."""
    listed = config.model.static
    learns = config.model.kind != "process" or listed  # uncalibrated LaD does not
    has_closure = learns and config.data.closure == "learned_fraction" and "closure_fraction" not in listed
    return (*listed, "closure_fraction") if has_closure else listed


def build_model(
    config: Config, scaler: Scaler, parameters: SiteParameters | Parameters, num_sites: int = 1
) -> AbstractLandModel:
    """Build the untrained model of a configuration.

    Args:
        config: Settings of the run.
        scaler: Of the features.
        parameters: Of one of the sites.
        num_sites: Number of sites to train on.
    """
    model, key = config.model, jax.random.key(config.training.seed)
    num_features = len(scaler.features)
    if model.kind == "process":
        regionalization = make_regionalization(config, num_sites)
        return Process(parameters, static_parameters(config), solver=make_step(config), regionalization=regionalization)
    if model.kind == "network":
        lstm = LSTM(num_features, hidden_size=model.hidden_size, key=key)
        return FluxNetwork(flux_scale(scaler), network=lstm, key=key)
    feedback = STATE_FEEDBACK[model.state_feedback]
    num_features += NUM_STATE_FEATURES if feedback else 0
    return Hybrid(
        parameters,
        model.dynamic,
        network=LSTM(num_features, hidden_size=model.hidden_size, key=key),
        static=static_parameters(config),
        state_feedback=feedback,
        solver=make_step(config),
        regionalization=make_regionalization(config, num_sites),
    )

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
from bowen.land.step import AbstractStep, ImplicitStep
from bowen.land.surface_exchange import ENERGY, RESISTANCE, balanced_radiation, given_radiation, prescribed_radiation
from bowen.models.base import AbstractLand, Process, Site
from bowen.models.hybrid import Hybrid, Network, Scale, fed, stopped
from bowen.models.regionalization import Regional
from bowen.physics.turbulence import coupled, monin_obukhov

FEEDBACK = {"none": None, "fed": fed, "stopped": stopped}
RADIATION = {"balance": balanced_radiation, "prescribed": prescribed_radiation, "either": given_radiation}
STABILITY = {"critical": monin_obukhov, "coupled": coupled}
EVAPORATION = {"resistance": RESISTANCE, "energy": ENERGY}


def base_parameters(config: Config, site: Mapping[str, Any]) -> Parameters:
    """Parameters of the Land Dynamics model for a site, in the precision of the run."""
    base = parameters_for(
        site["igbp"],
        config.tower.soil,
        reference_height=site["reference_height"],
        canopy_height=site["canopy_height"],
    )
    return dataclasses.replace(
        base,
        prescribed_radiation=float(site.get("prescribed_radiation", 0)),
        observed_fraction=float(site.get("observed_fraction", 1)),
        positive_only=float(site.get("positive_only", 0)),
    )


def site_of(
    config: Config, site: Mapping[str, Any], attributes: Mapping[str, float], number: int, corrected: bool
) -> Site:
    """What tells a site from others; `number` is its place among the towers that are trained on."""
    followed = [attributes.get(name, 0.0) for name in config.model.regional_by]
    return Site(base_parameters(config, site), followed, number, corrected)


def regional_of(config: Config, towers: int) -> Regional | None:
    """What makes static parameters differ between sites, if anything is to."""
    model = config.model
    if not (model.regional or model.owned):
        return None
    return Regional(
        model.regional,
        attributes=len(model.regional_by),
        owned=model.owned,
        corrections=model.corrections,
        towers=towers,
    )


def step_of(config: Config) -> AbstractStep:
    """The solver a configuration names."""
    implicit = ImplicitStep(
        substeps=config.model.substeps,
        iterations=config.model.newton,
        net_radiation=RADIATION[config.tower.radiation],
        evaporation=EVAPORATION[config.model.evaporation],
        stability=STABILITY[config.model.stability],
    )
    if config.model.solver == "adaptive":
        from bowen.land.adaptive_step import AdaptiveStep  # here, for diffrax takes a fifth of a second to import

        return AdaptiveStep(implicit)
    return implicit


def static_of(config: Config) -> tuple[str, ...]:
    """The parameters that are learned as one number: those a model lists, and the tower's share of the fluxes."""
    listed = config.model.static
    learns = config.model.kind != "process" or listed  # LaD as it comes does not
    through = learns and config.tower.closure == "observed-through" and "observed_fraction" not in listed
    return (*listed, "observed_fraction") if through else listed


def build(config: Config, scaler: Scaler, base: Parameters, towers: int = 1) -> AbstractLand:
    """The untrained model a configuration describes, for a number of towers to train on."""
    model, key = config.model, jax.random.key(config.training.seed)
    size = len(scaler.features)
    if model.kind == "process":
        return Process(base, static_of(config), step_of(config), regional_of(config, towers))
    if model.kind == "network":
        scale = Scale(*(jnp.asarray([table[name] for name in TARGETS]) for table in (scaler.mean, scaler.spread)))
        return Network(features=size, hidden=model.hidden, key=key, scale=scale)
    return Hybrid(
        base,
        model.dynamic,
        features=size,
        hidden=model.hidden,
        key=key,
        static=static_of(config),
        feedback=FEEDBACK[model.states],
        step=step_of(config),
        regional=regional_of(config, towers),
    )

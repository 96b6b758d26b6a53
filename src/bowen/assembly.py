"""The model that a configuration describes, untrained."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bowen.adaptive import AdaptiveStep
from bowen.classes import parameters_for
from bowen.config import Config
from bowen.hybrid import Hybrid, Network, Scale, fed, stopped
from bowen.land import AbstractLand, Process
from bowen.series import TARGETS, Scaler
from bowen.step import AbstractStep, ImplicitStep, balanced_radiation, prescribed_radiation
from bowen.variables import Parameters

FEEDBACK = {"none": None, "fed": fed, "stopped": stopped}
RADIATION = {"balance": balanced_radiation, "prescribed": prescribed_radiation}


def base_parameters(config: Config, site: Mapping[str, Any]) -> Parameters:
    """Parameters of the Land Dynamics model for a site, in the precision of the run."""
    return parameters_for(
        site["igbp"],
        config.tower.soil,
        reference_height=site["reference_height"],
        canopy_height=site["canopy_height"],
    )


def step_of(config: Config) -> AbstractStep:
    """The solver a configuration names."""
    implicit = ImplicitStep(
        substeps=config.model.substeps,
        iterations=config.model.newton,
        net_radiation=RADIATION[config.tower.radiation],
    )
    return AdaptiveStep(implicit) if config.model.solver == "adaptive" else implicit


def static_of(config: Config) -> tuple[str, ...]:
    """The parameters that are learned as one number: those a model lists, and the tower's share of the fluxes."""
    listed = config.model.static
    learns = config.model.kind != "process" or listed  # LaD as it comes does not
    through = learns and config.tower.closure == "observed-through" and "observed_fraction" not in listed
    return (*listed, "observed_fraction") if through else listed


def build(config: Config, scaler: Scaler, base: Parameters) -> AbstractLand:
    """The untrained model a configuration describes."""
    model, key = config.model, jax.random.key(config.training.seed)
    size = len(scaler.features)
    if model.kind == "process":
        return Process(base, static_of(config), step_of(config))
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
    )

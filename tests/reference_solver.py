"""An adaptive solver of the same process functions: the referee of the implicit step.

The step of `land` melts snow by complementarity and drains by overflow; an adaptive solver needs rates instead, so both
are relaxed over a short time. One solve covers one forcing interval, within which the forcing is constant. A state that
is not named in `rates` does not change.
"""

import dataclasses

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix
from jax.flatten_util import ravel_pytree

from bowen.land.budgets import heat_capacities, with_budgets
from bowen.land.parameters import Parameters
from bowen.land.quantities import Scalar
from bowen.land.step import ImplicitStep, RootZoneOutflow, collect_fluxes
from bowen.land.surface_exchange import ground_insulation, surface_conditions, surface_fluxes
from bowen.land.variables import Fluxes, Forcing, State
from bowen.physics import hydrology, snow, soil
from bowen.physics.constants import FUSION, MELTING_POINT
from bowen.physics.surface_balance import GroundHeatCoupling

MELT_RATE = 300.0 / FUSION  # kg m-2 s-1 K-1; a surface 1 K too warm loses 300 W m-2 to melt
DRAINAGE_TIME = FREEZING_TIME = 900.0  # s


def rates(step: ImplicitStep, parameters: Parameters, state: State, forcing: Forcing) -> tuple[State, Fluxes]:
    """Compute the rate of change of the state, and the fluxes at this instant."""
    zero = jnp.zeros_like(state.snow_water)
    surface = surface_conditions(step, parameters, state, forcing, zero)
    upper = soil.layer_conductances(parameters.thermal_conductivity, ground_insulation(parameters, state))[0]
    conducted = upper * (state.soil_temperature_excess[..., 0] - state.soil_temperature_excess[..., 1])
    flux = surface_fluxes(step, surface, GroundHeatCoupling(zero, conducted, zero), zero)
    open_melt = snow.degree_melt(surface.temperature, 1.0 - surface.bare_fraction, MELT_RATE)
    melt = jnp.where(surface.melt_rate > 0.0, flux.sheltered_melt, open_melt)
    leaves = parameters.interception_capacity
    caught = jnp.where(leaves > 0.0, surface.rainfall, zero)
    dripping = jnp.maximum(state.canopy_water - leaves, 0.0) / DRAINAGE_TIME
    capacity, gain = (
        parameters.root_zone_capacity,
        surface.rainfall + surface.external_supply + surface.deep_water_release + melt - flux.root_evaporation,
    )
    rise = hydrology.capillary_rise(
        state.groundwater, state.root_zone_water, capacity, parameters.capillary_rise_rate, zero
    )
    gain = gain - caught + dripping
    retained = parameters.snow_water_holding_fraction * (state.snow_water - state.snow_liquid)
    running = jnp.maximum(state.snow_liquid - retained, 0.0) / DRAINAGE_TIME
    on_snow = melt + (1.0 - surface.bare_fraction) * (surface.rainfall - caught + dripping)
    on_snow = jnp.where(parameters.snow_water_holding_fraction > 0.0, on_snow, 0.0)
    gain = gain - on_snow + running
    capacities = heat_capacities(parameters)
    top, skin = state.soil_temperature_excess[..., 0], capacities[..., 0]
    frozen = snow.refreezing(top, state.snow_liquid, skin, surface.melt_rate, FREEZING_TIME) / FREEZING_TIME
    saturated = hydrology.saturated_share(state.root_zone_water, capacity, parameters.infiltration_shape)
    excess = saturated * jnp.maximum(gain, 0.0)
    overflow = hydrology.overflow(state.root_zone_water - capacity, parameters.overflow_width) / DRAINAGE_TIME
    leaked = hydrology.gravity_drainage(
        state.root_zone_water, capacity, parameters.max_drainage, parameters.drainage_exponent, zero
    )
    quick = state.quickflow_water / parameters.quickflow_residence_time
    slow = state.groundwater / parameters.groundwater_residence_time
    deep = state.deep_water / parameters.deep_water_residence_time
    outflow = RootZoneOutflow(overflow + leaked, rise, excess, quick, slow + deep)
    fluxes = collect_fluxes(surface, flux, melt, frozen, outflow)
    freezing = (
        soil.freezing(state.soil_temperature_excess, state.soil_ice, parameters.freezable_water, capacities)
        / FREEZING_TIME
    )
    supplied = fluxes.net_radiation - fluxes.sensible_heat - fluxes.latent_heat
    heating = supplied - fluxes.fusion_heat
    change = dataclasses.replace(
        jax.tree.map(jnp.zeros_like, state),
        soil_temperature_excess=soil_tendency(parameters, state, heating, FUSION * freezing),
        soil_ice=freezing,
        snow_water=surface.snowfall - flux.snow_evaporation - melt + on_snow - running,
        snow_liquid=on_snow - running - frozen,
        root_zone_water=gain + rise - excess - overflow - leaked,
        groundwater=(1.0 - parameters.quickflow_fraction) * overflow + leaked - slow - rise,
        deep_water=surface.lateral_inflow - surface.deep_water_release - deep,
        quickflow_water=parameters.quickflow_fraction * overflow + excess - quick,
        canopy_water=caught - dripping - flux.canopy_evaporation,
    )
    return change, fluxes


def soil_tendency(parameters: Parameters, state: State, heating: Scalar, freezing: soil.Layers) -> soil.Layers:
    """Compute the warming of the layers by a heat flux into the first and the heat that freezing releases. [K s-1]."""
    conductances = soil.layer_conductances(parameters.thermal_conductivity, ground_insulation(parameters, state))
    differences = state.soil_temperature_excess[..., :-1] - state.soil_temperature_excess[..., 1:]
    down = [heating, *(g * differences[..., k] for k, g in enumerate(conductances)), jnp.zeros_like(heating)]
    return (freezing - jnp.diff(jnp.stack(down, axis=-1), axis=-1)) / heat_capacities(parameters)


class AdaptiveStep(eqx.Module):
    """Solution of a forcing interval to a tolerance by Kvaerno3, whose stages all lie within the interval."""

    physics: ImplicitStep = ImplicitStep()
    rtol: float = eqx.field(static=True, default=1e-4)
    atol: float = eqx.field(static=True, default=1e-4)
    max_steps: int = eqx.field(static=True, default=512)

    def __call__(self, parameters, state, forcing, dt):
        zero = jnp.zeros_like(state.snow_water)
        _, shape = jax.eval_shape(rates, self.physics, parameters, state, forcing)
        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shape)

        # one vector instead of many small arrays compiles in a third of the time
        start, unravel = ravel_pytree((state, nothing))
        size = sum(leaf.size for leaf in jax.tree.leaves(state))

        def tendency(time, now, forcing):
            del time
            return ravel_pytree(rates(self.physics, parameters, unravel(now)[0], forcing))[0]

        controller = diffrax.PIDController(
            rtol=self.rtol, atol=self.atol, norm=lambda error: optimistix.rms_norm(error[:size])
        )
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(tendency),
            diffrax.Kvaerno3(),
            zero,
            dt,
            dt / 20.0,
            start,
            args=forcing,
            stepsize_controller=controller,
            max_steps=self.max_steps,
        )
        after, total = unravel(jax.tree.map(lambda series: series[-1], solution.ys))
        fluxes = jax.tree.map(lambda flux: flux / dt, total)
        fluxes = eqx.tree_at(
            lambda f: f.surface_temperature, fluxes, MELTING_POINT + after.soil_temperature_excess[..., 0]
        )
        return after, with_budgets(parameters, state, after, fluxes, dt)

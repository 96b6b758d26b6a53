"""Step of a land column: fluxes of its surface, implicit solution, and budgets."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from bowen.land.budgets import heat_capacities, with_budgets
from bowen.land.parameters import Parameters
from bowen.land.quantities import Scalar
from bowen.land.surface_exchange import (
    RESISTANCE,
    Evaporation,
    SurfaceConditions,
    computed_net_radiation,
    ground_insulation,
    surface_conditions,
    surface_fluxes,
)
from bowen.land.variables import Fluxes, Forcing, State
from bowen.numerics.rematerialization import ITERATES, rematerialize, save_residual
from bowen.numerics.xla_workarounds import isolate_program, optimization_fence
from bowen.physics import hydrology, snow, soil, turbulence
from bowen.physics.constants import FUSION, MELTING_POINT
from bowen.physics.surface_balance import GroundHeatCoupling, SurfaceFluxes, balance_surface

Step = Callable[[Parameters, State, Forcing, Scalar], tuple[State, Fluxes]]  # over an interval whose length is last [s]


class RootZoneOutflow(NamedTuple):
    """Water that leaves the root zone, and the runoff of the reservoirs."""

    drainage: Scalar  # kg m-2 s-1
    capillary_rise: Scalar  # kg m-2 s-1, back to the root zone
    saturation_excess: Scalar  # kg m-2 s-1
    surface_runoff: Scalar  # kg m-2 s-1
    subsurface_runoff: Scalar  # kg m-2 s-1


class ImplicitStep(eqx.Module):
    """Backward Euler in flux form: budgets close to round-off, whatever the step and the number of iterations."""

    substeps: int = eqx.field(static=True, default=2)
    iterations: int = eqx.field(static=True, default=5)
    stability: Callable = eqx.field(static=True, default=turbulence.monin_obukhov)
    net_radiation: Callable = eqx.field(static=True, default=computed_net_radiation)
    evaporation: Evaporation = eqx.field(static=True, default=RESISTANCE)

    def __call__(self, parameters: Parameters, state: State, forcing: Forcing, dt: Scalar) -> tuple[State, Fluxes]:
        """Advance the state over a forcing interval of `dt` [s]; the fluxes are means over the interval."""
        integrate = functools.partial(integrate_substeps, self)
        after, fluxes = isolate_program(
            integrate, functools.partial(_hold, integrate), dt > 0.0, parameters, state, forcing, dt
        )
        fluxes = eqx.tree_at(
            lambda f: f.surface_temperature, fluxes, MELTING_POINT + after.soil_temperature_excess[..., 0]
        )
        return after, with_budgets(parameters, state, after, fluxes, dt)


@functools.partial(jax.jit, static_argnums=0, inline=True)  # traced once, whatever it is transformed by
def integrate_substeps(
    step: ImplicitStep, parameters: Parameters, state: State, forcing: Forcing, dt: Scalar
) -> tuple[State, Fluxes]:
    """Return the state after the last sub-step, and the mean of the fluxes."""

    def advance(now, _):
        return substep(step, parameters, now, forcing, dt / step.substeps)

    after, series = jax.lax.scan(rematerialize(advance, ITERATES), state, None, length=step.substeps)
    return after, jax.tree.map(lambda flux: flux.mean(axis=0), series)


def _hold(integrate: Callable, parameters: Parameters, state: State, forcing: Forcing, dt: Scalar) -> tuple:
    """Return the state unchanged and zero fluxes."""
    _, fluxes = jax.eval_shape(integrate, parameters, state, forcing, dt)
    return state, jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), fluxes)


def substep(
    step: ImplicitStep, parameters: Parameters, state: State, forcing: Forcing, dt: Scalar
) -> tuple[State, Fluxes]:
    """Take a backward-Euler step of surface, soil heat and ice, snow, root zone and groundwater, without clipping."""
    surface = optimization_fence(surface_conditions(step, parameters, state, forcing, dt))
    conductances = soil.layer_conductances(parameters.thermal_conductivity, ground_insulation(parameters, state))
    offsets, slopes = soil.eliminate(state.soil_temperature_excess, parameters.heat_capacity, conductances, dt)
    upper = conductances[0]
    capacities = heat_capacities(parameters)
    conducted = upper * (state.soil_temperature_excess[..., 0] - state.soil_temperature_excess[..., 1] - offsets[0])
    ground = GroundHeatCoupling(capacities[..., 0] / dt, conducted, upper * (1.0 - slopes[0]))
    balance = balance_surface(
        jax.tree_util.Partial(functools.partial(surface_fluxes, step), surface, ground),
        ground,
        -state.soil_temperature_excess[..., 0],
        surface.snow_supply,
        surface.melt_rate > 0.0,
        surface.vaporization_heat,
        dt,
        step.iterations,
    )
    flux = balance.fluxes
    melt = balance.snow_loss - flux.snow_evaporation
    remaining = jnp.where(balance.melted_out, 0.0, surface.snow_supply - dt * balance.snow_loss)
    on_snow = dt * melt + (1.0 - surface.bare_fraction) * surface.throughfall
    liquid = snow.retain_liquid(state.snow_liquid, on_snow, parameters.snow_water_holding_fraction * remaining)
    filled = surface.available_water + dt * (melt - flux.root_evaporation) - (liquid - state.snow_liquid)
    stores, outflow = drain_root_zone(parameters, state, surface, filled, dt)
    conducted = soil.substitute(balance.warming, offsets, slopes)
    warmed = state.soil_temperature_excess + conducted
    frozen = snow.refreezing(warmed[..., 0], liquid, capacities[..., 0], surface.melt_rate, dt)
    fused, ice = soil.freeze(warmed, state.soil_ice, parameters.freezable_water, capacities)
    fused = jnp.concatenate([(FUSION * frozen / capacities[..., 0])[..., None], fused[..., 1:]], axis=-1)
    # added at once, deep snow is rounded only once
    gained = dt * (surface.snowfall - balance.snow_loss) + (liquid - state.snow_liquid)
    after = State(
        soil_temperature_excess=soil.warm(state.soil_temperature_excess, conducted, fused, capacities),
        soil_ice=ice,
        snow_water=jnp.where(balance.melted_out, liquid, state.snow_water + gained),
        snow_liquid=liquid - frozen,
        canopy_water=surface.leaf_water - dt * flux.canopy_evaporation,
        **stores,
    )
    return save_residual(after, ITERATES), collect_fluxes(surface, flux, melt, frozen / dt, outflow)


def drain_root_zone(
    parameters: Parameters, state: State, surface: SurfaceConditions, filled: Scalar, dt: Scalar
) -> tuple[dict[str, Scalar], RootZoneOutflow]:
    """Drain a root zone filled to `filled` [kg m-2]: the updated stores, and the fluxes between and out of them."""
    capacity = parameters.root_zone_capacity
    excess = hydrology.saturation_excess(
        state.root_zone_water, filled - state.root_zone_water, capacity, parameters.infiltration_shape
    )
    rise = hydrology.capillary_rise(
        state.groundwater, state.root_zone_water, capacity, parameters.capillary_rise_rate, dt
    )
    filled = filled + dt * rise
    overflow = hydrology.overflow(filled - capacity, parameters.overflow_width)
    stored = filled - overflow - excess
    leaked = dt * hydrology.gravity_drainage(
        stored, capacity, parameters.max_drainage, parameters.drainage_exponent, dt
    )
    quick, slow = parameters.quickflow_fraction * overflow, (1.0 - parameters.quickflow_fraction) * overflow
    groundwater, subsurface = hydrology.reservoir(
        state.groundwater - dt * rise, (slow + leaked) / dt, parameters.groundwater_residence_time, dt
    )
    quickflow_water, surface_runoff = hydrology.reservoir(
        state.quickflow_water, (quick + excess) / dt, parameters.quickflow_residence_time, dt
    )
    deep_water, deep_runoff = hydrology.reservoir(
        state.deep_water - dt * surface.deep_water_release,
        surface.lateral_inflow,
        parameters.deep_water_residence_time,
        dt,
    )
    stores = {
        "root_zone_water": stored - leaked,
        "groundwater": groundwater,
        "quickflow_water": quickflow_water,
        "deep_water": deep_water,
    }
    drainage = (overflow + leaked) / dt
    return stores, RootZoneOutflow(drainage, rise, excess / dt, surface_runoff, subsurface + deep_runoff)


def collect_fluxes(
    surface: SurfaceConditions,
    flux: SurfaceFluxes,
    melt: Scalar,
    refreezing: Scalar,
    outflow: RootZoneOutflow,
) -> Fluxes:
    """Collect the fluxes of a sub-step, except those that follow from the change of the state; see `budgets`."""
    vapor = flux.vapor
    zero = jnp.zeros_like(vapor)
    return Fluxes(
        latent_heat=surface.vaporization_heat * vapor,
        sensible_heat=flux.sensible_heat,
        net_radiation=flux.net_radiation,
        ground_heat=zero,
        fusion_heat=FUSION * (flux.snow_evaporation + melt - refreezing),
        evapotranspiration=vapor,
        root_evaporation=flux.root_evaporation,
        snow_sublimation=flux.snow_evaporation,
        canopy_evaporation=flux.canopy_evaporation,
        snow_melt=melt,
        snow_refreezing=refreezing,
        rainfall=surface.rainfall,
        snowfall=surface.snowfall,
        external_supply=surface.external_supply,
        lateral_inflow=surface.lateral_inflow,
        deep_water_release=surface.deep_water_release,
        **outflow._asdict(),
        runoff=outflow.surface_runoff + outflow.subsurface_runoff,
        albedo=surface.albedo,
        aerodynamic_conductance=surface.conductance,
        friction_velocity=surface.friction_velocity,
        surface_temperature=surface.temperature,
        energy_residual=zero,
        water_residual=zero,
    )

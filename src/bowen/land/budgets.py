"""The budgets of water and energy: what is stored, and what a step cannot account for."""

import equinox as eqx
import jax
import jax.numpy as jnp

from bowen.land.parameters import Parameters
from bowen.land.quantities import Scalar
from bowen.land.variables import Fluxes, State
from bowen.physics import soil
from bowen.physics.constants import FUSION


def heat_capacities(parameters: Parameters) -> soil.Layers:
    """Of the layers, the first with the vegetation. [J m-2 K-1]."""
    return jnp.stack(soil.layer_capacities(parameters.heat_capacity, parameters.vegetation_heat_capacity), axis=-1)


def stored_heat(parameters: Parameters, before: State, after: State) -> Scalar:
    """Heat gained by soil, vegetation and snow between two states; ice, also in the soil, counts as heat owed. [J m-2].

    The differences are taken layer by layer before they are summed, which keeps single precision sharp.
    """
    gains = jax.tree.map(jnp.subtract, after, before)
    sensible = heat_capacities(parameters) * gains.soil_temperature_excess
    return (sensible - FUSION * gains.soil_ice).sum(axis=-1) - FUSION * (gains.snow_water - gains.snow_liquid)


def stored_water(before: State, after: State) -> Scalar:
    """Water gained by snow, root zone, groundwater, the quick way and leaves between two states. [kg m-2]."""
    gains = jax.tree.map(jnp.subtract, after, before)
    return gains.snow_water + gains.root_zone_water + gains.groundwater + gains.quickflow_water + gains.canopy_water


def energy_residual(parameters: Parameters, before: State, after: State, fluxes: Fluxes, dt: Scalar) -> Scalar:
    r"""What the energy budget $dS/dt = R_n - H - L_v E - L_f P_S$ leaves unexplained. [W m-2].

    Sublimation costs $L_v$ only: its heat of fusion is already in the ice that S has lost.
    """
    supplied = fluxes.net_radiation - fluxes.sensible_heat - fluxes.vaporization_heat - FUSION * fluxes.snowfall
    return stored_heat(parameters, before, after) / dt - supplied


def water_residual(before: State, after: State, fluxes: Fluxes, dt: Scalar) -> Scalar:
    """What the water budget dW/dt = P + supply - E - Y leaves unexplained. [kg m-2 s-1]."""
    supplied = fluxes.rainfall + fluxes.snowfall + fluxes.external_supply - fluxes.evapotranspiration - fluxes.runoff
    return stored_water(before, after) / dt - supplied


def with_budget_residuals(parameters: Parameters, before: State, after: State, fluxes: Fluxes, dt: Scalar) -> Fluxes:
    """The fluxes with the residuals of both budgets over the interval."""
    residuals = energy_residual(parameters, before, after, fluxes, dt), water_residual(before, after, fluxes, dt)
    return eqx.tree_at(lambda f: (f.energy_residual, f.water_residual), fluxes, residuals)

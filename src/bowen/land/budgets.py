"""Budgets of water and energy: storage changes of a step and the residuals that the fluxes leave."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp

from bowen.land.parameters import Parameters
from bowen.land.quantities import Scalar, declared_quantities, names_with
from bowen.land.variables import Fluxes, State, is_layered
from bowen.physics import soil
from bowen.physics.constants import FUSION

STORES = names_with(State, "water", "store")
SOURCES, SINKS = names_with(Fluxes, "water", "source"), names_with(Fluxes, "water", "sink")
ICE = {name: declared["ice"] for name, declared in declared_quantities(State).items() if declared["ice"]}


def heat_capacities(parameters: Parameters) -> soil.Layers:
    """Return the heat capacity of the soil layers, the first with the vegetation. [J m-2 K-1]."""
    return jnp.stack(soil.layer_capacities(parameters.heat_capacity, parameters.vegetation_heat_capacity), axis=-1)


def stored_ground_heat(parameters: Parameters, before: State, after: State) -> Scalar:
    """Compute the heat gained by soil and vegetation between two states; ice in layers is heat owed. [J m-2].

    The differences are taken layer by layer before they are summed, which keeps single precision sharp.
    """
    gains = jax.tree.map(jnp.subtract, after, before)
    stored = heat_capacities(parameters) * gains.soil_temperature_excess
    for name, share in ICE.items():
        if is_layered(name):
            stored = stored - FUSION * share * getattr(gains, name)
    return stored.sum(axis=-1)


def stored_snow_heat(before: State, after: State) -> Scalar:
    """Compute the heat gained by snow between two states: its ice is heat of fusion owed. [J m-2]."""
    gains = jax.tree.map(jnp.subtract, after, before)
    frozen = [share * getattr(gains, name) for name, share in ICE.items() if not is_layered(name)]
    return -FUSION * functools.reduce(jnp.add, frozen)


def stored_water(before: State, after: State) -> Scalar:
    """Compute the water gained by all stores between two states. [kg m-2]."""
    gains = jax.tree.map(jnp.subtract, after, before)
    return sum_of(gains, STORES)


def sum_of(module: State | Fluxes, names: list[str]) -> Scalar:
    """Sum the named fields. [unit of the fields]."""
    return functools.reduce(jnp.add, [getattr(module, name) for name in names])


def energy_residual(before: State, after: State, fluxes: Fluxes, dt: Scalar) -> Scalar:
    r"""Compute the residual of the energy budget $dS/dt = R_n - H - \lambda E - L_f P_S$. [W m-2].

    Sublimation costs $\lambda$ only: its heat of fusion is already in the ice that S has lost.
    """
    supplied = fluxes.net_radiation - fluxes.sensible_heat - fluxes.latent_heat - FUSION * fluxes.snowfall
    return fluxes.ground_heat + stored_snow_heat(before, after) / dt - supplied


def water_residual(before: State, after: State, fluxes: Fluxes, dt: Scalar) -> Scalar:
    """Compute the residual of the water budget, storage change less sources plus sinks. [kg m-2 s-1]."""
    return stored_water(before, after) / dt - (sum_of(fluxes, SOURCES) - sum_of(fluxes, SINKS))


def with_budgets(parameters: Parameters, before: State, after: State, fluxes: Fluxes, dt: Scalar) -> Fluxes:
    """Add what follows from the change of the state: ground heat, and the residuals of both budgets.

    Ground heat is the storage that it causes, so that net radiation less latent, sensible, ground and fusion heat is a
    budget of its own, which does not close unless the surface balance does.
    """
    fluxes = eqx.tree_at(lambda f: f.ground_heat, fluxes, stored_ground_heat(parameters, before, after) / dt)
    residuals = energy_residual(before, after, fluxes, dt), water_residual(before, after, fluxes, dt)
    return eqx.tree_at(lambda f: (f.energy_residual, f.water_residual), fluxes, residuals)

"""State, forcing and fluxes of a land column: each quantity is declared once, with its part in the budgets."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from bowen.land.parameters import Parameters
from bowen.land.quantities import Scalar, declared_quantities, quantity
from bowen.physics.constants import LAYER_THICKNESS, MELTING_POINT

WATER_FLUX = "kg m-2 s-1"
TYPICAL_PRECIPITATION = 2e-5  # kg m-2 s-1, 630 mm in a year: a round number for states before any weather


def initial_temperature_excess(parameters: Parameters, air_temperature: Scalar) -> Scalar:
    """Return soil as warm as the air on average. [K]."""
    del parameters
    return air_temperature - MELTING_POINT


def initial_root_zone_water(parameters: Parameters, air_temperature: Scalar) -> Scalar:
    """Compute the root-zone water of a record that no year of weather precedes. [kg m-2]."""
    del air_temperature
    return parameters.initial_saturation * parameters.root_zone_capacity


def initial_deep_water(parameters: Parameters, air_temperature: Scalar) -> Scalar:
    """Compute the deep water that balances a typical inflow; spin-up replaces it by that of the site. [kg m-2]."""
    del air_temperature
    return parameters.lateral_inflow_fraction * TYPICAL_PRECIPITATION * parameters.deep_water_residence_time


class State(eqx.Module):
    """Land state carried from one step to the next."""

    soil_temperature_excess: Float[Array, "*batch layer"] = quantity(
        "K",
        "Temperature of the soil layers above 273.16 K, top down",
        alma="SoilTemp",
        standard_name="soil_temperature",
        initial=initial_temperature_excess,
    )
    soil_ice: Float[Array, "*batch layer"] = quantity(
        "kg m-2",
        "Ice in the soil layers, top down",
        standard_name="frozen_water_content_of_soil_layer",
        ice=1.0,
    )
    snow_water: Scalar = quantity(
        "kg m-2",
        "Snow water equivalent, with the liquid water",
        alma="SWE",
        standard_name="surface_snow_amount",
        water="store",
        ice=1.0,
        draw=(1e-12, 1000.0),
    )
    snow_liquid: Scalar = quantity(
        "kg m-2",
        "Liquid water in the snow, a part of its equivalent",
        standard_name="liquid_water_content_of_surface_snow",
        ice=-1.0,
    )
    root_zone_water: Scalar = quantity(
        "kg m-2",
        "Plant-available water in the root zone",
        alma="RootMoist",
        water="store",
        initial=initial_root_zone_water,
    )
    groundwater: Scalar = quantity("kg m-2", "Groundwater", water="store", draw=(0.0, 1000.0))
    deep_water: Scalar = quantity(
        "kg m-2",
        "Water from elsewhere within reach of deep roots",
        water="store",
        initial=initial_deep_water,
        draw=(0.0, 1000.0),
    )
    quickflow_water: Scalar = quantity("kg m-2", "Water on the quick way to the river", water="store")
    canopy_water: Scalar = quantity(
        "kg m-2", "Rain on the leaves", alma="CanopInt", standard_name="canopy_water_amount", water="store"
    )


class Forcing(eqx.Module):
    """Weather over one step. Radiation that the step does not use is None, or NaN where it uses either by site."""

    shortwave_down: Scalar = quantity("W m-2", "Incoming shortwave radiation")
    air_temperature: Scalar = quantity("K", "Air temperature")
    specific_humidity: Scalar = quantity("kg kg-1", "Specific humidity")
    air_pressure: Scalar = quantity("Pa", "Air pressure")
    wind_speed: Scalar = quantity("m s-1", "Wind speed")
    precipitation: Scalar = quantity(WATER_FLUX, "Precipitation as measured")
    longwave_down: Scalar | None = quantity("W m-2", "Incoming longwave radiation", default=None)
    net_radiation: Scalar | None = quantity("W m-2", "Net radiation as measured, positive downward", default=None)
    requested_evaporation: Scalar | None = quantity(
        "kg m-2 s-1",
        "Evaporation that a guiding model requests; None without one",
        default=None,
    )


class Fluxes(eqx.Module):
    """Fluxes of a step, as means over it; each positive in the sense of its name, H and LE upward."""

    latent_heat: Scalar = quantity(
        "W m-2",
        "Latent heat flux, at the heat of vaporization of the air temperature",
        alma="Qle",
        standard_name="surface_upward_latent_heat_flux",
        energy="sink",
    )
    sensible_heat: Scalar = quantity(
        "W m-2",
        "Sensible heat flux",
        alma="Qh",
        standard_name="surface_upward_sensible_heat_flux",
        energy="sink",
    )
    net_radiation: Scalar = quantity(
        "W m-2",
        "Net radiation, positive downward",
        alma="Rnet",
        standard_name="surface_net_downward_radiative_flux",
        energy="source",
    )
    ground_heat: Scalar = quantity(
        "W m-2",
        "Heat stored in soil, its ice included, and vegetation; positive downward",
        alma="Qg",
        standard_name="downward_heat_flux_at_ground_level_in_soil",
        energy="sink",
    )
    fusion_heat: Scalar = quantity(
        "W m-2",
        "Heat of fusion of snow that melts or sublimates, less what refreezes",
        alma="Qf",
        energy="sink",
    )
    evapotranspiration: Scalar = quantity(
        WATER_FLUX,
        "Evapotranspiration and sublimation",
        alma="Evap",
        standard_name="water_evapotranspiration_flux",
        water="sink",
    )
    root_evaporation: Scalar = quantity(WATER_FLUX, "Evaporation from the root zone")
    snow_sublimation: Scalar = quantity(
        WATER_FLUX,
        "Sublimation from snow",
        alma="SubSnow",
        standard_name="tendency_of_atmosphere_mass_content_of_water_vapor_due_to_sublimation_of_surface_snow_and_ice",
    )
    canopy_evaporation: Scalar = quantity(
        WATER_FLUX,
        "Evaporation of rain on the leaves",
        alma="ECanop",
        standard_name="water_evaporation_flux_from_canopy",
    )
    snow_melt: Scalar = quantity(WATER_FLUX, "Snow melt", alma="Qsm", standard_name="surface_snow_melt_flux")
    snow_refreezing: Scalar = quantity(
        WATER_FLUX,
        "Water that freezes in the snow",
        alma="Qfz",
        standard_name="surface_snow_and_ice_refreezing_flux",
    )
    rainfall: Scalar = quantity(
        WATER_FLUX, "Rain, corrected for undercatch", alma="Rainf", standard_name="rainfall_flux", water="source"
    )
    snowfall: Scalar = quantity(
        WATER_FLUX, "Snow, corrected for undercatch", alma="Snowf", standard_name="snowfall_flux", water="source"
    )
    external_supply: Scalar = quantity(WATER_FLUX, "Irrigation or deep water reaching the root zone", water="source")
    lateral_inflow: Scalar = quantity(WATER_FLUX, "Inflow to deep water from elsewhere", water="source")
    deep_water_release: Scalar = quantity(WATER_FLUX, "Deep water that reaches the root zone")
    drainage: Scalar = quantity(WATER_FLUX, "Overflow and leakage of the root zone")
    capillary_rise: Scalar = quantity(WATER_FLUX, "Groundwater that rises to the root zone")
    saturation_excess: Scalar = quantity(WATER_FLUX, "Water that falls on saturated ground")
    surface_runoff: Scalar = quantity(
        WATER_FLUX, "Outflow of the quick way to the river", alma="Qs", standard_name="surface_runoff_flux"
    )
    subsurface_runoff: Scalar = quantity(
        WATER_FLUX, "Outflow of groundwater and deep water", alma="Qsb", standard_name="subsurface_runoff_flux"
    )
    runoff: Scalar = quantity(WATER_FLUX, "Outflow to the river", standard_name="runoff_flux", water="sink")
    albedo: Scalar = quantity("1", "Albedo", alma="Albedo", standard_name="surface_albedo")
    aerodynamic_conductance: Scalar = quantity("m s-1", "Aerodynamic conductance of heat and vapor", alma="ACond")
    friction_velocity: Scalar = quantity("m s-1", "Friction velocity")
    surface_temperature: Scalar = quantity(
        "K",
        "Surface temperature at the end of the step",
        alma="AvgSurfT",
        standard_name="surface_temperature",
        cell_method="point",
    )
    energy_residual: Scalar = quantity("W m-2", "Energy the budget cannot account for")
    water_residual: Scalar = quantity(WATER_FLUX, "Water the budget cannot account for")


def initial_state(parameters: Parameters, air_temperature: Scalar | float = MELTING_POINT) -> State:
    """Make a state to spin up from, of the initial values that the state declares: no snow, no ice.

    Args:
        parameters: Of the site; only what the root zone holds, and how full it is, is used. [1]
        air_temperature: Mean air temperature. [K]
    """
    zero, air_temperature = jnp.zeros_like(parameters.root_zone_capacity), jnp.asarray(air_temperature)
    values = {}
    for name, declared in declared_quantities(State).items():
        shape = (*zero.shape, len(LAYER_THICKNESS)) if is_layered(name) else zero.shape
        value: Any = declared["initial"]
        value = value(parameters, air_temperature) if callable(value) else value
        values[name] = jnp.full(shape, value, zero.dtype)
    return State(**values)


def is_layered(name: str) -> bool:
    """Return whether the named part of the state has a value for each layer of the soil."""
    return "layer" in State.__annotations__[name].dim_str.split()


def fill_root_zone(parameters: Parameters, state: State) -> State:
    """Set the root-zone water to that of a record that no year of weather precedes."""
    water = initial_root_zone_water(parameters, jnp.zeros_like(parameters.root_zone_capacity))
    return eqx.tree_at(lambda s: s.root_zone_water, state, water)

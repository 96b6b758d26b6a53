"""State, forcing and fluxes of a land column: each quantity is declared once, with its part in the budgets."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bowen.land.parameters import Parameters
from bowen.land.quantities import Scalar, declared_quantities, quantity
from bowen.physics.constants import LAYER_THICKNESS, MELTING_POINT

WATER_FLUX = "kg m-2 s-1"
TYPICAL_PRECIPITATION = 2e-5  # kg m-2 s-1, 630 mm in a year: a round number for states before any weather

# Valid ranges. Satellites have seen land surfaces of -98 degC (Scambos et al. 2018, Geophys. Res. Lett. 45, 6124-6133)
# and 81 degC (Zhao et al. 2021, Bull. Am. Meteorol. Soc. 102, E1672-E1681); dry dark soil may reach 90 to 100 degC
# (Garratt 1992, J. Appl. Meteorol. 31, 1096-1105).
MIN_SURFACE_TEMPERATURE, MAX_SURFACE_TEMPERATURE = 170.0, 370.0  # K
MAX_SNOW = 1e4  # kg m-2; glaciers of the IFS have as much (ECMWF, IFS Documentation, part IV, snow)
MAX_ROOT_ZONE = 3000.0  # kg m-2; four times the largest capacity that can be learned
# Twice what the record rain of a year, 26,470 kg m-2 (Cherrapunji; WMO), fills with the longest residence time.
MAX_RESERVOIR = 3e5  # kg m-2
MAX_CANOPY_WATER = 10.0  # kg m-2; twice the largest capacity that can be learned
MAX_LAYER_ICE = 920.0  # kg m-2; a meter of pure ice
MAX_ROUNDING = 1e-3  # kg m-2 or K, by which a state may leave its range


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
        valid_range=(MIN_SURFACE_TEMPERATURE - MELTING_POINT, MAX_SURFACE_TEMPERATURE - MELTING_POINT),
    )
    soil_ice: Float[Array, "*batch layer"] = quantity(
        "kg m-2",
        "Ice in the soil layers, top down",
        standard_name="frozen_water_content_of_soil_layer",
        ice=1.0,
        valid_range=(0.0, MAX_LAYER_ICE),
    )
    snow_water: Scalar = quantity(
        "kg m-2",
        "Snow water equivalent, with the liquid water",
        alma="SWE",
        standard_name="surface_snow_amount",
        water="store",
        ice=1.0,
        draw=(1e-12, 1000.0),
        valid_range=(0.0, MAX_SNOW),
    )
    snow_liquid: Scalar = quantity(
        "kg m-2",
        "Liquid water in the snow, a part of its equivalent",
        standard_name="liquid_water_content_of_surface_snow",
        ice=-1.0,
        valid_range=(0.0, MAX_SNOW),
    )
    root_zone_water: Scalar = quantity(
        "kg m-2",
        "Plant-available water in the root zone",
        alma="RootMoist",
        water="store",
        initial=initial_root_zone_water,
        valid_range=(0.0, MAX_ROOT_ZONE),
    )
    groundwater: Scalar = quantity(
        "kg m-2", "Groundwater", water="store", draw=(0.0, 1000.0), valid_range=(0.0, MAX_RESERVOIR)
    )
    deep_water: Scalar = quantity(
        "kg m-2",
        "Water from elsewhere within reach of deep roots",
        water="store",
        initial=initial_deep_water,
        draw=(0.0, 1000.0),
        valid_range=(0.0, MAX_RESERVOIR),
    )
    quickflow_water: Scalar = quantity(
        "kg m-2", "Water on the quick way to the river", water="store", valid_range=(0.0, MAX_RESERVOIR)
    )
    canopy_water: Scalar = quantity(
        "kg m-2",
        "Rain on the leaves",
        alma="CanopInt",
        standard_name="canopy_water_amount",
        water="store",
        valid_range=(0.0, MAX_CANOPY_WATER),
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


class InvalidState(NamedTuple):
    """A value of a state outside its valid range."""

    name: str  # as in files: "soil_temperature" for that of the layers
    index: int  # along the leading axis of time or columns
    value: float  # in the unit
    valid_range: tuple[float, float]
    unit: str


def find_invalid_state(state: State) -> InvalidState | None:
    """Find the value outside its valid range that comes first along the leading axis; None if all are within.

    It is a check of results, outside compiled code; a value that is not finite is no concern of it.

    Args:
        state: States with a leading axis of time or columns.
    """
    first: InvalidState | None = None
    for name, declared in declared_quantities(State).items():
        values = np.asarray(getattr(state, name), float)
        values = values.reshape(len(values), -1)
        low, high = declared["valid_range"]
        outside = (values < low - MAX_ROUNDING) | (values > high + MAX_ROUNDING)
        index = int(np.argmax(outside.any(axis=1)))
        if outside.any() and (first is None or index < first.index):
            value = float(values[index, np.argmax(outside[index])])
            is_excess = name == "soil_temperature_excess"
            shift = MELTING_POINT if is_excess else 0.0
            name = "soil_temperature" if is_excess else name
            first = InvalidState(name, index, value + shift, (low + shift, high + shift), declared["unit"])
    return first


def fill_root_zone(parameters: Parameters, state: State) -> State:
    """Set the root-zone water to that of a record that no year of weather precedes."""
    water = initial_root_zone_water(parameters, jnp.zeros_like(parameters.root_zone_capacity))
    return eqx.tree_at(lambda s: s.root_zone_water, state, water)

"""What a land column remembers, is driven by and gives back: one declaration for each quantity."""

import equinox as eqx
from jaxtyping import Array, Float

from bowen.land.quantities import Scalar, quantity


class State(eqx.Module):
    """What the land remembers from one step to the next."""

    soil_temperature_excess: Float[Array, "*batch layer"] = quantity(
        "K", "Temperature of the soil layers above 273.16 K, top down"
    )
    soil_ice: Float[Array, "*batch layer"] = quantity("kg m-2", "Ice in the soil layers, top down")
    snow_water: Scalar = quantity("kg m-2", "Snow water equivalent, with the liquid water")
    snow_liquid: Scalar = quantity("kg m-2", "Liquid water in the snow, a part of its equivalent")
    root_zone_water: Scalar = quantity("kg m-2", "Plant-available water in the root zone")
    groundwater: Scalar = quantity("kg m-2", "Groundwater")
    quickflow_water: Scalar = quantity("kg m-2", "Water on the quick way to the river")
    canopy_water: Scalar = quantity("kg m-2", "Rain on the leaves")


class Forcing(eqx.Module):
    """The weather over one step. The radiation that the step does not use is None."""

    shortwave_down: Scalar = quantity("W m-2", "Incoming shortwave radiation")
    air_temperature: Scalar = quantity("K", "Air temperature")
    specific_humidity: Scalar = quantity("kg kg-1", "Specific humidity")
    air_pressure: Scalar = quantity("Pa", "Air pressure")
    wind_speed: Scalar = quantity("m s-1", "Wind speed")
    precipitation: Scalar = quantity("kg m-2 s-1", "Precipitation as measured")
    radiation: Scalar = quantity("W m-2", "Incoming longwave radiation, or net radiation where that is prescribed")


class Fluxes(eqx.Module):
    """What a step exchanges, as means over the step; each positive in the sense of its name, H and LE upward."""

    latent_heat: Scalar = quantity("W m-2", "Latent heat flux, at the heat of vaporization of the air temperature")
    sensible_heat: Scalar = quantity("W m-2", "Sensible heat flux")
    net_radiation: Scalar = quantity("W m-2", "Net radiation, positive downward")
    ground_heat: Scalar = quantity("W m-2", "Heat stored in soil, its ice included, and vegetation; positive downward")
    fusion_heat: Scalar = quantity("W m-2", "Heat of fusion of snow that melts or sublimates, less what refreezes")
    evapotranspiration: Scalar = quantity("kg m-2 s-1", "Evapotranspiration and sublimation")
    root_evaporation: Scalar = quantity("kg m-2 s-1", "Evaporation from the root zone")
    snow_sublimation: Scalar = quantity("kg m-2 s-1", "Sublimation from snow")
    canopy_evaporation: Scalar = quantity("kg m-2 s-1", "Evaporation of rain on the leaves")
    snow_melt: Scalar = quantity("kg m-2 s-1", "Snow melt")
    snow_refreezing: Scalar = quantity("kg m-2 s-1", "Water that freezes in the snow")
    rainfall: Scalar = quantity("kg m-2 s-1", "Rain, corrected for undercatch")
    snowfall: Scalar = quantity("kg m-2 s-1", "Snow, corrected for undercatch")
    external_supply: Scalar = quantity("kg m-2 s-1", "Irrigation or deep water reaching the root zone")
    drainage: Scalar = quantity("kg m-2 s-1", "Overflow and leakage of the root zone")
    capillary_rise: Scalar = quantity("kg m-2 s-1", "Groundwater that rises to the root zone")
    saturation_excess: Scalar = quantity("kg m-2 s-1", "Water that falls on saturated ground")
    surface_runoff: Scalar = quantity("kg m-2 s-1", "Outflow of the quick way to the river")
    subsurface_runoff: Scalar = quantity("kg m-2 s-1", "Outflow of groundwater")
    runoff: Scalar = quantity("kg m-2 s-1", "Outflow to the river")
    albedo: Scalar = quantity("1", "Albedo")
    aerodynamic_conductance: Scalar = quantity("m s-1", "Aerodynamic conductance of heat and vapor")
    surface_temperature: Scalar = quantity("K", "Surface temperature at the end of the step")
    energy_residual: Scalar = quantity("W m-2", "Energy the budget cannot account for")
    water_residual: Scalar = quantity("kg m-2 s-1", "Water the budget cannot account for")

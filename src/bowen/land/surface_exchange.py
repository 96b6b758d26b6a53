"""Exchange of the surface with the air at a given temperature: radiation, heat, and vapor."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp

from bowen.land.parameters import Parameters
from bowen.land.quantities import Scalar
from bowen.land.variables import Forcing, State
from bowen.physics import evaporation, hydrology, radiation, snow, thermodynamics, turbulence
from bowen.physics.canopy_resistance import parallel_with_ground, stomatal_resistance
from bowen.physics.constants import FUSION, MELTING_POINT
from bowen.physics.surface_balance import GroundHeatCoupling, SurfaceFluxes, available_energy

if TYPE_CHECKING:
    from bowen.land.step import ImplicitStep

MIN_GUIDED_STORAGE = 5.0  # kg m-2, above which prescribed evaporation is not limited by water; a round number
GAUGE_HEIGHT = 10.0  # m, of the wind that the catch of gauges depends on
ROOT_LAYER = 3  # whose temperature the roots respond to, 0.15 to 0.5 m deep


class SurfaceConditions(NamedTuple):
    """Conditions at the start of a sub-step on which the surface fluxes depend, in addition to the warming."""

    temperature: Scalar  # K, of the surface at the start
    potential_temperature: Scalar  # K, of the air
    humidity: Scalar  # kg kg-1, of the air
    air_pressure: Scalar  # Pa
    air_density: Scalar  # kg m-3
    vaporization_heat: Scalar  # J kg-1, at the air temperature
    conductance: Scalar  # m s-1, aerodynamic
    friction_velocity: Scalar  # m s-1
    control: Any  # of evaporation without snow, as its law gives it
    snow_resistance: Scalar  # s m-1
    melt_rate: Scalar  # kg m-2 s-1 K-1, of snow below a canopy; 0: the surface is the snow's
    bare_fraction: Scalar  # 1, share of ground without snow
    external_supply: Scalar  # kg m-2 s-1
    lateral_inflow: Scalar  # kg m-2 s-1
    deep_water_release: Scalar  # kg m-2 s-1
    leaf_water: Scalar  # kg m-2, on the leaves
    leaf_capacity: Scalar  # kg m-2; 1 where leaves hold none
    throughfall: Scalar  # kg m-2, rain that reaches the ground
    available_water: Scalar  # kg m-2, in the root zone
    critical_water: Scalar  # kg m-2
    snow_supply: Scalar  # kg m-2
    snow_cover_mass: Scalar  # kg m-2
    albedo: Scalar  # 1
    emissivity: Scalar  # 1
    shortwave_down: Scalar  # W m-2
    longwave_down: Scalar | None  # W m-2
    net_radiation: Scalar | None  # W m-2, as measured
    rainfall: Scalar  # kg m-2 s-1
    snowfall: Scalar  # kg m-2 s-1
    dt: Scalar  # s


def surface_conditions(
    step: "ImplicitStep", parameters: Parameters, state: State, forcing: Forcing, dt: Scalar
) -> SurfaceConditions:
    """Compute albedo, exchange with the air and supply of water from the state at the start of the step."""
    temperature = MELTING_POINT + state.soil_temperature_excess[..., 0]
    # keeps a learned roughness well below the height of measurement
    height = parameters.reference_height - parameters.displacement_height
    height = jnp.maximum(height, 2.5 * parameters.roughness_length)
    catch = snow.gauge_catch(
        forcing.wind_speed * turbulence.log_wind_ratio(GAUGE_HEIGHT, height, parameters.roughness_length),
        forcing.air_temperature,
    )
    precipitation = parameters.precipitation_factor * catch**-parameters.undercatch_exposure * forcing.precipitation
    snowfall = precipitation * snow.snowfall_share(forcing.air_temperature, parameters.snow_threshold)
    rainfall = precipitation - snowfall
    snow_supply = state.snow_water - state.snow_liquid + dt * snowfall
    potential_temperature = thermodynamics.potential_temperature(forcing.air_temperature, height)
    virtual = 1.0 + 0.608 * forcing.specific_humidity
    wind = jnp.sqrt(forcing.wind_speed**2 + parameters.gustiness**2)
    richardson = turbulence.bulk_richardson(temperature * virtual, potential_temperature * virtual, height, wind)
    heat_roughness = parameters.roughness_length * jnp.exp(-parameters.roughness_ratio_log)
    momentum, coefficient = step.stability(
        richardson, height, parameters.roughness_length, heat_roughness, parameters.critical_richardson
    )
    critical_water = parameters.critical_saturation * parameters.root_zone_capacity
    leaf_water = hydrology.interception(state.canopy_water, dt * rainfall, parameters.interception_capacity)
    throughfall = dt * rainfall - (leaf_water - state.canopy_water)
    external_supply = hydrology.external_supply(state.root_zone_water, critical_water, parameters.external_supply)
    deep_water_release = hydrology.capillary_rise(
        state.deep_water, state.root_zone_water, critical_water, parameters.deep_water_release_rate, dt
    )
    return SurfaceConditions(
        temperature=temperature,
        potential_temperature=potential_temperature,
        humidity=forcing.specific_humidity,
        air_pressure=forcing.air_pressure,
        air_density=thermodynamics.air_density(
            forcing.air_temperature, forcing.specific_humidity, forcing.air_pressure
        ),
        vaporization_heat=thermodynamics.vaporization_heat(forcing.air_temperature),
        conductance=coefficient * wind,
        friction_velocity=jnp.sqrt(momentum) * wind,
        control=step.evaporation.control(parameters, state, forcing),
        snow_resistance=parameters.snow_resistance,
        melt_rate=canopy_melt_rate(parameters.canopy_snow_resistance),
        bare_fraction=parameters.snow_cover_mass / (snow_supply + parameters.snow_cover_mass),
        external_supply=external_supply,
        lateral_inflow=parameters.lateral_inflow_fraction * precipitation,
        deep_water_release=deep_water_release,
        leaf_water=leaf_water,
        leaf_capacity=jnp.where(parameters.interception_capacity > 0.0, parameters.interception_capacity, 1.0),
        throughfall=throughfall,
        available_water=state.root_zone_water + throughfall + dt * (external_supply + deep_water_release),
        critical_water=critical_water,
        snow_supply=snow_supply,
        snow_cover_mass=parameters.snow_cover_mass,
        albedo=radiation.albedo(
            parameters.ground_albedo,
            parameters.ground_albedo_cold_increase,
            parameters.snow_albedo,
            parameters.snow_albedo_cold_increase,
            radiation.cold_fraction(temperature),
            radiation.snow_masking(state.snow_water, parameters.snow_masking_mass),
        ),
        emissivity=parameters.emissivity,
        shortwave_down=forcing.shortwave_down,
        longwave_down=forcing.longwave_down,
        net_radiation=forcing.net_radiation,
        rainfall=rainfall,
        snowfall=snowfall,
        dt=dt,
    )


def canopy_melt_rate(resistance: Scalar) -> Scalar:
    """Compute the melt per kelvin below a canopy of a resistance [m2 K W-1]; 0 without one. [kg m-2 s-1 K-1]."""
    is_sheltered = resistance > 0.0
    return jnp.where(is_sheltered, 1.0 / (FUSION * jnp.where(is_sheltered, resistance, 1.0)), 0.0)


def ground_insulation(parameters: Parameters, state: State) -> Scalar:
    """Compute the resistance between the surface and the soil, from the snow at the start. [m2 K W-1]."""
    floor = parameters.ground_insulation + parameters.litter_cover * parameters.litter_insulation
    return floor + parameters.snow_insulation * state.snow_water


class Evaporation(NamedTuple):
    """Law of evaporation from ground without snow."""

    control: Callable[[Parameters, State, Forcing], Any]  # from the start of the step
    potential: Callable[
        [SurfaceConditions, Scalar, Scalar], Scalar
    ]  # without stress, at a temperature [K], by energy [W m-2]
    limit: Callable[[SurfaceConditions, Scalar], Scalar]  # by the root zone; both in kg m-2 s-1


def limit_by_root_zone(surface: SurfaceConditions, potential: Scalar) -> Scalar:
    """Limit evaporation by the root-zone water, below its critical store. [kg m-2 s-1]."""
    return evaporation.root_evaporation(potential, surface.available_water, surface.critical_water, surface.dt)


def canopy_resistance(minimum_resistance: Scalar, parameters: Parameters, state: State, forcing: Forcing) -> Scalar:
    """Compute the resistance of stomata from that in full light and moist, warm air. [as the minimum]."""
    saturated = thermodynamics.saturation_vapor_pressure(forcing.air_temperature)
    return stomatal_resistance(
        minimum_resistance,
        forcing.shortwave_down,
        thermodynamics.specific_humidity(saturated, forcing.air_pressure) - forcing.specific_humidity,
        forcing.air_temperature,
        state.soil_temperature_excess[..., ROOT_LAYER],
        parameters.light_half_saturation,
        parameters.vpd_sensitivity,
        parameters.cold_sensitivity,
        parameters.root_temperature_half_saturation,
    )


def surface_vapor_resistance(parameters: Parameters, state: State, forcing: Forcing) -> Scalar:
    """Compute the resistance of plants in parallel with the ground. [s m-1]."""
    stomatal = canopy_resistance(parameters.minimum_stomatal_resistance, parameters, state, forcing)
    return parallel_with_ground(stomatal, parameters.ground_conductance)


def resistance_evaporation(surface: SurfaceConditions, temperature: Scalar, energy: Scalar) -> Scalar:
    """Compute evaporation through the resistances of stomata and air. [kg m-2 s-1]."""
    del energy
    wet = thermodynamics.specific_humidity(thermodynamics.saturation_vapor_pressure(temperature), surface.air_pressure)
    return evaporation.potential_evaporation(
        wet, surface.humidity, surface.conductance, surface.control, surface.air_density
    )


def priestley_taylor_control(parameters: Parameters, state: State, forcing: Forcing) -> tuple[Scalar, Scalar]:
    """Compute the share of available energy that evaporates [1], and the conductance of the ground [m s-1]."""
    relative = canopy_resistance(jnp.ones_like(parameters.priestley_taylor_coefficient), parameters, state, forcing)
    equilibrium = evaporation.equilibrium_share(
        forcing.air_temperature, forcing.air_pressure, thermodynamics.vaporization_heat(forcing.air_temperature)
    )
    return jnp.minimum(
        parameters.priestley_taylor_coefficient * equilibrium / relative, 1.0
    ), parameters.ground_conductance


def priestley_taylor_evaporation(surface: SurfaceConditions, temperature: Scalar, energy: Scalar) -> Scalar:
    """Compute evaporation of plants by Priestley and Taylor, and of the ground by its conductance. [kg m-2 s-1]."""
    share, ground = surface.control
    wet = thermodynamics.specific_humidity(thermodynamics.saturation_vapor_pressure(temperature), surface.air_pressure)
    through = surface.conductance * ground / (surface.conductance + ground)
    by_energy = evaporation.energy_evaporation(energy, share, surface.vaporization_heat)
    return by_energy + surface.air_density * through * (wet - surface.humidity)


RESISTANCE = Evaporation(
    surface_vapor_resistance, resistance_evaporation, limit_by_root_zone
)  # of the Land Dynamics model
PRIESTLEY_TAYLOR = Evaporation(priestley_taylor_control, priestley_taylor_evaporation, limit_by_root_zone)


@functools.cache
def guided_evaporation(law: Evaporation) -> Evaporation:
    """Return a law of which half is the given law, half the evaporation that `Forcing` requests.

    The requested half is limited only by a nearly empty root zone.
    """

    def potential(surface: SurfaceConditions, temperature: Scalar, energy: Scalar) -> Scalar:
        own, demand = surface.control
        return jnp.stack([0.5 * law.potential(surface._replace(control=own), temperature, energy), 0.5 * demand])

    def limit(surface: SurfaceConditions, potential: Scalar) -> Scalar:
        stores = jnp.stack([surface.critical_water, jnp.full_like(surface.critical_water, MIN_GUIDED_STORAGE)])
        return evaporation.shared_evaporation(potential, surface.available_water, stores, surface.dt)

    def control(parameters: Parameters, state: State, forcing: Forcing) -> Any:
        return law.control(parameters, state, forcing), forcing.requested_evaporation

    return Evaporation(control, potential, limit)


def potential_sublimation(surface: SurfaceConditions, temperature: Scalar) -> Scalar:
    """Compute the sublimation of unlimited snow at a surface temperature. [kg m-2 s-1]."""
    pack_temperature = jnp.where(surface.melt_rate > 0.0, jnp.minimum(temperature, MELTING_POINT), temperature)
    icy = thermodynamics.specific_humidity(
        thermodynamics.saturation_vapor_pressure_ice(pack_temperature), surface.air_pressure
    )
    return evaporation.potential_evaporation(
        icy, surface.humidity, surface.conductance, surface.snow_resistance, surface.air_density
    )


def interception_evaporation(surface: SurfaceConditions, energy: Scalar) -> Scalar:
    """Compute the evaporation of rain on leaves by the energy at the start of the step. [kg m-2 s-1]."""
    open_water = evaporation.penman_evaporation(
        energy,
        surface.potential_temperature,
        surface.humidity,
        surface.air_pressure,
        surface.conductance,
        surface.air_density,
        surface.vaporization_heat,
    )
    return evaporation.root_evaporation(open_water, surface.leaf_water, surface.leaf_capacity, surface.dt)


def surface_fluxes(
    step: "ImplicitStep", surface: SurfaceConditions, ground: GroundHeatCoupling, warming: Scalar
) -> SurfaceFluxes:
    """Compute the fluxes of a surface that has warmed by `warming` [K] since the start of the step."""
    temperature = surface.temperature + warming
    net_radiation = step.net_radiation(surface, temperature)
    potential = step.evaporation.potential(surface, temperature, available_energy(net_radiation, warming, ground))
    sublimation = evaporation.snow_evaporation(
        potential_sublimation(surface, temperature), surface.snow_supply, surface.snow_cover_mass, surface.dt
    )
    dry = surface.bare_fraction * (1.0 - surface.leaf_water / surface.leaf_capacity)
    remaining = surface.snow_supply - surface.dt * sublimation
    return SurfaceFluxes(
        net_radiation=net_radiation,
        sensible_heat=evaporation.sensible_heat(
            temperature, surface.potential_temperature, surface.conductance, surface.air_density
        ),
        root_evaporation=dry * step.evaporation.limit(surface, potential),
        snow_evaporation=sublimation,
        canopy_evaporation=interception_evaporation(
            surface, step.net_radiation(surface, surface.temperature) - ground.flux
        ),
        sheltered_melt=snow.sheltered_melt(
            temperature, remaining, surface.snow_cover_mass, surface.melt_rate, surface.dt
        ),
    )


def computed_net_radiation(surface: SurfaceConditions, temperature: Scalar) -> Scalar:
    """Compute net radiation from the incoming shortwave and longwave. [W m-2]."""
    if surface.longwave_down is None:
        raise TypeError("net radiation is computed from `Forcing.longwave_down`, which is None")
    return radiation.net_radiation(
        temperature, surface.albedo, surface.emissivity, surface.shortwave_down, surface.longwave_down
    )


def measured_net_radiation(surface: SurfaceConditions, temperature: Scalar) -> Scalar:
    """Return net radiation as measured, with which the surface cannot cool by radiating more. [W m-2]."""
    if surface.net_radiation is None:
        raise TypeError("net radiation is measured, but `Forcing.net_radiation` is None")
    return surface.net_radiation + jnp.zeros_like(temperature)


def net_radiation_measured_if_available(surface: SurfaceConditions, temperature: Scalar) -> Scalar:
    """Return net radiation as measured, or compute it where the measured one is NaN: for many sites. [W m-2]."""
    if surface.net_radiation is None or surface.longwave_down is None:
        raise TypeError("net radiation is measured or computed, but the forcing has only one of both: fill it with NaN")
    is_measured = ~jnp.isnan(surface.net_radiation)
    longwave_down = jnp.where(is_measured, 0.0, surface.longwave_down)  # NaN would spread through the gradient
    computed = computed_net_radiation(surface._replace(longwave_down=longwave_down), temperature)
    return jnp.where(is_measured, surface.net_radiation, computed)

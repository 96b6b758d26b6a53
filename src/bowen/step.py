"""The step of a land column: the fluxes of its surface, the implicit solution, and its budgets."""

import abc
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from bowen.again import FOUND, again
from bowen.budgets import booked
from bowen.constants import FUSION, LAYER_THICKNESS, MELTING_POINT, VAPORIZATION
from bowen.physics import evaporation, radiation, snow, soil, stomata, thermo, turbulence, water
from bowen.physics.surface import SurfaceFluxes, balance_surface
from bowen.quantities import Scalar
from bowen.variables import Fluxes, Forcing, Parameters, State

ROOTS = 3  # layer whose warmth the roots feel, 0.15 to 0.5 m deep


class Exposure(NamedTuple):
    """All that the surface fluxes depend on besides the warming of the surface; fixed during a sub-step."""

    temperature: Scalar  # K, of the surface at the start
    potential_temperature: Scalar  # K, of the air
    humidity: Scalar  # kg kg-1, of the air
    air_pressure: Scalar  # Pa
    air_density: Scalar  # kg m-3
    conductance: Scalar  # m s-1, aerodynamic
    resistance: Scalar  # s m-1, of the surface
    snow_resistance: Scalar  # s m-1
    melt_rate: Scalar  # kg m-2 s-1 K-1, of snow that the surface shelters; 0: it is the snow's
    bare: Scalar  # 1, share of ground without snow
    external_supply: Scalar  # kg m-2 s-1
    available_water: Scalar  # kg m-2, in the root zone
    critical_water: Scalar  # kg m-2
    snow_supply: Scalar  # kg m-2
    snow_cover_mass: Scalar  # kg m-2
    albedo: Scalar  # 1
    emissivity: Scalar  # 1
    shortwave_down: Scalar  # W m-2
    radiation: Scalar  # W m-2, longwave down or net
    prescribed: Scalar  # 1, whether net
    rainfall: Scalar  # kg m-2 s-1
    snowfall: Scalar  # kg m-2 s-1
    dt: Scalar  # s


class Released(NamedTuple):
    """What the land lets go of its water."""

    drainage: Scalar  # kg m-2 s-1
    saturation_excess: Scalar  # kg m-2 s-1
    surface_runoff: Scalar  # kg m-2 s-1
    subsurface_runoff: Scalar  # kg m-2 s-1


def exposure(step: "ImplicitStep", parameters: Parameters, state: State, forcing: Forcing, dt: Scalar) -> Exposure:
    """Albedo, exchange with the air and supply of water, from the state at the start of the step."""
    temperature = MELTING_POINT + state.soil_warmth[..., 0]
    precipitation = parameters.precipitation_factor * forcing.precipitation
    snowfall = precipitation * snow.snowfall_share(forcing.air_temperature, parameters.snow_threshold)
    rainfall = precipitation - snowfall
    snow_supply = state.snow_water + dt * snowfall
    # a learned roughness must stay well below the height of measurement
    height = parameters.reference_height - parameters.displacement_height
    height = jnp.maximum(height, 2.5 * parameters.roughness_length)
    potential_temperature = thermo.potential_temperature(forcing.air_temperature, height)
    virtual = 1.0 + 0.608 * forcing.specific_humidity
    wind = jnp.sqrt(forcing.wind_speed**2 + parameters.least_wind**2)
    richardson = turbulence.bulk_richardson(temperature * virtual, potential_temperature * virtual, height, wind)
    heat_roughness = parameters.roughness_length * jnp.exp(-parameters.roughness_ratio_log)
    _, coefficient = step.stability(
        richardson, height, parameters.roughness_length, heat_roughness, parameters.critical_richardson
    )
    critical_water = parameters.critical_saturation * parameters.root_capacity
    external_supply = water.supply(state.root_water, critical_water, parameters.external_supply)
    saturated = thermo.saturation_vapor_pressure(forcing.air_temperature)
    deficit = thermo.specific_humidity(saturated, forcing.air_pressure) - forcing.specific_humidity
    return Exposure(
        temperature=temperature,
        potential_temperature=potential_temperature,
        humidity=forcing.specific_humidity,
        air_pressure=forcing.air_pressure,
        air_density=thermo.air_density(forcing.air_temperature, forcing.specific_humidity, forcing.air_pressure),
        conductance=coefficient * wind,
        resistance=stomata.beside_ground(
            stomata.stomatal_resistance(
                parameters.surface_resistance,
                forcing.shortwave_down,
                deficit,
                forcing.air_temperature,
                state.soil_warmth[..., ROOTS],
                parameters.half_light,
                parameters.dryness_response,
                parameters.cold_response,
                parameters.root_half_warmth,
            ),
            parameters.ground_conductance,
        ),
        snow_resistance=parameters.snow_resistance,
        melt_rate=sheltered_rate(parameters.melt_resistance),
        bare=parameters.snow_cover_mass / (snow_supply + parameters.snow_cover_mass),
        external_supply=external_supply,
        available_water=state.root_water + dt * (rainfall + external_supply),
        critical_water=critical_water,
        snow_supply=snow_supply,
        snow_cover_mass=parameters.snow_cover_mass,
        albedo=radiation.albedo(
            parameters.ground_albedo,
            parameters.ground_albedo_rise,
            parameters.snow_albedo,
            parameters.snow_albedo_rise,
            radiation.coldness(temperature),
            radiation.snow_masking(state.snow_water, parameters.snow_masking_mass),
        ),
        emissivity=parameters.emissivity,
        shortwave_down=forcing.shortwave_down,
        radiation=forcing.radiation,
        prescribed=parameters.prescribed_radiation,
        rainfall=rainfall,
        snowfall=snowfall,
        dt=dt,
    )


def sheltered_rate(resistance: Scalar) -> Scalar:
    """Melt per kelvin of a canopy over a resistance [m2 K W-1], 0 where there is none. [kg m-2 s-1 K-1]."""
    there = resistance > 0.0
    return jnp.where(there, 1.0 / (FUSION * jnp.where(there, resistance, 1.0)), 0.0)


def insulation(parameters: Parameters, state: State) -> Scalar:
    """Resistance between the surface and the soil, from the snow at the start of the step. [m2 K W-1]."""
    return parameters.ground_insulation + parameters.snow_insulation * state.snow_water


def vapor_fluxes(at: Exposure, temperature: Scalar) -> tuple[Scalar, Scalar]:
    """Vapor that the unlimited root zone and snow would lose at a surface temperature. [kg m-2 s-1]."""
    wet = thermo.specific_humidity(thermo.saturation_vapor_pressure(temperature), at.air_pressure)
    pack_temperature = jnp.where(at.melt_rate > 0.0, jnp.minimum(temperature, MELTING_POINT), temperature)
    icy = thermo.specific_humidity(thermo.saturation_vapor_pressure_ice(pack_temperature), at.air_pressure)
    ground = evaporation.potential_evaporation(wet, at.humidity, at.conductance, at.resistance, at.air_density)
    pack = evaporation.potential_evaporation(icy, at.humidity, at.conductance, at.snow_resistance, at.air_density)
    return ground, pack


def surface_fluxes(at: Exposure, net_radiation: Callable[[Exposure, Scalar], Scalar], warming: Scalar) -> SurfaceFluxes:
    """Fluxes of the surface warmed by `warming` [K] since the start of the step."""
    temperature = at.temperature + warming
    ground, pack = vapor_fluxes(at, temperature)
    sublimation = evaporation.snow_evaporation(pack, at.snow_supply, at.snow_cover_mass, at.dt)
    left = at.snow_supply - at.dt * sublimation
    return SurfaceFluxes(
        net_radiation=net_radiation(at, temperature),
        sensible_heat=evaporation.sensible_heat(temperature, at.potential_temperature, at.conductance, at.air_density),
        root_evaporation=at.bare * evaporation.root_evaporation(ground, at.available_water, at.critical_water, at.dt),
        snow_evaporation=sublimation,
        sheltered_melt=snow.sheltered_melt(temperature, left, at.snow_cover_mass, at.melt_rate, at.dt),
    )


def balanced_radiation(at: Exposure, temperature: Scalar) -> Scalar:
    """Net radiation from the incoming shortwave and longwave. [W m-2]."""
    return radiation.net_radiation(temperature, at.albedo, at.emissivity, at.shortwave_down, at.radiation)


def prescribed_radiation(at: Exposure, temperature: Scalar) -> Scalar:
    """Net radiation as measured: for towers without longwave; the surface cannot cool by radiating more. [W m-2]."""
    return at.radiation + jnp.zeros_like(temperature)


def given_radiation(at: Exposure, temperature: Scalar) -> Scalar:
    """Net radiation as measured where the site is driven by it, by the balance elsewhere: for many sites. [W m-2]."""
    return jnp.where(at.prescribed > 0.0, at.radiation, balanced_radiation(at, temperature))


class AbstractStep(eqx.Module):
    """Advances the state over one forcing interval: `step(parameters, state, forcing, dt) -> state, fluxes`."""

    @abc.abstractmethod
    def __call__(self, parameters: Parameters, state: State, forcing: Forcing, dt: Scalar) -> tuple[State, Fluxes]:
        """Advance by `dt` [s]; the fluxes are means over the interval."""


class ImplicitStep(AbstractStep):
    """Backward Euler in flux form: budgets close to round-off, whatever the step and the number of iterations."""

    substeps: int = eqx.field(static=True, default=2)
    iterations: int = eqx.field(static=True, default=5)
    stability: Callable = eqx.field(static=True, default=turbulence.monin_obukhov)
    net_radiation: Callable = eqx.field(static=True, default=balanced_radiation)

    def __call__(self, parameters, state, forcing, dt):
        def forward(parameters, state, forcing, part):
            def advance(now, _):
                return substep(self, parameters, now, forcing, part)

            return jax.lax.scan(again(advance, FOUND), state, None, length=self.substeps)

        def hold(parameters, state, forcing, part):
            _, series = jax.eval_shape(forward, parameters, state, forcing, part)
            return state, jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), series)

        # A branch is a program of its own to XLA, compiled to the same bits whoever sets the parameters.
        after, series = jax.lax.cond(dt > 0.0, forward, hold, parameters, state, forcing, dt / self.substeps)
        fluxes = jax.tree.map(lambda flux: flux.mean(axis=0), series)
        fluxes = eqx.tree_at(lambda f: f.surface_temperature, fluxes, MELTING_POINT + after.soil_warmth[..., 0])
        return after, booked(parameters, state, after, fluxes, dt)


def substep(
    step: ImplicitStep, parameters: Parameters, state: State, forcing: Forcing, dt: Scalar
) -> tuple[State, Fluxes]:
    """One backward-Euler step: surface balance, soil heat, snow, root zone, groundwater; nothing is clipped."""
    # A barrier, so that what is compiled behind it is the same to the bit whether parameters are constant or not.
    at = jax.lax.optimization_barrier(exposure(step, parameters, state, forcing, dt))
    conductances = soil.layer_conductances(parameters.thermal_conductivity, insulation(parameters, state))
    offsets, slopes = soil.eliminate(state.soil_warmth, parameters.heat_capacity, conductances, dt)
    upper = conductances[0]
    storage = (parameters.heat_capacity * LAYER_THICKNESS[0] + parameters.vegetation_heat_capacity) / dt
    conducted = upper * (state.soil_warmth[..., 0] - state.soil_warmth[..., 1] - offsets[0])
    balance = balance_surface(
        jax.tree_util.Partial(lambda at, warming: surface_fluxes(at, step.net_radiation, warming), at),
        (storage, conducted, upper * (1.0 - slopes[0])),
        -state.soil_warmth[..., 0],
        at.snow_supply,
        at.melt_rate > 0.0,
        dt,
        step.iterations,
    )
    flux = balance.fluxes
    melt = balance.snow_loss - flux.snow_evaporation
    filled = at.available_water + dt * (melt - flux.root_evaporation)
    stores, released = release(parameters, state, filled, dt)
    after = State(
        soil_warmth=state.soil_warmth + soil.substitute(balance.warming, offsets, slopes),
        snow_water=jnp.where(balance.melted_out, 0.0, at.snow_supply - dt * balance.snow_loss),
        **stores,
    )
    return after, told(forcing, at, flux, melt, released)


def release(parameters: Parameters, state: State, filled: Scalar, dt: Scalar) -> tuple[dict[str, Scalar], Released]:
    """What a root zone that would hold `filled` [kg m-2] lets go, the ways it takes, and what is in the stores then."""
    capacity = parameters.root_capacity
    excess = water.saturation_excess(state.root_water, filled - state.root_water, capacity, parameters.capacity_spread)
    overflow = water.overflow(filled - capacity, parameters.overflow_width)
    held = filled - overflow - excess
    leaked = dt * water.leakage(held, capacity, parameters.leakage, parameters.leakage_exponent, dt)
    quick, slow = parameters.quick_share * overflow, (1.0 - parameters.quick_share) * overflow
    groundwater, subsurface = water.reservoir(
        state.groundwater, (slow + leaked) / dt, parameters.groundwater_residence_time, dt
    )
    quick_water, surface = water.reservoir(
        state.quick_water, (quick + excess) / dt, parameters.quick_residence_time, dt
    )
    stores = {"root_water": held - leaked, "groundwater": groundwater, "quick_water": quick_water}
    return stores, Released((overflow + leaked) / dt, excess / dt, surface, subsurface)


def told(forcing: Forcing, at: Exposure, flux: SurfaceFluxes, melt: Scalar, released: Released) -> Fluxes:
    """All that is told of a step or an instant, the residuals excepted; water in kg m-2 s-1."""
    vapor = flux.root_evaporation + flux.snow_evaporation
    fusion = FUSION * (flux.snow_evaporation + melt)
    nothing = jnp.zeros_like(vapor)
    return Fluxes(
        latent_heat=thermo.vaporization_heat(forcing.air_temperature) * vapor,
        sensible_heat=flux.sensible_heat,
        net_radiation=flux.net_radiation,
        ground_heat=flux.net_radiation - flux.sensible_heat - VAPORIZATION * vapor - fusion,
        vaporization_heat=VAPORIZATION * vapor,
        evapotranspiration=vapor,
        root_evaporation=flux.root_evaporation,
        snow_sublimation=flux.snow_evaporation,
        snow_melt=melt,
        rainfall=at.rainfall,
        snowfall=at.snowfall,
        external_supply=at.external_supply,
        **released._asdict(),
        runoff=released.surface_runoff + released.subsurface_runoff,
        albedo=at.albedo,
        aerodynamic_conductance=at.conductance,
        surface_temperature=at.temperature,
        energy_residual=nothing,
        water_residual=nothing,
    )

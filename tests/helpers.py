"""What several tests build: weather, real towers, random extremes, and runs of a model."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from bowen.land.land_classes import parameters_for
from bowen.land.parameters import Parameters
from bowen.land.quantities import declared_quantities
from bowen.land.variables import Forcing, State, initial_state
from bowen.models.base import AbstractLandModel, SiteParameters, with_offsets
from bowen.models.hybrid import NUM_STATE_FEATURES, FluxNetwork, FluxScale, Hybrid, feed_back
from bowen.models.lstm import LSTM
from bowen.models.rollout import Inputs, unroll
from bowen.physics import soil, thermodynamics
from bowen.physics.constants import LAYER_THICKNESS, MELTING_POINT

ALMA = dict(
    shortwave_down="SWdown",
    air_temperature="Tair",
    specific_humidity="Qair",
    air_pressure="Psurf",
    wind_speed="Wind",
    precipitation="Precip",
    longwave_down="LWdown",
)
LEARNABLE = tuple(name for name, meta in declared_quantities(Parameters).items() if meta["role"] != "fixed")
PHYSICAL = tuple(
    name
    for name in LEARNABLE
    if name not in ("closure_fraction", "closure_partitioning", "latent_heat_noise_scale", "initial_saturation")
)  # of the step
INSULATING = (
    "ground_insulation",
    "snow_insulation",
    "root_temperature_half_saturation",
    "canopy_snow_resistance",
    "ground_conductance",
    "litter_insulation",
)
RELEASING = (
    "quickflow_fraction",
    "quickflow_residence_time",
    "infiltration_shape",
    "max_drainage",
    "priestley_taylor_coefficient",
    "interception_capacity",
    "freezable_water",
    "capillary_rise_rate",
    "undercatch_exposure",
    "lateral_inflow_fraction",
    "deep_water_release_rate",
    "deep_water_residence_time",
    "snow_water_holding_fraction",
)
DYNAMIC = tuple(name for name, meta in declared_quantities(Parameters).items() if meta["role"] == "dynamic")
# Deserts, ice and lakes have values below those that can be learned.
LOWEST_OF_CLASSES = dict(minimum_stomatal_resistance=0.01, roughness_length=1.4e-4, root_zone_capacity=0.63)
DAY = 48  # steps of half an hour


def features_of(forcing: Forcing) -> jax.Array:
    """Inputs of a network of order one, without fitting anything."""
    radiation = "net_radiation" if forcing.longwave_down is None else "longwave_down"
    center = {"shortwave_down": 200.0, "air_temperature": 283.0, "specific_humidity": 0.006, radiation: 300.0}
    center["wind_speed"] = 3.0
    return jnp.stack([getattr(forcing, name) / middle - 1.0 for name, middle in center.items()], axis=-1)


def inputs_of(forcing: Forcing, dt: float = 1800.0) -> Inputs:
    return Inputs(forcing, features_of(forcing), jnp.asarray(dt))


def tower(folder: Path, site: str, *, net: bool = False) -> tuple[Parameters, Inputs]:
    """Parameters by class and the whole days of the record of a tower; `net`: driven by its net radiation."""
    with xr.open_dataset(max(folder.glob(f"towers/{site}_*_Met.nc"))) as met:
        data = {name: met[variable].values.ravel() for name, variable in ALMA.items()}
        igbp = met["IGBP_veg_short"].item()
        heights = {name: met[name].item() for name in ("reference_height", "canopy_height")}
    if net:
        with xr.open_dataset(max(folder.glob(f"towers/{site}_*_Flux.nc"))) as flux:
            data["net_radiation"] = flux["Rnet"].values.ravel()
        del data["longwave_down"]
    whole = len(data["air_temperature"]) // DAY * DAY
    forcing = Forcing(**{name: jnp.asarray(values[:whole], float) for name, values in data.items()})
    return parameters_for(igbp, **heights), inputs_of(forcing)


def days(inputs: Inputs, first: int, count: int) -> Inputs:
    return inputs.window(first * DAY, count * DAY)


def weather(count: int = 5, *, mean: float = 288.0, storms: bool = True) -> Inputs:
    """Days of half-hours that look like weather: sun, warmth, a breeze, a storm every third evening."""
    hour = np.arange(count * DAY) / 2.0
    sun = np.maximum(0.0, np.sin(2 * np.pi * (hour - 6.0) / 24.0))
    warmth = mean + 6.0 * np.sin(2 * np.pi * (hour - 9.0) / 24.0) + 3.0 * np.sin(2 * np.pi * hour / 110.0)
    raining = storms & (hour % 72.0 > 66.0)
    pressure = np.full_like(hour, 9.6e4)
    humidity = 0.6 * thermodynamics.specific_humidity(
        thermodynamics.saturation_vapor_pressure(jnp.asarray(mean - 3.0)), jnp.asarray(9.6e4)
    )
    forcing = Forcing(
        shortwave_down=800.0 * sun * np.where(raining, 0.2, 1.0),
        air_temperature=warmth,
        specific_humidity=humidity * (1.0 + 0.1 * np.sin(hour / 7.0)),
        air_pressure=pressure,
        wind_speed=3.0 + 2.0 * np.sin(hour / 5.0),
        precipitation=np.where(raining, 4.0 / 3600.0, 0.0),
        longwave_down=0.8 * 5.67e-8 * warmth**4,
    )
    return inputs_of(jax.tree.map(lambda x: jnp.asarray(x, float), forcing))


def driven_by_net_radiation(inputs: Inputs) -> Inputs:
    """The same inputs with as much measured net radiation as there was longwave, which is NaN."""
    forcing = inputs.forcing
    missing = jnp.full_like(forcing.longwave_down, jnp.nan)
    forcing = dataclasses.replace(forcing, longwave_down=missing, net_radiation=forcing.longwave_down)
    return eqx.tree_at(lambda i: i.forcing, inputs, forcing)


def extremes(key: Any, count: int, *, insulated: bool = False) -> tuple[Parameters, State, Forcing]:
    """Random draws from the whole of what a user can feed: any parameters, the worst weather, and its aftermath.

    What came later, as what insulates soil and snow, is drawn only if asked for, how water is let go last. A state that
    is named nowhere here is drawn from the range that its declaration gives.
    """
    draws = itertools.chain(jax.random.split(key, 64), jax.random.split(jax.random.fold_in(key, 1), 16))

    def uniform(low: Any, high: Any, *shape: int) -> jax.Array:
        return jax.random.uniform(next(draws), (count, *shape), minval=low, maxval=high)

    def often(edge: float, values: jax.Array) -> jax.Array:
        """Sit exactly on the edge every fourth time."""
        return jnp.where(jax.random.bernoulli(next(draws), 0.25, (count,)), edge, values)

    def within(name: str) -> jax.Array:
        low, high = table[name]["bounds"]
        low = LOWEST_OF_CLASSES.get(name, low)
        values = jnp.exp(uniform(np.log(low), np.log(high))) if table[name]["log"] else uniform(low, high)
        return often(table[name]["default"], values)

    table = declared_quantities(Parameters)
    drawn = [name for name in PHYSICAL if name not in (*INSULATING, *RELEASING)]
    fixed = {name: jnp.full(count, meta["default"]) for name, meta in table.items() if name not in drawn}
    parameters = Parameters(**fixed | {name: within(name) for name in drawn})
    air, pressure = MELTING_POINT + uniform(-60.0, 60.0), uniform(5.5e4, 1.05e5)
    saturated = thermodynamics.specific_humidity(thermodynamics.saturation_vapor_pressure(air), pressure)
    forcing = Forcing(
        shortwave_down=often(0.0, uniform(0.0, 1300.0)),
        air_temperature=air,
        specific_humidity=saturated * often(1.0, uniform(1e-3, 1.0)),
        air_pressure=pressure,
        wind_speed=often(0.0, uniform(0.0, 40.0)),
        precipitation=often(0.0, uniform(0.0, 200.0)) / 3600.0,
        longwave_down=uniform(80.0, 500.0),
    )
    surface = (air - MELTING_POINT)[:, None] + uniform(-25.0, 25.0, 1)
    states = declared_quantities(State)
    special = dict(
        soil_temperature_excess=often(0.0, jnp.ones(count))[:, None]
        * (surface + uniform(-8.0, 8.0, len(LAYER_THICKNESS))),
        snow_water=often(0.0, jnp.exp(uniform(*np.log(states["snow_water"]["draw"])))),
        root_zone_water=often(0.0, uniform(0.0, 1.0)) * parameters.root_zone_capacity,
        groundwater=often(0.0, uniform(*states["groundwater"]["draw"])),
    )
    state = dataclasses.replace(jax.vmap(initial_state)(parameters, air), **special)
    if insulated:
        drawn = {name: within(name) for name in INSULATING}
        parameters = dataclasses.replace(parameters, litter_cover=jnp.ones(count), **drawn)
    draws = iter(jax.random.split(jax.random.fold_in(key, 2), 32))
    parameters = dataclasses.replace(parameters, **{name: within(name) for name in RELEASING})
    quick = often(0.0, uniform(*states["quickflow_water"]["draw"]))
    leaves = uniform(0.0, 1.0) * parameters.interception_capacity
    ice = often(0.0, uniform(0.0, 1.0))[:, None] * soil.freezable_liquid(state.soil_ice, parameters.freezable_water)
    liquid = uniform(0.0, 1.0) * parameters.snow_water_holding_fraction * state.snow_water
    stores = dict(quickflow_water=quick, canopy_water=leaves, soil_ice=ice, snow_liquid=liquid)
    stores["snow_water"] = state.snow_water + liquid
    others = [name for name in states if name not in (*special, *stores)]
    draws = iter(jax.random.split(jax.random.fold_in(key, 3), 2 * len(others) + 1))
    stores |= {name: often(0.0, uniform(*states[name]["draw"])) for name in others}
    return parameters, dataclasses.replace(state, **stores), forcing


def beginning(parameters: Parameters, inputs: Inputs) -> State:
    return initial_state(parameters, inputs.forcing.air_temperature.mean())


@eqx.filter_jit
def run(model: AbstractLandModel, state: State, inputs: Inputs, select: Any = lambda record: record.fluxes) -> Any:
    """What a model tells of a series it begins in `state`; by default its fluxes."""
    return unroll(model, model.init(state), inputs, select)[1]


def restless(model: Hybrid, key: Any, spread: float = 3.0) -> Hybrid:
    """A hybrid whose random head makes its parameters swing widely."""
    weight, bias = model.head.weight, model.head.bias
    drawn = spread * jax.random.normal(key, (weight.size + bias.size,), weight.dtype)
    new = drawn[: weight.size].reshape(weight.shape), drawn[weight.size :]
    return eqx.tree_at(lambda m: (m.head.weight, m.head.bias), model, new)


def in_single_precision(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), tree)


def lstm_hybrid(
    parameters: Any,
    dynamic: tuple[str, ...],
    *,
    features: int,
    hidden_size: int,
    key: Any,
    state_feedback: Any = feed_back,
    **options: Any,
) -> Hybrid:
    """A hybrid whose network is an LSTM, with so many features of the weather."""
    size = features + (NUM_STATE_FEATURES if state_feedback else 0)
    network = LSTM(size, hidden_size=hidden_size, key=key)
    return Hybrid(parameters, dynamic, network=network, state_feedback=state_feedback, **options)


def lstm_fluxes(*, features: int, hidden_size: int, key: Any, scale: FluxScale) -> FluxNetwork:
    """An LSTM that predicts the fluxes directly."""
    return FluxNetwork(scale, network=LSTM(features, hidden_size=hidden_size, key=key), key=key)


def site(parameters: Parameters, attributes: Any = (), index: int = -1, **options: Any) -> SiteParameters:
    return SiteParameters(parameters, attributes=attributes, index=index, **options)


class Learned(eqx.Module):
    """Parameters of land and tower with the offsets of a model applied, by name."""

    _both: Any

    def __init__(self, model: Any, offsets: Any = None):
        self._both = with_offsets(model.land, model.tower, model.offsets if offsets is None else offsets)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._both.land if hasattr(self._both.land, name) else self._both.tower, name)

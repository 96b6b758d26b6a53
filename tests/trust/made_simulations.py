"""Simulations of made weather, as `bowen simulate` makes them, for the tests of trust."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import bowen as bw
from bowen.experiments.twin_experiment import make_weather
from bowen.land.quantities import declared_quantities
from bowen.physics.thermodynamics import saturation_vapor_pressure, specific_humidity, vapor_pressure

PROCESSES = ("interception_capacity", "freezable_water", "snow_water_holding_fraction", "capillary_rise_rate")
CLIMATES = {
    "mild": (0.0, 1.0),
    "snowy": (-14.0, 2.0),
    "wet": (0.0, 10.0),
    "dry": (12.0, 0.0),
}  # warmer by [K], times the precipitation
DAYS = 20


def record(climate="mild", days=DAYS):
    """Weather of a spring, warmer and wetter or not, with the same relative humidity, and made-up fluxes."""
    warmer, wetter = CLIMATES[climate]
    weather = make_weather(days, 4)
    air, pressure = weather.air_temperature.values, weather.air_pressure.values
    relative = vapor_pressure(weather.specific_humidity.values, pressure) / saturation_vapor_pressure(air)
    saturated = saturation_vapor_pressure(air + warmer)
    weather["air_temperature"] = ("time", air + warmer)
    weather["specific_humidity"] = ("time", specific_humidity(relative * saturated, pressure))
    weather["vapor_pressure_deficit"] = ("time", (1.0 - relative) * saturated)
    weather["longwave_down"] = weather.longwave_down * ((air + warmer) / air) ** 4
    weather["precipitation"] = wetter * weather.precipitation
    for name in ("latent_heat", "sensible_heat"):
        weather[name] = 0.3 * weather.shortwave_down
        weather[f"{name}_qc"] = ("time", np.zeros(weather.sizes["time"], "int8"))
    return weather


def simulate(weather, *, kind="Process", precision="float64", processes=PROCESSES, solver=None, **settings):
    """Simulate weather by the physics or an untrained hybrid, with processes on where their learning begins.

    Returns the simulation, and the parameters of the land.
    """
    jax.config.update("jax_enable_x64", precision == "float64")
    try:
        site = bw.SiteData(weather, bw.block_split(weather, days=2), **settings)
        land = site.parameters.land
        table = declared_quantities(land)
        on = {name: jnp.asarray(table[name]["start"], land.root_zone_capacity.dtype) for name in processes}
        land = dataclasses.replace(land, **on)
        site = site.replace(parameters=eqx.tree_at(lambda p: p.land, site.parameters, land))
        if kind == "Process":
            model = bw.Process(site.parameters, solver=solver)
        else:
            lstm = bw.LSTM(site.num_features, hidden_size=4, key=jax.random.key(0))
            dynamic, static = ["minimum_stomatal_resistance", "ground_albedo"], ["root_zone_capacity"]
            model = bw.Hybrid(site.parameters, dynamic, static=static, network=lstm, solver=solver)
        return bw.simulate(model, site, spin_up_years=1), land
    finally:
        jax.config.update("jax_enable_x64", True)

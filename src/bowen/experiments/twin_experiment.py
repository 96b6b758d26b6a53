"""A twin experiment: a record made by the model itself, with parameters that are known and change in time.

Training on such a record must find those parameters again; where it does not, neither could it at a real tower.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from bowen.data.features import FORCING
from bowen.land.land_classes import parameters_for
from bowen.land.parameters import Parameters
from bowen.land.quantities import Scalar, apply_logit_offsets
from bowen.land.step import ImplicitStep
from bowen.land.tower_observation import closure_fractions
from bowen.land.variables import Forcing, fill_root_zone, initial_state
from bowen.models.base import AbstractLandModel, StepOutput
from bowen.models.rollout import Inputs, spin_up, unroll
from bowen.physics.constants import MELTING_POINT, STEFAN_BOLTZMANN
from bowen.physics.thermodynamics import saturation_vapor_pressure, specific_humidity, vapor_pressure

SITE = {
    "site": "XX-Twi",
    "latitude": 50.0,
    "longitude": 8.0,
    "elevation": 200.0,
    "igbp": "MF",
    "reference_height": 30.0,
    "canopy_height": 18.0,
    "utc_offset_hours": 1.0,
    "timestep_s": 1800,
    "source": "twin experiment: made by bowen itself",
    "assumptions": "",
}
SOIL = "CMF"  # class of the twin's soil
NOISE = 0.05  # share of the spread of a flux that is added as measurement error


def make_weather(days: int, seed: int) -> xr.Dataset:
    """Half-hourly weather of a temperate site: seasons, days, clouds that linger, storms.

    Args:
        days: Length of the record. [d]
        seed: Seed of the random numbers. [1]
    """
    random = np.random.default_rng(seed)
    time = pd.date_range("2001-03-01", periods=days * 48, freq="30min")
    hour = np.asarray(time.hour + time.minute / 60.0 + 0.25)
    season = np.cos(2 * np.pi * (np.asarray(time.day_of_year) - 172) / 365)
    elevation = 0.45 + 0.35 * season + 0.75 * np.cos(2 * np.pi * (hour - 12.0) / 24.0) - 0.25
    front = red_noise(random, days, 3.0)
    cloud = 1 / (1 + np.exp(-1.5 * front))
    sun = np.maximum(elevation, 0.0) * 850.0 * (1.0 - 0.7 * cloud)
    celsius = 10.0 + 9.0 * season + 5.0 * (1 - 0.6 * cloud) * np.cos(2 * np.pi * (hour - 15.0) / 24.0)
    celsius = celsius + 3.0 * red_noise(random, days, 4.0)
    dew_depression = 2.0 + 3.0 * (1.0 - cloud) + np.maximum(celsius - 10.0, 0.0) * 0.35
    kelvin, pressure = celsius + 273.15, np.full(len(time), 99000.0)
    vapor = saturation_vapor_pressure(kelvin - dew_depression)
    saturated = saturation_vapor_pressure(kelvin)
    wet = (front > 1.0) & (random.random(len(time)) < 0.3)
    longwave = (0.65 + 0.22 * cloud + 0.006 * np.sqrt(vapor)) * STEFAN_BOLTZMANN * kelvin**4
    columns = {
        "shortwave_down": sun,
        "longwave_down": longwave,
        "air_temperature": kelvin,
        "specific_humidity": specific_humidity(vapor, pressure),
        "vapor_pressure_deficit": saturated - vapor,
        "air_pressure": pressure,
        "wind_speed": np.abs(2.5 + 1.2 * red_noise(random, days, 0.3) + 0.8 * np.cos(2 * np.pi * (hour - 14.0) / 24.0)),
        "precipitation": wet * random.exponential(0.9, len(time)) / 1800.0,
    }
    return xr.Dataset({name: ("time", values) for name, values in columns.items()}, {"time": time}, SITE)


def red_noise(random: np.random.Generator, days: int, memory: float) -> np.ndarray:
    """A random series of unit spread that forgets itself in `memory` days."""
    before = 30 * 48  # left to the average to find its spread
    noise = pd.Series(random.standard_normal(before + days * 48))
    smooth = noise.ewm(halflife=memory * 48).mean().to_numpy()[before:]
    return (smooth - smooth.mean()) / smooth.std()


def true_offset(forcing: Forcing) -> Scalar:
    """How the twin's surface resistance moves, in logit space: down with light, up with dry air and in the cold."""
    celsius = forcing.air_temperature - MELTING_POINT
    vapor = vapor_pressure(forcing.specific_humidity, forcing.air_pressure)
    deficit = saturation_vapor_pressure(forcing.air_temperature) - vapor
    light = forcing.shortwave_down / (forcing.shortwave_down + 200.0)
    return 0.8 - 3.0 * light + 0.8 * deficit / 1000.0 - 0.06 * (celsius - 12.0)


class TwinModel(AbstractLandModel):
    """The physics with a surface resistance that follows `true_offset`: what the twin experiment has to find again."""

    base: Parameters
    step: ImplicitStep = ImplicitStep()

    def start(self, state):
        return state

    def renewed(self, carry):
        return fill_root_zone(self.base, carry)

    def advance(self, carry, forcing, features, dt):
        del features
        offsets = {"minimum_stomatal_resistance": true_offset(forcing)}
        parameters = apply_logit_offsets(self.base, offsets)
        state, fluxes = self.step(parameters, carry, forcing, dt)
        return state, StepOutput(fluxes, state, offsets, closure_fractions(parameters))

    def fixed(self):
        return self.base


def make_twin(days: int = 365, seed: int = 0) -> tuple[xr.Dataset, xr.Dataset]:
    """A canonical record made by the model, and the truth behind it.

    Args:
        days: Length of the record. [d]
        seed: Seed of weather and measurement error. [1]

    Returns:
        The record, its fluxes with measurement error; and the truth: surface resistance [s m-1], sound fluxes [W m-2].
    """
    record = make_weather(days, seed)
    forcing = Forcing(
        **{name: jnp.asarray(record[name].values) for name in FORCING},
        longwave_down=jnp.asarray(record["longwave_down"].values),
    )
    base = parameters_for("MF", SOIL, reference_height=SITE["reference_height"], canopy_height=SITE["canopy_height"])
    inputs = Inputs(forcing, jnp.zeros((record.sizes["time"], 0)), jnp.asarray(float(SITE["timestep_s"])))
    model = TwinModel(base)
    carry = spin_up(model, initial_state(base, forcing.air_temperature.mean()), inputs, 3)
    if not inputs.last_a_year():
        carry = model.renewed(carry)
    _, told = jax.jit(unroll)(model, carry, inputs)
    random = np.random.default_rng(seed + 1)
    truth = xr.Dataset(coords={"time": record["time"]})
    truth["minimum_stomatal_resistance"] = (
        "time",
        np.asarray(jax.vmap(lambda o: apply_logit_offsets(base, o))(told.offsets).minimum_stomatal_resistance),
    )
    for name in ("latent_heat", "sensible_heat"):
        sound = np.asarray(getattr(told.fluxes, name), float)
        truth[name] = "time", sound
        record[name] = "time", sound + NOISE * sound.std() * random.standard_normal(len(sound))
    for name in list(record):
        record[f"{name}_qc"] = "time", np.zeros(record.sizes["time"], np.int8)
    return record, truth


def parameter_correlation(simulation: xr.Dataset, truth: xr.Dataset) -> float:
    """Correlation of the logarithms of the found and the true surface resistance, while the sun shines."""
    found, true = (
        simulation["parameter_minimum_stomatal_resistance"].values,
        truth["minimum_stomatal_resistance"].values,
    )
    day = truth["latent_heat"].values > 20.0
    return float(np.corrcoef(np.log(found[day]), np.log(true[day]))[0, 1])

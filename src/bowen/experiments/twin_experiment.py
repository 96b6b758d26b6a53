"""Twin experiment: a record made by the model itself, with known parameters that change in time.

Training on such a record must recover those parameters; where it does not, it could not at a real tower either.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from bowen.data.features import FEATURE_FORCING
from bowen.land.land_classes import parameters_for
from bowen.land.parameters import Parameters
from bowen.land.quantities import Scalar, apply_logit_offsets
from bowen.land.step import ImplicitStep
from bowen.land.tower_observation import TowerParameters, closure_fractions
from bowen.land.variables import Forcing, initial_state
from bowen.models.base import AbstractLandModel, StepOutput, reset_root_zone
from bowen.models.rollout import Inputs, spin_up, unroll
from bowen.physics.constants import MELTING_POINT, STEFAN_BOLTZMANN
from bowen.physics.thermodynamics import saturation_vapor_pressure, specific_humidity, vapor_pressure

TWIN_SITE = {
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
TWIN_SOIL = "CMF"
NOISE_FRACTION = 0.05  # standard deviation of measurement error, over that of the flux


def make_weather(days: int, seed: int) -> xr.Dataset:
    """Generate half-hourly weather of a temperate site: seasons, days, persistent clouds, storms.

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
    return xr.Dataset({name: ("time", values) for name, values in columns.items()}, {"time": time}, TWIN_SITE)


def red_noise(random: np.random.Generator, days: int, memory: float) -> np.ndarray:
    """Generate a random series of unit standard deviation with a half-life of `memory` days."""
    before = 30 * 48  # steps until the moving average is stationary
    noise = pd.Series(random.standard_normal(before + days * 48))
    smooth = noise.ewm(halflife=memory * 48).mean().to_numpy()[before:]
    return (smooth - smooth.mean()) / smooth.std()


def true_offset(forcing: Forcing) -> Scalar:
    """Compute the twin's stomatal resistance in logit space: it falls with light, and rises with dry air and cold."""
    celsius = forcing.air_temperature - MELTING_POINT
    vapor = vapor_pressure(forcing.specific_humidity, forcing.air_pressure)
    deficit = saturation_vapor_pressure(forcing.air_temperature) - vapor
    light = forcing.shortwave_down / (forcing.shortwave_down + 200.0)
    return 0.8 - 3.0 * light + 0.8 * deficit / 1000.0 - 0.06 * (celsius - 12.0)


class TwinModel(AbstractLandModel):
    """Physics with a stomatal resistance that follows `true_offset`."""

    land: Parameters
    solver: ImplicitStep = ImplicitStep()

    def for_site(self, site):
        del site
        return self

    def init(self, state):
        return initial_state(self.land) if state is None else state

    def step(self, carry, forcing, features, dt):
        del features
        offsets = {"minimum_stomatal_resistance": true_offset(forcing)}
        state, fluxes = self.solver(apply_logit_offsets(self.land, offsets), carry, forcing, dt)
        return state, StepOutput(
            fluxes, state, offsets, closure_fractions(TowerParameters(), fluxes.friction_velocity, fluxes.sensible_heat)
        )

    def frozen(self):
        return self.land


def make_twin(days: int = 365, seed: int = 0) -> tuple[xr.Dataset, xr.Dataset]:
    """Make a canonical record by the model, and the truth behind it.

    Args:
        days: Length of the record. [d]
        seed: Seed of weather and measurement error. [1]

    Returns:
        The record, its fluxes with measurement error; and the truth: stomatal resistance [s m-1], fluxes [W m-2].
    """
    record = make_weather(days, seed)
    forcing = Forcing(
        **{name: jnp.asarray(record[name].values) for name in FEATURE_FORCING},
        longwave_down=jnp.asarray(record["longwave_down"].values),
    )
    base = parameters_for(
        "MF", TWIN_SOIL, reference_height=TWIN_SITE["reference_height"], canopy_height=TWIN_SITE["canopy_height"]
    )
    inputs = Inputs(forcing, jnp.zeros((record.sizes["time"], 0)), jnp.asarray(float(TWIN_SITE["timestep_s"])))
    model = TwinModel(base)
    carry = spin_up(model, initial_state(base, forcing.air_temperature.mean()), inputs, 3)
    if not inputs.is_a_year_long():
        carry = reset_root_zone(model, carry)
    _, output = jax.jit(unroll)(model, carry, inputs)
    random = np.random.default_rng(seed + 1)
    truth = xr.Dataset(coords={"time": record["time"]})
    truth["minimum_stomatal_resistance"] = (
        "time",
        np.asarray(jax.vmap(lambda o: apply_logit_offsets(base, o))(output.offsets).minimum_stomatal_resistance),
    )
    for name in ("latent_heat", "sensible_heat"):
        sound = np.asarray(getattr(output.fluxes, name), float)
        truth[name] = "time", sound
        record[name] = "time", sound + NOISE_FRACTION * sound.std() * random.standard_normal(len(sound))
    for name in list(record):
        record[f"{name}_qc"] = "time", np.zeros(record.sizes["time"], np.int8)
    return record, truth


def parameter_correlation(simulation: xr.Dataset, truth: xr.Dataset) -> float:
    """Correlate the logarithms of the learned and the true stomatal resistance, by day."""
    found, true = (
        simulation["parameter_minimum_stomatal_resistance"].values,
        truth["minimum_stomatal_resistance"].values,
    )
    day = truth["latent_heat"].values > 20.0
    return float(np.corrcoef(np.log(found[day]), np.log(true[day]))[0, 1])

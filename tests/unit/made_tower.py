"""A small made-up tower and simulations of it, for the tests of the report."""

import numpy as np
import pandas as pd
import xarray as xr

from bowen.evaluation.scores import score
from bowen.land.quantities import declared_quantities
from bowen.land.variables import Fluxes, State
from bowen.reporting.study import Study

STEP = 3600.0
BOUNDED = {"units": "s m-1", "long_name": "Bulk stomatal resistance", "lower_bound": 10.0, "upper_bound": 5000.0}


def tower(days=60, start="2021-05-17", site="XX-Tst"):
    """A record with days, weather and gaps: a sine at noon, damped by a slow wave, every fifth step filled."""
    time = pd.date_range(start, periods=24 * days, freq="h")
    hours = np.arange(len(time))
    sun = np.clip(np.sin(2 * np.pi * (hours % 24 - 6) / 24), 0, None) * (1 + 0.4 * np.sin(hours / 100))
    record = xr.Dataset({"latent_heat": ("time", 220 * sun), "sensible_heat": ("time", 260 * sun - 30)}, {"time": time})
    for target in ("latent_heat", "sensible_heat"):
        record[f"{target}_qc"] = ("time", np.where(hours % 5 == 0, 1, 0).astype("int8"))
    record["precipitation"] = ("time", np.where(hours % 50 == 0, 1e-3, 0.0))
    attributes = {"igbp": "MF", "latitude": 50.3, "longitude": 6.0, "elevation": 493.0, "canopy_height": 30.0}
    return record.assign_attrs(site=site, source="FLUXNET2015", assumptions="Longwave was modeled.", **attributes)


def fluxes_of(record, error):
    """A network's simulation: the truth, scaled."""
    return record[["latent_heat", "sensible_heat"]] * (1 + error)


def physics_of(record, error):
    """A physical model's simulation: fluxes, parameters, states and budgets that close."""
    simulated = fluxes_of(record, error)
    rain = record["precipitation"].values
    vapor = np.minimum(simulated["latent_heat"].values / 2.5e6, 2e-5)
    zero = np.zeros_like(rain)
    series = {
        "rainfall": rain,
        "snowfall": zero,
        "external_supply": zero,
        "evapotranspiration": vapor,
        "runoff": zero,
        "snow_water": zero,
        "root_zone_water": 100 + STEP * np.cumsum(rain - vapor),
        "groundwater": zero + 20,
        "quickflow_water": zero,
        "canopy_water": zero,
        "net_radiation": simulated["latent_heat"].values + simulated["sensible_heat"].values + 10,
        "ground_heat": zero + 10,
        "fusion_heat": zero,
        "energy_residual": zero + 2.5e-11,
        "water_residual": zero,
    }
    simulated = in_budgets(simulated.assign({name: ("time", values) for name, values in series.items()}))
    layers = 283.15 + np.linspace(3, 0, 5) * np.sin(np.arange(len(rain)) / 4)[:, None]
    simulated["soil_temperature"] = (("time", "layer"), layers)
    resistance = 60 * np.exp(0.5 * np.sin(np.arange(len(rain)) / 24))
    simulated["parameter_minimum_stomatal_resistance"] = (
        "time",
        resistance,
        BOUNDED | {"log_scale": 1, "default": 56.6},
    )
    return simulated.assign_coords(layer_depth=("layer", [0.0025, 0.02, 0.1, 0.3, 1.0]))


def in_budgets(simulation):
    """The simulation whose variables name their part in the budgets, as those of the physics do."""
    for module in (Fluxes, State):
        for name, declared in declared_quantities(module).items():
            if name in simulation:
                parts = {"water_budget": declared["water"], "energy_budget": declared["energy"]}
                simulation[name].attrs |= {budget: part for budget, part in parts.items() if part}
    return simulation


def labels(record):
    """Blocks of four days: two train, one validates, one tests."""
    return np.array(["train", "train", "validation", "test"])[np.arange(record.sizes["time"]) // 96 % 4]


def scores_of(record, simulations, split):
    return pd.concat([score(data, record, split, model=model) for model, data in simulations.items()])


def study_of(record):
    """What a report is about: the record and a network alone."""
    simulations = {"LSTM": fluxes_of(record, 0.1)}
    return Study(record, simulations, labels(record), scores_of(record, simulations, labels(record)), {})

"""Whole runs whose numbers are kept: 60 days of made weather, from snow-melt into summer.

`python -m tests.regression.runs` writes the numbers anew, after a change that was meant to move them and that raised
`NUMBERS_VERSION`, by which benchmarks and transfers know that their results are of earlier numbers.
"""

import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp

from bowen.data.features import FEATURE_FORCING
from bowen.experiments.origin import NUMBERS_VERSION
from bowen.experiments.twin_experiment import make_weather
from bowen.land.land_classes import parameters_for
from bowen.land.variables import Forcing, initial_state
from bowen.models.base import Process
from bowen.models.rollout import Inputs, run_from_state
from tests import helpers

KEPT = Path(__file__).with_name("numbers.json")
MODELS = ("process", "hybrid")


def inputs() -> Inputs:
    """Made weather, and features a network can do something with."""
    record = make_weather(60, seed=5)
    record["air_temperature"] -= 8.0  # so that there is snow
    record["specific_humidity"] *= 0.5
    arrays = {name: jnp.asarray(record[name].values) for name in FEATURE_FORCING}
    forcing = Forcing(**arrays, longwave_down=jnp.asarray(record["longwave_down"].values))
    features = jnp.stack([forcing.shortwave_down / 300.0, forcing.wind_speed / 3.0], axis=-1)
    return Inputs(forcing, features, jnp.asarray(1800.0))


def numbers(kind: str) -> dict[str, float]:
    """Mean of each flux and last value of each state of a run."""
    base = parameters_for("MF", "CMF", reference_height=30.0, canopy_height=18.0)
    model = Process(base)
    if kind == "hybrid":
        hybrid = helpers.lstm_hybrid(
            base, ("minimum_stomatal_resistance", "ground_albedo"), features=2, hidden_size=4, key=jax.random.key(0)
        )
        weight = 0.5 * jax.random.normal(jax.random.key(1), hybrid.head.weight.shape)
        model = eqx.tree_at(lambda m: m.head.weight, hybrid, weight)
    _, record = run_from_state(model, initial_state(base, jnp.asarray(275.0)), inputs())
    fluxes = {name: float(series.mean()) for name, series in vars(record.fluxes).items() if "residual" not in name}
    states = {f"last {name}": float(series[-1].mean()) for name, series in vars(record.state).items()}
    return fluxes | states


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    if json.loads(KEPT.read_text())["version"] == NUMBERS_VERSION:
        raise SystemExit("raise NUMBERS_VERSION in bowen/experiments/origin.py first")
    written = {"version": NUMBERS_VERSION} | {kind: numbers(kind) for kind in MODELS}
    KEPT.write_text(json.dumps(written, indent=1) + "\n")

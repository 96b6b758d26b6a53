"""Training finds again what made a record: the surface resistance of the twin, which changes from step to step."""

import jax
import numpy as np
import pytest

from bowen.classes import parameters_for
from bowen.config import Training, parse
from bowen.data import block_split
from bowen.experiment import Run, simulate_run
from bowen.hybrid import Hybrid
from bowen.land import Site, initial_state
from bowen.series import Scaler, Series
from bowen.streams import Streams, Tower
from bowen.synthetic import SITE, SOIL, recovery, twin
from bowen.training import train

DAYS, STEPS = 180, 150


@pytest.mark.slow
def test_a_twin_experiment_recovers_the_conductance():
    record, truth = twin(DAYS)
    split = block_split(record.time.values)
    scaler = Scaler.fit([(record, split == "train")], ["longwave_down"])
    series = Series.of(record, scaler)
    base = parameters_for("MF", SOIL, reference_height=SITE["reference_height"], canopy_height=SITE["canopy_height"])
    names = ("surface_resistance",)
    model = Hybrid(base, names, features=len(scaler.features), hidden=16, key=jax.random.key(0))
    state = initial_state(base, series.inputs.forcing.air_temperature.mean())
    training = Training(steps=STEPS, window_days=10, prior_weight=1e-4)
    streams = Streams([Tower("twin", series, Site(base), state, split)], columns=0, window=10, seed=0)
    with jax.numpy_dtype_promotion("standard"):  # optax counts in integers
        progress, history = train(model, streams, training)
    config = parse({"tower": {"met": "", "soil": SOIL}, "model": {"precision": "float64"}}, where="twin")
    simulation = simulate_run(Run(config, scaler, progress.best, {}), record)
    assert recovery(simulation, truth) > 0.95
    assert np.abs(simulation["energy_residual"]).max() < 1e-9
    assert np.abs(simulation["water_residual"]).max() < 1e-14
    assert history[-1].loss < 0.1 * history[0].loss

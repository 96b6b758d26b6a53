"""Training finds again what made a record: the surface resistance of the twin, which changes from step to step."""

import jax
import numpy as np
import pytest

from bowen.config.schema import TrainingConfig, parse
from bowen.data import add_daily_fluxes, aggregate_to_days, block_split
from bowen.data.features import Scaler
from bowen.evaluation.scores import score
from bowen.experiments.run import Run, simulate_run
from bowen.experiments.twin_experiment import SITE, SOIL, make_twin, parameter_correlation
from bowen.land.land_classes import parameters_for
from bowen.models.base import SiteParameters, initial_state
from bowen.models.hybrid import Hybrid
from bowen.training.arrays import SiteArrays
from bowen.training.trainer import train
from bowen.training.windows import SiteData, WindowLoader


def learned(record, *, steps, by_day=False):
    """What a hybrid makes of a record that it was trained on, and how its training went."""
    split = block_split(record.time.values)
    scaler = Scaler.fit([(record, split == "train")], ["longwave_down"])
    series = SiteArrays.of(record, scaler)
    base = parameters_for("MF", SOIL, reference_height=SITE["reference_height"], canopy_height=SITE["canopy_height"])
    names = ("minimum_stomatal_resistance",)
    model = Hybrid(base, names, features=len(scaler.features), hidden_size=16, key=jax.random.key(0))
    state = initial_state(base, series.inputs.forcing.air_temperature.mean())
    training = TrainingConfig(updates=steps, window_days=10, prior_weight=1e-4)
    streams = WindowLoader(
        [SiteData("twin", series, SiteParameters(base), state, split, by_day)], columns=0, window=10, seed=0
    )
    with jax.numpy_dtype_promotion("standard"):  # optax counts in integers
        progress, history = train(model, streams, training)
    config = parse({"data": {"met": "", "soil": SOIL}, "model": {"precision": "float64"}}, where="twin")
    return simulate_run(Run(config, scaler, progress.best, {}), record), history


@pytest.mark.slow
def test_a_twin_experiment_recovers_the_conductance():
    record, truth = make_twin(180)
    simulation, history = learned(record, steps=150)
    assert parameter_correlation(simulation, truth) > 0.95
    assert np.abs(simulation["energy_residual"]).max() < 1e-9
    assert np.abs(simulation["water_residual"]).max() < 1e-14
    assert history[-1].loss < 0.1 * history[0].loss


@pytest.mark.slow
def test_fluxes_by_day_teach_the_days_and_something_of_the_hours():
    sound, truth = make_twin(90)
    record = add_daily_fluxes(sound, aggregate_to_days(sound))
    simulation, _ = learned(record, steps=60, by_day=True)
    table = score(simulation, record, block_split(record.time.values), model="hybrid", resolutions=("native",))
    assert (table.query("split == 'test' and metric == 'nse'")["value"] > 0.9).all()
    assert parameter_correlation(simulation, truth) > 0.3

"""Training finds again what made a record: the surface resistance of the twin, which changes from step to step."""

import jax
import numpy as np
import pytest

from bowen.config.schema import TrainingConfig, parse
from bowen.data import add_daily_fluxes, aggregate_to_days, block_split
from bowen.data.features import Scaler
from bowen.evaluation.scores import score
from bowen.experiments.run import Run, simulate_run
from bowen.experiments.twin_experiment import TWIN_SITE, TWIN_SOIL, make_twin, parameter_correlation
from bowen.land.land_classes import parameters_for
from bowen.land.variables import initial_state
from bowen.training.arrays import SiteArrays
from bowen.training.site_data import SiteData
from bowen.training.trainer import train
from tests import helpers


def learned(record, *, steps, by_day=False):
    """What a hybrid makes of a record that it was trained on, and how its training went."""
    split = block_split(record.time.values)
    scaler = Scaler.fit([(record, split == "train")], ["longwave_down"])
    series = SiteArrays.of(record, scaler)
    base = parameters_for(
        "MF", TWIN_SOIL, reference_height=TWIN_SITE["reference_height"], canopy_height=TWIN_SITE["canopy_height"]
    )
    names = ("minimum_stomatal_resistance",)
    model = helpers.lstm_hybrid(base, names, features=len(scaler.features), hidden_size=16, key=jax.random.key(0))
    state = initial_state(base, series.inputs.forcing.air_temperature.mean())
    training = TrainingConfig(updates=steps, window_days=10, prior_weight=1e-4)
    site = SiteData.from_parts("twin", series, helpers.site(base, index=0), state, split, has_daily_fluxes=by_day)
    with jax.numpy_dtype_promotion("standard"):  # optax counts in integers
        best, history = train(model, [site], config=training)
    config = parse({"data": {"met": "", "soil": TWIN_SOIL}, "model": {"precision": "float64"}}, where="twin")
    return simulate_run(Run(config, scaler, best), record), history


@pytest.mark.slow
def test_a_twin_experiment_recovers_the_conductance():
    record, truth = make_twin(180)
    simulation, history = learned(record, steps=150)
    assert parameter_correlation(simulation, truth) > 0.95
    assert np.abs(simulation["energy_residual"]).max() < 1e-9
    assert np.abs(simulation["water_residual"]).max() < 1e-14
    assert history.loss.iloc[-1] < 0.1 * history.loss.iloc[0]


@pytest.mark.slow
def test_fluxes_by_day_teach_the_days_and_something_of_the_hours():
    sound, truth = make_twin(90)
    record = add_daily_fluxes(sound, aggregate_to_days(sound))
    simulation, _ = learned(record, steps=60, by_day=True)
    table = score(simulation, record, block_split(record.time.values), model="hybrid", resolutions=("native",))
    assert (table.query("split == 'test' and metric == 'nse'")["value"] > 0.9).all()
    assert parameter_correlation(simulation, truth) > 0.3

"""Runoff beside fluxes: what a basin teaches by the day, what it cannot, and how it comes into an archive."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bowen import data
from bowen.config.schema import parse
from bowen.data.features import Scaler
from bowen.errors import ConfigError, DataError
from bowen.experiments.archive_records import read_archive
from bowen.experiments.build import build_model
from bowen.experiments.comparison import score_models
from bowen.experiments.run import Run, prepare_record, simulate_run, train_on
from bowen.experiments.twin_experiment import make_twin, make_weather
from bowen.training.site_data import land_parameters
from tests.data.files import BASIN, camels_folder

DAYS = 60
SETTINGS = {
    "data": {"met": "", "soil": "CMF"},
    "model": {"kind": "process", "static": ["quickflow_fraction"], "substeps": 1, "newton_iterations": 3},
    "training": {
        "updates": 60,
        "learning_rate": 0.02,
        "window_days": 10,
        "windows_per_site": 3,
        "validate_every": 10,
        "spin_up_years": 1,
        "prior_weight": 0.0,
    },
}


def config(**changes):
    return parse({name: table | changes.get(name, {}) for name, table in SETTINGS.items()}, where="test")


def flagged(dataset):
    zeros = np.zeros(dataset.sizes["time"], np.int8)
    return dataset.assign({f"{name}_qc": ("time", zeros) for name in dataset.data_vars})


@pytest.fixture(scope="module")
def basin():
    """Days of runoff alone, of a model whose quick way takes more than a half; and its share."""
    wet = make_weather(DAYS, 0)
    record = prepare_record(flagged(wet.assign(precipitation=4.0 * wet.precipitation)), config())
    scaler = Scaler({"air_temperature": 280.0}, {"air_temperature": 10.0})
    model = build_model(config(), scaler, land_parameters(config(), record.attrs))
    model = eqx.tree_at(lambda m: m.offsets, model, {"quickflow_fraction": jnp.asarray(1.0)})
    simulation = simulate_run(Run(config(), scaler, model), record)
    daily = flagged(simulation[["runoff"]].resample(time="1D").mean())
    truth = float(simulation.parameter_quickflow_fraction[0])
    return data.add_daily_fluxes(record, daily).assign_attrs(site="XX-Bas"), truth


def example(record):
    return record, data.block_split(record.time.values, 4, ("train", "train", "validation"))


@pytest.fixture
def trained(tmp_path):
    def train(records, **changes):
        with jax.numpy_dtype_promotion("standard"):  # optax counts in integers
            return train_on([example(record) for record in records], config(**changes), tmp_path / "run")

    return train


@pytest.mark.slow
def test_days_of_runoff_alone_tell_the_share_of_the_quick_way(basin, trained):
    record, truth = basin
    run = trained([record])
    found = float(simulate_run(run, record).parameter_quickflow_fraction[0])
    assert 0.6 < truth < 0.8 and found == pytest.approx(truth, abs=0.02)
    assert run.manifest.water == {"XX-Bas": "2001-03-01 to 2001-04-29"}
    table = (run.folder / "history.csv").read_text().splitlines()
    row = dict(zip(table[0].split(","), map(float, table[-1].split(",")), strict=True))
    assert row["validation_runoff"] == row["validation"] > 0.95 and np.isnan(row["validation_latent_heat"])


@pytest.mark.slow
def test_a_tower_and_a_basin_train_one_hybrid(basin, trained):
    tower = prepare_record(make_twin(DAYS)[0], config())
    hybrid = {"kind": "hybrid", "hidden_size": 4, "dynamic": ["minimum_stomatal_resistance"]}
    run = trained([tower, basin[0]], model=hybrid, training={"updates": 4, "validate_every": 2})
    with pytest.raises(DataError, match=r"XX-Bas: has neither latent nor sensible heat.*\n.*bowen transfer"):
        score_models([run], basin[0])
    assert float(run.model.offsets["quickflow_fraction"]) > 0.0 and float(jnp.abs(run.model.head.weight).max()) > 0.0
    assert list(run.manifest.water) == ["XX-Bas"]


@pytest.mark.slow
def test_a_network_learns_nothing_of_a_basin(basin, trained):
    network = {"model": {"kind": "network", "hidden_size": 4}, "training": {"updates": 2}}
    with pytest.raises(ConfigError, match=r'"network" predicts latent and sensible heat alone.*\n.*kind = "hybrid"'):
        trained([basin[0]], **network)
    tower = prepare_record(make_twin(DAYS)[0], config())
    assert trained([basin[0], tower], **network).manifest.fingerprints == [data.compute_fingerprint(tower)]


def test_a_record_in_which_nothing_was_measured_teaches_nothing(trained):
    tower = make_twin(20)[0]
    fluxes = [name for name in tower if str(name).startswith(data.TURBULENT)]
    bare = tower.drop_vars(fluxes).assign_attrs(site="XX-Wet")
    model = {"dynamic": ["minimum_stomatal_resistance"], "hidden_size": 4}
    run = trained([bare, tower], model=model, training={"updates": 2, "validate_every": 2})
    assert run.manifest.fingerprints == [data.compute_fingerprint(tower)]


def test_an_archive_keeps_basins_by_the_day_and_gives_half_hours(bowen, tmp_path):
    pytest.importorskip("zarr", reason="an archive takes zarr: pip install bowen[archive]")
    archive, camels = tmp_path / "basins.zarr", camels_folder(tmp_path, 40)
    assert bowen("archive", archive, "--basins", camels).stdout == f"{BASIN}_1980-1980\n"
    assert data.open_record(archive, BASIN).sizes["time"] == 40
    asked = config(data={"met": str(archive), "basin_days": ["1980-03-01", "1980-03-20"]})
    (record,) = read_archive(asked).values()
    daily = data.read_camels(camels, BASIN).runoff.sel(time="1980-03-01")
    assert record.sizes["time"] == 20 * 48 and data.list_measured_targets(record) == ("runoff",)
    np.testing.assert_array_equal(record.runoff[:48], daily)
    told = data.summarize_record(data.read(archive / BASIN))
    assert told["steps"] == 40 * 48 and told["usable"] == {"drive": None, "train": None}
    assert told["verdicts"][1]["sentence"] == "Runoff can train a model on daily means."
    assert [entry["measured"] for entry in told["variables"] if entry["name"] == "runoff"] == [pytest.approx(0.4)]
    later = config(data={"met": str(archive), "basin_days": ["1999-01-01", "1999-12-31"]})
    with pytest.raises(ConfigError, match=f"1999-12-31, and {BASIN} has 1980-02-27 to 1980-04-06"):
        dict(read_archive(later))
    (camels / "usgs_streamflow" / "01" / f"{BASIN}_streamflow_qc.txt").write_text(f"{BASIN} 1980 02 27 1.0 Z\n")
    result = bowen("archive", archive, "--basins", camels, code=1)
    assert "unknown flag `Z`" in result.stderr and "1 of 1 records could not be used" in result.stderr

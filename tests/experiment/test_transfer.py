"""Models at what they were never shown, by the command a user types."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from bowen import data
from bowen.config.schema import Config, DataConfig, ModelConfig, TrainingConfig
from bowen.data.features import Scaler
from bowen.evaluation.scores import audit_budgets
from bowen.evaluation.unseen_variables import TRAINED_NOTE
from bowen.experiments import transfer
from bowen.experiments.comparison import distinguishing_parts, uncalibrated_run
from bowen.experiments.run import configure_jax, prepare_record
from bowen.experiments.twin_experiment import make_twin
from bowen.files import checksum
from tests.data.files import BASIN, camels_folder, plumber2_files, write_nc

DAYS = 40


@pytest.fixture(scope="module")
def basins(tmp_path_factory):
    return camels_folder(tmp_path_factory.mktemp("camels"), DAYS)


@pytest.fixture(scope="module")
def judged(bowen, hybrid, comparison, basins, tmp_path_factory):
    """The folder of a transfer, and what was said on the way."""
    folder = tmp_path_factory.mktemp("transfer")
    result = bowen("transfer", hybrid, comparison / "lstm", "--basins", basins, "--step", 3600, "--out", folder)
    return folder, result


@pytest.mark.slow
def test_the_runoff_of_a_basin_is_judged(judged):
    folder, result = judged
    table = pd.read_csv(folder / "transfer.csv", dtype={"site": str})
    assert list(table) == ["model", "site", "variable", "depth", "metric", "value", "n", "note"]
    assert set(table["model"]) == {"LaD", "hybrid"}, "the LSTM has neither runoff nor snow"
    assert set(table["variable"]) == {"runoff", "runoff_routed", "snow_water"} and set(table["site"]) == {BASIN}
    assert (table[table["variable"] == "snow_water"]["note"] == "model product: Daymet").all()
    assert set(table[table["variable"] == "runoff"]["n"]) == {3 * DAYS / 5}
    assert (table.query("metric == 'kge'")["value"] < 1.0).all()
    assert '<section id="streamflow"' in (folder / "transfer.html").read_text()
    assert "runoff" in result.stdout and "transfer.csv" in result.stderr
    days = data.read_simulation(folder / "hybrid" / f"{BASIN}_3600s.nc")
    assert days.sizes["time"] == DAYS and abs(audit_budgets(days)["water_closure"]) < 1e-2


@pytest.mark.slow
def test_what_was_simulated_is_not_again(bowen, judged, hybrid, comparison, basins):
    folder, _ = judged
    again = ("transfer", hybrid, comparison / "lstm", "--basins", basins, "--step", 3600, "--out", folder)
    scores = (folder / "transfer.csv").read_bytes()
    kept, lost = folder / "lad" / f"{BASIN}_3600s.nc", folder / "hybrid" / f"{BASIN}_3600s.nc"
    before, made = kept.stat().st_mtime_ns, data.read_simulation(lost)
    lost.unlink()
    said = bowen(*again).stderr
    assert "hybrid: " in said and "LaD: " not in said
    assert kept.stat().st_mtime_ns == before and data.read_simulation(lost).equals(made)
    assert (folder / "transfer.csv").read_bytes() == scores


def test_days_of_a_record_that_has_changed_are_simulated_again(tmp_path, monkeypatch):
    record, _ = make_twin(16)
    days = record[["latent_heat", "sensible_heat"]].assign_attrs(model="LaD")
    monkeypatch.setattr(transfer, "simulate_days", lambda run, records, **_: [days for _ in records])
    config = Config(data=DataConfig(met=tmp_path / "no.nc"))
    run = uncalibrated_run(config, Scaler({"air_temperature": 280.0}, {"air_temperature": 10.0}), record.attrs)
    said = []

    def simulate(*fingerprints):
        said.clear()
        places = [
            transfer.TransferSite(name, f"{name}.nc", lambda _: record, record, mark)
            for name, mark in zip("AB", fingerprints, strict=True)
        ]
        transfer.simulate_or_read_days("LaD", run, places, tmp_path / "lad", said.append)
        return said

    assert simulate("a", "b") == ["LaD: A, B"]
    assert simulate("a", "b") == []
    assert simulate("a", "c") == ["LaD: B is simulated again because record B has changed", "LaD: B"]
    (tmp_path / "lad" / "A.nc.origin.json").write_text("{}")
    assert simulate("a", "c") == ["LaD: A is simulated again because the file of its origin is damaged", "LaD: A"]


def test_the_fingerprint_of_a_place_is_that_of_its_record(tmp_path):
    met, flux = plumber2_files(days=DAYS)
    for name, file in (("Met", met), ("Flux", flux)):
        file["IGBP_veg_short"] = "GRA"
        write_nc(tmp_path / f"YY-Oth_2012-2012_Any_{name}.nc", file)
    before = transfer.tower_sites([tmp_path])[0].fingerprint
    assert transfer.tower_sites([tmp_path])[0].fingerprint == before
    met["Wind"][5] += 1.0
    write_nc(tmp_path / "YY-Oth_2012-2012_Any_Met.nc", met)
    assert transfer.tower_sites([tmp_path])[0].fingerprint != before


@pytest.mark.slow
def test_options_are_switched_on_after_training(bowen, judged, hybrid, comparison, basins, tmp_path):
    """Only the option named, and only in models with physics; runoff is then the model's own."""
    asked = ("transfer", hybrid, comparison / "lstm", "--basins", basins, "--step", 3600, "--enable")
    bowen(*asked, "quickflow_fraction", "--out", tmp_path)
    there, here = (data.read_simulation(folder / "hybrid" / f"{BASIN}_3600s.nc") for folder in (judged[0], tmp_path))
    np.testing.assert_array_equal(there.latent_heat, here.latent_heat)
    np.testing.assert_allclose(here.subsurface_runoff, 0.5 * there.runoff, rtol=1e-4, atol=1e-10)
    variables = pd.read_csv(tmp_path / "transfer.csv").groupby("model")["variable"].unique()
    assert "runoff_routed" in variables["LaD"] and "runoff_routed" not in variables["hybrid"]
    assert "quick_sare" in bowen(*asked, "quick_sare", "--out", tmp_path, code=2).stderr


@pytest.mark.slow
def test_the_mean_of_models_of_a_kind_is_judged_besides(bowen, hybrid, basins, tmp_path):
    twin = shutil.copytree(hybrid, tmp_path / "twin")
    bowen("transfer", hybrid, twin, "--basins", basins, "--step", 3600, "--out", tmp_path / "out")
    numbers = pd.read_csv(tmp_path / "out" / "transfer.csv").pivot_table(
        index=["variable", "metric"], columns="model", values="value"
    )
    names = [f"hybrid ({name})" for name in distinguishing_parts([hybrid, twin])]
    assert set(numbers) == {"LaD", *names, "hybrid, mean of 2"}
    np.testing.assert_array_equal(numbers["hybrid, mean of 2"], numbers[names[0]])


@pytest.mark.slow
def test_what_cannot_be_transferred(bowen, judged, hybrid, basins, tmp_path):
    folder, _ = judged
    mark = folder / "hybrid" / "run.json"
    spoiled = shutil.copytree(folder, tmp_path / "other") / "hybrid" / "run.json"
    content = json.loads(mark.read_text()) | {"weights": "0"}
    del content["checksum"]
    spoiled.write_text(json.dumps(content | {"checksum": checksum(content)}))
    result = bowen("transfer", hybrid, "--basins", basins, "--step", 3600, "--out", spoiled.parents[1], code=1)
    assert "holds the days of another model" in result.stderr
    result = bowen("transfer", hybrid, "--out", folder, code=2)
    assert "needs sites" in result.stderr
    result = bowen("transfer", hybrid, "--basins", tmp_path / "no", "--out", folder, code=1)
    assert "no such folder or file" in result.stderr
    result = bowen("transfer", hybrid, "--basins", basins, "--step", 3600, "--from", "1999", "--out", folder, code=1)
    assert f"{BASIN}: nothing was observed on the days of the simulation" in result.stderr


def test_water_and_energy_close_at_real_basins(shared_data):
    found = transfer.basin_sites(shared_data / "catchments" / "reduced_camels.tar.xz", step=3600, say=lambda _: None)
    assert len(found) == 27, "of 28, one has no gauge"
    config = Config(
        data=DataConfig(met=shared_data),
        model=ModelConfig(precision="float64"),
        training=TrainingConfig(spin_up_years=1),
    )
    configure_jax(config)
    records = [
        prepare_record(place.record(config).isel(time=slice(0, 2 * 8760)), config) for place in (found[0], found[-1])
    ]
    features = Scaler({"air_temperature": 280.0}, {"air_temperature": 10.0})
    for days in transfer.simulate_days(uncalibrated_run(config, features, records[0].attrs), records):
        budget = audit_budgets(days)
        assert budget["energy_residual_max"] < 1e-9 and budget["water_residual_max"] < 1e-12
        assert abs(budget["water_closure"]) < 1e-9 * budget["precipitation"]
        assert 0.1 < budget["runoff"] / budget["precipitation"] < 0.8 and float(np.max(days.snow_water)) > 20.0


def test_medians_are_over_places_that_all_models_are_judged_at():
    rows = [("LaD", "A", 1.0), ("LaD", "B", 3.0), ("LaD", "C", 9.0), ("hybrid", "A", 0.0), ("hybrid", "B", 4.0)]
    table = pd.DataFrame(rows, columns=["model", "site", "value"]).assign(variable="runoff", metric="kge")
    other = pd.DataFrame([("LSTM", "C", 5.0)], columns=["model", "site", "value"]).assign(variable="heat", metric="nse")
    found = transfer.medians(pd.concat([table, other]))
    assert found.loc[("runoff", "kge")].tolist()[:2] == [2.0, 2.0] and found.loc[("runoff", "kge"), "places"] == 2
    assert found.loc[("heat", "nse"), "LSTM"] == 5.0 and np.isnan(found.loc[("heat", "nse"), "LaD"])
    trained = table.assign(note=["", "", "", "", f"{TRAINED_NOTE} 1985-01-01 to 1994-12-31"])
    assert transfer.medians(trained).loc[("runoff", "kge")].tolist() == [1.0, 0.0, 1.0], "only what neither has seen"


@pytest.mark.slow
def test_a_tower_is_judged_by_its_ground_and_its_days(bowen, hybrid, tmp_path):
    met, flux = plumber2_files(days=DAYS)
    flux["SoilTemp"] = flux.Qle * 0.0 + 9.0 + 0.01 * flux.Qle
    flux["SoilTemp"].attrs["units"] = "degC"
    (tmp_path / "towers").mkdir()
    for name, file in (("Met", met), ("Flux", flux)):
        file["IGBP_veg_short"] = "GRA"
        write_nc(tmp_path / "towers" / f"YY-Oth_2012-2012_Any_{name}.nc", file)
    (tmp_path / "towers" / "ZZ-Bad_Met.nc").write_bytes(b"nothing")
    result = bowen("transfer", hybrid, "--met", tmp_path / "towers", "--out", tmp_path / "out")
    assert "Left out: ZZ-Bad_Met.nc" in result.stderr
    table = pd.read_csv(tmp_path / "out" / "transfer.csv")
    assert {"latent_heat", "sensible_heat", "soil_temperature"} <= set(table["variable"])
    assert set(table["site"]) == {"XX-Syn_2012-2012"}

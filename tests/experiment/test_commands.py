"""From a configuration through training to simulation, scores, audit and report, by the commands a user types."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bowen.experiments.comparison import distinguishing_parts
from bowen.experiments.run_directory import read_history
from bowen.files import read_json, write_json
from tests.data.files import plumber2_files, write_nc
from tests.experiment.conftest import DAYS

pytestmark = pytest.mark.slow

STEPS = DAYS * 48


@pytest.fixture(scope="module")
def simulation(bowen, hybrid, tmp_path_factory):
    path = tmp_path_factory.mktemp("simulation") / "new" / "simulation.nc"
    assert bowen("simulate", hybrid, "--out", path).stdout.strip() == str(path)
    return path


def test_the_loss_falls(comparison):
    for name in ("calibrated-lad", "hybrid", "lstm"):
        history = read_history(comparison / name / "history.csv")
        assert history["loss"].iloc[-1] < 0.95 * history["loss"].iloc[0], name
        assert list(history["step"]) == [3, 7, 11, 15]


def test_a_comparison_scores_all_models_and_writes_what_it_found(comparison):
    scores = pd.read_csv(comparison / "scores.csv")
    assert list(scores) == ["tower", "model", "split", "subset", "variable", "resolution", "metric", "value"]
    assert list(scores["model"].unique()) == ["LaD", "calibrated LaD", "hybrid", "LSTM"]
    assert set(scores["split"]) == {"train", "validation", "test"}
    page = (comparison / "report.html").read_text()
    assert all(model in page for model in ("calibrated LaD", "hybrid", "LSTM"))
    with xr.open_dataset(comparison / "simulation.nc") as simulation:
        assert simulation.attrs["model"] == "hybrid"


def test_a_finished_comparison_trains_no_further(bowen, comparison, configuration):
    before = {path: path.read_bytes() for path in comparison.glob("*/*.npz")}
    scores = (comparison / "scores.csv").read_bytes()
    bowen("train", configuration, "--out", comparison, "--baselines")
    assert {path: path.read_bytes() for path in comparison.glob("*/*.npz")} == before
    assert (comparison / "scores.csv").read_bytes() == scores


def test_a_simulation_is_a_cf_file_in_alma_names(simulation):
    with xr.open_dataset(simulation) as file:
        assert file.sizes == {"time": STEPS, "layer": 5, "bounds": 2}
        assert file.attrs["Conventions"].startswith("CF-") and file.attrs["site_code"] == "XX-Twi"
        assert file["Qle"].attrs["standard_name"] == "surface_upward_latent_heat_flux"
        assert all("units" in file[name].attrs for name in file.data_vars if file[name].dims and name != "time_bnds")
        told = {"Qle", "Qh", "Rnet", "Qg", "SoilTemp", "SWE", "RootMoist", "groundwater"}
        told |= {
            "energy_residual",
            "water_residual",
            "parameter_minimum_stomatal_resistance",
            "parameter_root_zone_capacity",
        }
        assert told <= set(file.data_vars)
        assert file["parameter_minimum_stomatal_resistance"].std() > 0
        assert file["parameter_root_zone_capacity"].std() == 0


def test_a_part_of_a_simulation_is_that_part_of_the_whole(bowen, hybrid, simulation, tmp_path):
    bowen("simulate", hybrid, "--from", "2001-03-05", "--to", "2001-03-06", "--out", tmp_path / "part.nc")
    with xr.open_dataset(tmp_path / "part.nc") as part, xr.open_dataset(simulation) as whole:
        assert part.sizes["time"] == 96
        xr.testing.assert_identical(part, whole.sel(time=slice("2001-03-05", "2001-03-06")))


def test_a_run_loads_in_a_new_process(elsewhere, hybrid, simulation, tmp_path):
    code = "import sys; from bowen.cli import app; app(sys.argv[1:])"
    done = elsewhere(code, "simulate", hybrid, "--out", tmp_path / "again.nc")
    assert done.returncode == 0, done.stderr
    with xr.open_dataset(tmp_path / "again.nc") as again, xr.open_dataset(simulation) as before:
        xr.testing.assert_identical(again, before)


def test_the_scores_of_a_run_are_those_of_the_comparison(bowen, comparison, hybrid, tmp_path):
    found = json.loads(bowen("evaluate", hybrid, "--json", "--out", tmp_path / "scores.csv").stdout)
    scores = pd.read_csv(comparison / "scores.csv").query("model == 'hybrid'").reset_index(drop=True)
    pd.testing.assert_frame_equal(pd.DataFrame(found).astype({"value": float}), scores)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "scores.csv"), scores)


def test_scores_are_shown_in_a_table(bowen, comparison):
    lines = bowen("evaluate", comparison / "hybrid", comparison / "lstm").stdout.splitlines()
    assert lines[0].split() == [
        "tower",
        "model",
        "LE",
        "NSE",
        "LE",
        "KGE",
        "LE",
        "RMSE",
        "H",
        "NSE",
        "H",
        "KGE",
        "H",
        "RMSE",
    ]
    assert [line.split()[:2] for line in lines[2:4]] == [["XX-Twi", "hybrid"], ["XX-Twi", "LSTM"]]


@pytest.mark.parametrize("what", ["hybrid", "simulation"])
def test_the_audit_finds_no_residual(bowen, what, request):
    found = json.loads(bowen("audit", request.getfixturevalue(what), "--json").stdout)
    assert 0.0 < found["energy_residual_max"] < 1e-2
    assert 0.0 < found["water_residual_max"] < 1e-6
    assert abs(found["water_closure"]) < 1e-2


def test_an_audit_that_finds_a_residual_says_so(bowen, simulation, tmp_path):
    with xr.open_dataset(simulation) as file:
        leaking = file.load()
    leaking["energy_residual"][100] = -3.0
    leaking.to_netcdf(tmp_path / "leaking.nc", engine="h5netcdf")
    result = bowen("audit", tmp_path / "leaking.nc", code=1)
    assert "3.00e+00   2001-03-03 02:00:00   W m-2" in result.stdout
    assert "a budget does not close" in result.stderr


def test_a_network_has_no_budget_to_audit(bowen, comparison):
    result = bowen("audit", comparison / "lstm", code=1)
    assert "LSTM: there is no budget to audit without energy_residual" in result.stderr and not result.stdout


def test_a_report_is_one_page_without_network(bowen, comparison, tmp_path):
    path = tmp_path / "report.html"
    bowen("report", comparison / "hybrid", comparison / "lstm", "--out", path)
    page = path.read_text()
    assert "hybrid" in page and "LSTM" in page
    assert 'src="http' not in page and 'href="http' not in page


def test_any_tower_can_be_given(bowen, hybrid, tmp_path):
    met, flux = plumber2_files(days=DAYS)
    given = ("--met", write_nc(tmp_path / "YY-Oth_Met.nc", met), "--flux", write_nc(tmp_path / "YY-Oth_Flux.nc", flux))
    site = tmp_path / "site.toml"
    site.write_text('site = "YY-Oth"\nigbp = "ENF"\ncanopy_height = 12.0\nreference_height = 20.0\n')
    path = bowen("simulate", hybrid, *given, "--site", site).stdout.strip()
    assert path == str(hybrid / "YY-Oth_simulation.nc")
    with xr.open_dataset(path) as simulation:
        assert simulation.attrs["site_code"] == "YY-Oth" and simulation["IGBP_veg_short"] == "ENF"
        assert np.isfinite(simulation["Qle"]).all()
    evaluated = bowen("evaluate", hybrid, *given, "--site", site, "--json")
    assert "hybrid: trained at XX-Twi 2001. YY-Oth is not among these sites." in evaluated.stderr
    scores = pd.DataFrame(json.loads(evaluated.stdout))
    assert set(scores["tower"]) == {"YY-Oth"} and set(scores["split"]) == {"test"}
    counts = scores.query("metric == 'n' and resolution == 'native'")["value"]
    assert set(counts) == {(DAYS - 15) * 48}, "the first 15 days settle"


def test_untrained_the_hybrid_is_the_process(bowen, configuration, tmp_path):
    settings = configuration.read_text().replace("updates = 16", "updates = 0")
    met = configuration.parent / "twin.nc"
    for kind in ("process", "hybrid"):
        path = tmp_path / f"{kind}.toml"
        path.write_text(settings.replace('"twin.nc"', f'"{met}"').replace("[model]", f'[model]\nkind = "{kind}"'))
        bowen("train", path, "--out", tmp_path / kind)
        bowen("simulate", tmp_path / kind)
    with (
        xr.open_dataset(tmp_path / "process" / "simulation.nc") as process,
        xr.open_dataset(tmp_path / "hybrid" / "simulation.nc") as hybrid,
    ):
        shared = [name for name in process if not str(name).startswith("parameter_")]
        xr.testing.assert_equal(process[shared], hybrid[shared])


def test_the_files_of_a_tower_belong_together(bowen, hybrid, tmp_path):
    for name in ("simulate", "evaluate", "report"):
        result = bowen(name, hybrid, "--flux", tmp_path / "Flux.nc", code=2)
        assert "--flux, --site and --format: describe the record of --met" in result.stderr


def test_runs_of_one_kind_are_told_apart_and_different_splits_are_refused(bowen, hybrid, tmp_path):
    other = shutil.copytree(hybrid, tmp_path / "other")
    scores = pd.DataFrame(json.loads(bowen("evaluate", hybrid, other, "--json").stdout))
    assert list(scores["model"].unique()) == [f"hybrid ({name})" for name in distinguishing_parts([hybrid, other])]
    settings = other / "config.toml"
    settings.write_text(settings.read_text().replace("days = 2\n", "days = 3\n"))
    result = bowen("report", hybrid, other, code=1)
    assert "`days` in [split] is 3, and was 2 in the training" in result.stderr
    content, _ = read_json(other / "run.json")
    content["settings"] = [
        [*place, 3 if place == ["split", "days"] else value] for *place, value in content["settings"]
    ]
    write_json(other / "run.json", content)
    result = bowen("report", hybrid, other, code=1)
    assert "do not split this record in the same way" in result.stderr


def test_a_run_whose_weights_are_damaged_says_so(bowen, hybrid, tmp_path):
    spoiled = shutil.copytree(hybrid, tmp_path / "spoiled")
    path = spoiled / "weights.npz"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 128] = bytes(128)  # more than the header of an array, which tells nothing of its values
    path.write_bytes(content)
    result = bowen("evaluate", spoiled, code=1)
    assert "weights.npz: is damaged" in result.stderr and "Traceback" not in result.stderr


@pytest.fixture(scope="module")
def for_use(bowen, configuration, tmp_path_factory):
    """A calibrated model for use: no step is for testing."""
    folder = tmp_path_factory.mktemp("use")
    text = configuration.read_text().replace('"twin.nc"', f'"{configuration.parent / "twin.nc"}"')
    text = text.replace("[model]", '[model]\nkind = "process"').replace(
        "days = 2\n", 'days = 2\npattern = ["train", "validation"]\n'
    )
    path = folder / "use.toml"
    path.write_text(text.replace("updates = 16", "updates = 2").replace("spin_up_years = 4", "spin_up_years = 1"))
    bowen("train", path, "--out", folder / "run")
    return folder / "run"


def test_a_model_for_use_needs_no_test_steps(bowen, for_use, tmp_path):
    told = bowen("evaluate", for_use, "--out", tmp_path / "scores.csv")
    assert "XX-Twi, calibrated LaD: no test steps" in told.stderr and "with --met" in told.stderr
    assert set(pd.read_csv(tmp_path / "scores.csv")["split"]) == {"train", "validation"}
    bowen("simulate", for_use, "--out", tmp_path / "simulation.nc")
    bowen("audit", for_use)
    bowen("report", for_use, "--out", tmp_path / "report.html")
    assert "No step of this record is for testing" in (tmp_path / "report.html").read_text()


def test_more_updates_continue_a_finished_training(bowen, for_use, tmp_path):
    folder = shutil.copytree(for_use, tmp_path / "run")
    path = tmp_path / "more.toml"
    path.write_text((folder / "config.toml").read_text().replace("updates = 2\n", "updates = 6\n"))
    before = read_history(folder / "history.csv")
    bowen("train", path, "--out", folder)
    after = read_history(folder / "history.csv")
    assert list(before["step"]) == [1] and list(after["step"]) == [1, 3, 5]
    assert after.iloc[:1].equals(before) and "updates = 6" in (folder / "config.toml").read_text()
    path.write_text(path.read_text().replace("seed = 0", "seed = 1"))
    told = bowen("train", path, "--out", folder, code=1).stderr
    assert "`seed` in [training] is 0 there and 1 here" in told

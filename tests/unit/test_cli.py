"""What the command line says, where it says it, and with which exit code."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import bowen
from bowen import data
from bowen.cli import app, output
from bowen.cli.models import show_test_scores
from bowen.config.schema import Config, DataConfig, ModelConfig, TrainingConfig
from bowen.errors import ConfigError, DataError, ModelError
from bowen.evaluation.scores import SCORE_COLUMNS
from bowen.experiments import comparison
from bowen.experiments.run import load_config, read_configured_record, title_of
from bowen.training.trainer import ValidationRow
from tests.data.files import fluxnet_table, plumber2_files, write_csv, write_nc

COMMANDS = ("demo", "fetch", "sites", "archive", "inspect", "train", "simulate", "evaluate", "audit", "report")
SITE = 'latitude = 50.0\nlongitude = 15.0\nigbp = "GRA"\n'


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="bowen")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def csv(tmp_path):
    (tmp_path / "site.toml").write_text(SITE)
    return write_csv(tmp_path / "XX-Syn.csv", fluxnet_table())


def configuration(folder, text, tower='met = "Met.nc"'):
    path = folder / "us-me2.toml"
    path.write_text(f"[data]\n{tower}\n{text}")
    return path


def test_help_names_every_command_and_the_exit_codes():
    told = run("--help").stdout
    assert all(f" {name} " in told for name in COMMANDS)
    assert "Exit codes" in told


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    assert f"Usage: bowen {name}" in run(name, "--help").stdout


def test_without_a_command_there_is_help():
    assert "Usage: bowen" in run(code=2).output


def test_the_version_is_told():
    assert run("--version").stdout == f"bowen {bowen.__version__}\n"


def test_help_does_not_wait_for_jax():
    code = "import sys; sys.modules.update(dict.fromkeys(['jax', 'xarray', 'pandas', 'matplotlib'])); "
    done = subprocess.run([sys.executable, "-c", f"{code}from bowen.cli import main; main()", "--help"], check=False)
    assert done.returncode == 0


def test_an_unknown_command_or_option_is_usage():
    assert "No such command 'teach'" in run("teach", code=2).stderr
    assert "No such option: --outt" in run("train", "x.toml", "--outt", "y", code=2).stderr


@pytest.mark.parametrize(
    ("command", "name", "suffix"),
    [
        ("simulate", "a.csv", ".nc"),
        ("simulate", "a", ".nc"),
        ("evaluate", "a.nc", ".csv"),
        ("report", "a.pdf", ".html"),
    ],
)
def test_an_output_file_of_another_kind_is_refused_before_anything_is_read(tmp_path, command, name, suffix):
    message = run(command, tmp_path / "run", "--out", tmp_path / name, code=2).stderr
    assert f"and not {name}." in message and f"fix: end its name in {suffix}" in message


def test_the_defaults_are_a_configuration():
    text = run("train", "--defaults").stdout
    assert tomllib.loads(text)["training"]["updates"] == TrainingConfig().updates
    assert "# Maximum number of updates of the weights" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[training]\nwindw_days = 3", r"us-me2.toml [training]: unknown setting `windw_days`. Did you mean `window"),
        (
            "[training]\nhidden_size = 3",
            r"us-me2.toml [training]: unknown setting `hidden_size`. It belongs in [model].",
        ),
        ("[model]\nhidden_size = 0", r"us-me2.toml [model]: `hidden_size` = 0: should be greater than or equal to 1."),
        ("[model", r"us-me2.toml: not valid TOML"),
        ('[model]\ndynamic = ["surface_resistence"]', "[model]: `dynamic`: `surface_resistence` is not a parameter"),
        ('[model]\ndynamic = ["heat_capacity"]', "`heat_capacity` cannot be dynamic: a storage coefficient"),
        ('[model]\nstatic = ["gustiness"]', "us-me2.toml [model]: `static`: `gustiness` cannot be static"),
        ('[comparison]\ncalibrated = ["gustiness"]', "us-me2.toml [comparison]: `calibrated`: `gustiness` cannot be"),
    ],
    ids=["typo", "table", "bound", "syntax", "no parameter", "not dynamic", "not static", "not calibrated"],
)
def test_a_fault_of_the_configuration_is_usage(tmp_path, text, message):
    result = run("train", configuration(tmp_path, text), "--out", tmp_path / "run", code=2)
    assert message in result.stderr and not result.stdout
    assert not (tmp_path / "run").exists()


def test_train_asks_for_what_it_needs(tmp_path):
    assert "bowen train us-me2.toml --out runs/us-me2" in run("train", code=2).stderr
    assert "bowen train us-me2.toml --out runs/us-me2" in run("train", tmp_path / "x.toml", code=2).stderr
    result = run("train", tmp_path / "x.toml", "--out", tmp_path / "run", code=2)
    assert "x.toml: cannot be read (No such file or directory)" in result.stderr


@pytest.fixture
def archive(tmp_path):
    pytest.importorskip("zarr", reason="an archive takes zarr: pip install bowen[archive]")
    met, flux = plumber2_files()
    folder = tmp_path / "towers"
    folder.mkdir()
    write_nc(folder / "XX-Syn_2012_Met.nc", met)
    write_nc(folder / "XX-Syn_2012_Flux.nc", flux)
    run("archive", tmp_path / "towers.zarr", folder)
    return tmp_path / "towers.zarr"


def test_baselines_are_for_one_tower_and_an_archive_has_a_command(archive, tmp_path):
    path = configuration(tmp_path, "", tower=f'met = "{archive}"')
    told = run("train", path, "--baselines", "--out", tmp_path / "run", code=2).stderr
    assert "--baselines: compares models at one tower, and towers.zarr is an archive of many." in told
    assert f"fix: bowen benchmark {path} --out {tmp_path / 'run'}" in told.replace("\n", "")
    assert "leave out --baselines" in run("train", path, "--baselines", "--distributed", "--out", "x", code=2).stderr
    with pytest.raises(ConfigError, match=r"towers.zarr: is an archive of many(.|\n)*--met .*towers.zarr/XX-Syn"):
        read_configured_record(load_config(path))


@pytest.mark.parametrize(("command", "option"), [("train", "--contest"), ("transfer", "--with")])
def test_old_options_are_gone(command, option):
    assert f"No such option: {option}" in run(command, "x", option, "y", "--out", "z", code=2).stderr


@pytest.mark.parametrize("command", ["simulate", "evaluate", "report", "transfer"])
def test_a_site_may_be_taken_as_unseen(command):
    assert "--as-unseen" in run(command, "--help").stdout


SCORE = ("XX-Syn", "hybrid", "validation", "all", "latent_heat", "native", "nse", 0.5)


def test_scores_without_test_steps_are_said_to_be_none(capsys):
    none = pd.DataFrame([SCORE], columns=list(SCORE_COLUMNS))
    show_test_scores(none)
    told = capsys.readouterr()
    assert told.out == "" and "XX-Syn, hybrid: no test steps;" in told.err
    assert "give another tower or other years with --met" in told.err
    names = [(variable, metric) for variable in ("latent_heat", "sensible_heat") for metric in ("nse", "kge", "rmse")]
    rows = [("XX-Syn", "LSTM", "test", "all", variable, "native", metric, 0.25) for variable, metric in names]
    show_test_scores(pd.concat([none, pd.DataFrame(rows, columns=list(SCORE_COLUMNS))]))
    told = capsys.readouterr()
    assert "0.25" in told.out and "XX-Syn, hybrid: no test" in told.err and "LSTM: no test" not in told.err


def test_a_fault_of_the_data_is_not_usage(tmp_path):
    result = run("train", configuration(tmp_path, ""), "--out", tmp_path / "run", code=1)
    assert "Met.nc: cannot be opened (No such file or directory)" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", ["simulate", "evaluate", "audit", "report"])
def test_what_is_no_run_directory_is_a_fault_of_the_run(tmp_path, name):
    assert "is not a run directory" in run(name, tmp_path, code=1).stderr


def test_a_fault_of_the_model_is_not_usage(tmp_path, monkeypatch):
    def diverge(*arguments, **options):
        raise ModelError("the loss is nan at update 3.")

    monkeypatch.setattr("bowen.experiments.run.train_run", diverge)
    assert run("train", configuration(tmp_path, ""), "--out", tmp_path, code=1).stderr.startswith("bowen: the loss")


def test_stopped_by_the_user_it_says_how_to_go_on(tmp_path, monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("bowen.experiments.run.train_run", stop)
    result = run("train", configuration(tmp_path, ""), "--out", tmp_path, code=130)
    assert "the same command resumes from the last checkpoint" in result.stderr


def test_inspect_shows_what_a_record_holds(csv):
    told = run("inspect", csv, "--site", csv.parent / "site.toml").stdout
    assert told.startswith("XX-Syn: FLUXNET (ONEFlux), 2012-02-20 00:00 to ")
    row = next(line for line in told.splitlines() if line.startswith("latent_heat "))
    assert row.split()[1:7] == ["W", "m-2", "100%", "0%", "0%", "0"]
    assert "- Canopy height 0.4 m assumed from the class GRA." in told


def test_inspect_shows_the_units_of_the_field_and_closure_of_measured_fluxes_first(csv):
    table = fluxnet_table(days=30)
    table.loc[: 48 * 10, "LE_F_MDS_QC"] = 1
    told = run("inspect", write_csv(csv, table), "--site", csv.parent / "site.toml").stdout
    rows = {line.split()[0]: line.split()[1:] for line in told.splitlines() if line}
    assert rows["vapor_pressure_deficit"][0] == "hPa" and rows["air_pressure"][0] == "hPa"
    assert rows["air_temperature"][0] == "°C" and rows["specific_humidity"][:2] == ["g", "kg-1"]
    assert rows["precipitation"][:2] == ["mm", "d-1"]
    assert float(rows["precipitation"][6]) == pytest.approx(table.P_F.mean() * 48.0, rel=1e-3)
    assert float(rows["precipitation"][7]) == pytest.approx(table.P_F.to_numpy().reshape(-1, 48).sum(1).max(), rel=1e-3)
    assert "- Closure: measured " in told


def test_inspect_speaks_json(csv):
    found = json.loads(run("inspect", csv, "--site", csv.parent / "site.toml", "--json").stdout)
    assert found["site"]["igbp"] == "GRA" and found["problem"] is None
    assert {entry["name"] for entry in found["variables"]} >= {"latent_heat", "shortwave_down"}


def test_inspect_says_that_a_record_cannot_train(tmp_path):
    met = write_nc(tmp_path / "XX-Syn_Met.nc", plumber2_files()[0])
    result = run("inspect", met, "--json", code=1)
    assert "no latent_heat" in result.stderr
    assert "no latent_heat" in json.loads(result.stdout)["problem"]


def test_inspect_says_that_a_record_cannot_drive(csv):
    table = fluxnet_table()
    table.loc[5:600, "WS_F"] = -9999
    result = run("inspect", write_csv(csv, table), "--site", csv.parent / "site.toml", code=1)
    assert "wind_speed is missing at 78% of the steps" in result.stderr
    assert "wind_speed" in result.stdout


def test_inspect_writes_a_page(csv, tmp_path):
    result = run("inspect", csv, "--site", csv.parent / "site.toml", "--page", tmp_path / "record.html")
    page = (tmp_path / "record.html").read_text(encoding="utf-8")
    assert "The record of XX-Syn" in page and 'role="alert"' not in page
    assert "record.html" in result.stderr and "✓  drive" in result.stdout


def test_inspect_writes_the_page_of_what_cannot_train_or_be_read(csv, tmp_path):
    met = write_nc(tmp_path / "XX-Syn_Met.nc", plumber2_files()[0])
    run("inspect", met, "--json", "--page", tmp_path / "met.html", code=1)
    assert "can drive a model but not train one" in (tmp_path / "met.html").read_text(encoding="utf-8")
    run("inspect", csv, "--page", tmp_path / "csv.html", code=1)
    assert "This file cannot be read" in (tmp_path / "csv.html").read_text(encoding="utf-8")


def test_inspect_says_what_is_missing_to_read_a_record(csv):
    assert "--site site.toml" in run("inspect", csv, code=1).stderr
    (csv.parent / "site.toml").write_text(SITE + "tallness = 3.0")
    assert "unknown key `tallness`" in run("inspect", csv, "--site", csv.parent / "site.toml", code=2).stderr


def test_fetch_prints_where_the_files_are(tmp_path, monkeypatch):
    def fetch(name, cache, report):
        report("Whom the data are owed to.")
        return cache / f"{name}.csv"

    monkeypatch.setattr(data, "fetch_sample", fetch)
    result = run("fetch", "BE-Vie", "FR-Hes", "--cache", tmp_path)
    assert result.stdout == f"{tmp_path / 'BE-Vie.csv'}\n{tmp_path / 'FR-Hes.csv'}\n"
    assert "owed" in result.stderr


def test_fetch_without_a_name_tells_what_there_is():
    told = run("fetch").stdout
    assert all(name in told for name in (*data.SAMPLES, "plumber2 SITE", "fluxnet SITE"))


def test_fetch_of_a_site_that_is_no_sample_names_where_it_may_be():
    assert "bowen fetch plumber2 AU-Tum" in run("fetch", "AU-Tum", code=2).stderr


def test_fetch_takes_sites_of_plumber2_and_lists_them(tmp_path, monkeypatch):
    def fetch(site, cache, *, server, report, watch):
        assert server == "https://mirror"
        watch("Met.nc", 1, 2)
        return cache / f"{site}_Met.nc", cache / f"{site}_Flux.nc"

    monkeypatch.setattr(data, "fetch_plumber2", fetch)
    monkeypatch.setattr(data, "list_plumber2_sites", lambda cache, **options: {"AU-How": "AU-How_2003", "AU-Tum": ""})
    result = run("fetch", "plumber2", "AU-Tum", "--cache", tmp_path, "--server", "https://mirror")
    assert result.stdout == f"{tmp_path / 'AU-Tum_Met.nc'}\n{tmp_path / 'AU-Tum_Flux.nc'}\n"
    assert run("fetch", "plumber2").stdout == "AU-How\nAU-Tum\n"


def test_fetch_takes_sites_of_fluxnet_and_lists_them(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "fetch_fluxnet", lambda site, cache, report: cache / f"{site}.zip")
    monkeypatch.setattr(data, "list_fluxnet_sites", lambda cache, report: {"CH-Dav": {}})
    assert run("fetch", "fluxnet", "CH-Dav", "--cache", tmp_path).stdout == f"{tmp_path / 'CH-Dav.zip'}\n"
    assert run("fetch", "fluxnet").stdout == "CH-Dav\n"


def test_sites_are_listed_chosen_and_added(tmp_path, monkeypatch):
    monkeypatch.setenv("BOWEN_CACHE", str(tmp_path / "own"))
    assert "BE-Vie" in run("sites").stdout
    (tmp_path / "table.csv").write_text("site,name,lat,lon,IGBP,MAT,MAP\nZZ-Aaa,Grove,-33.5,148,EBF,6.85,900\n")
    assert "1 sites added to" in run("sites", "--add", tmp_path / "table.csv").stderr
    table = run("sites", "--igbp", "EBF", "--near", "-33.0", "148.0", "100").stdout
    assert "ZZ-Aaa" in table and "6.9" in table and "FR-Pue" not in table
    found = json.loads(run("sites", "--near", "-33.0", "148.0", "100", "--json").stdout)
    assert [(entry["site"], entry["mean_annual_temperature"]) for entry in found] == [("ZZ-Aaa", 280.0)]
    assert "`PINE` is not an IGBP" in run("sites", "--igbp", "PINE", code=2).stderr


def test_an_archive_takes_what_can_be_used(tmp_path):
    pytest.importorskip("zarr", reason="an archive takes zarr: pip install bowen[archive]")
    folder = tmp_path / "towers"
    folder.mkdir()
    for kind, content in zip(("Met", "Flux"), plumber2_files(), strict=True):
        write_nc(folder / f"XX-Syn_2012_{kind}.nc", content)
    assert run("archive", tmp_path / "a.zarr", folder).stdout == "XX-Syn_2012-2012\n"
    (folder / "YY-Syn_2012_Met.nc").write_bytes(b"CDF\x01")
    result = run("archive", tmp_path / "a.zarr", folder, code=1)
    assert "2 of 2: YY-Syn_2012_Met.nc" in result.stderr and "1 of 2 records could not be used" in result.stderr
    assert run("archive", tmp_path / "a.zarr").stdout == "XX-Syn_2012-2012\n"


def test_an_archive_takes_daily_fluxes_for_weather_alone(tmp_path):
    pytest.importorskip("zarr", reason="an archive takes zarr: pip install bowen[archive]")
    met, _ = plumber2_files()
    path = write_nc(tmp_path / "XX-Syn_2012_Met.nc", met)
    days = {"Qle_daily": ("time", [50.0])}
    write_nc(tmp_path / "XX-Syn_daily_2012_Flux.nc", xr.Dataset(days, {"time": met.time.values[:1]}))
    run("archive", tmp_path / "a.zarr", path, "--daily", tmp_path)
    assert (data.open_record(tmp_path / "a.zarr", "XX-Syn").latent_heat[:48] == 50.0).all()
    told = run("archive", tmp_path / "a.zarr", path, "--daily", tmp_path / "nowhere", code=1).stderr
    assert told.count("has no daily fluxes") == 1 and "could not be used" not in told


def test_the_demo_without_a_network_offers_ways_on(tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise DataError("not in the cache. Run `bowen demo --file PATH` or `bowen demo --synthetic`.")

    monkeypatch.setattr(data, "fetch_demo", fail)
    assert "bowen demo --synthetic" in run("demo", "--out", tmp_path, code=1).stderr


def test_the_demo_is_of_one_kind():
    assert "leave out --file and --site" in run("demo", "--synthetic", "--file", "x.csv", code=2).stderr


def test_the_configuration_of_the_demo_is_sound():
    config = comparison.demo_config()
    assert config.data.met.name == "FLX_BE-Vie_2014.csv" and config.model.kind == "hybrid"
    names = list(comparison.comparison_models(config).values())
    assert [title_of(chosen) for chosen in names] == ["calibrated LaD", "hybrid", "LSTM"]


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "examples").glob("*.toml")), ids=lambda p: p.stem)
def test_the_examples_are_configurations(path):
    assert load_config(path).data.met.name


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["runs/site/site-A/hybrid/0"], [""]),
        (["runs/site/site-A/hybrid/0", "runs/site/site-B/hybrid/0"], ["site-A", "site-B"]),
        (["runs/site/site-A/hybrid/0", "runs/site/site-B/hybrid/1"], ["site-A/hybrid/0", "site-B/hybrid/1"]),
        (["a/b", "a/b/b"], ["a/b", "a/b/b"]),
        (["/a/one", "two"], ["/a/one", "two"]),
    ],
)
def test_runs_of_a_kind_are_named_by_what_tells_their_folders_apart(folders, names):
    assert comparison.distinguishing_parts([Path(folder) for folder in folders]) == names


def test_a_comparison_differs_only_in_what_it_compares():
    config = Config(
        data=DataConfig(met=Path("Met.nc")),
        model=ModelConfig(hidden_size=8),
        training=TrainingConfig(learning_rate=0.01),
    )
    process, hybrid, network = comparison.comparison_models(config).values()
    assert process.model.static == config.comparison.calibrated
    assert hybrid == config
    assert network == comparison.with_overrides(config, {"kind": "network"})


HISTORY = (ValidationRow(0, 0.9, 0.1, 0.1, 0.1, 20.0), ValidationRow(10, 0.5, 0.6, 0.625, 0.575, 25.0))


def test_progress_tells_loss_skill_and_time_left():
    config = Config(data=DataConfig(met=Path("Met.nc")), training=TrainingConfig(updates=111))
    assert "compiling" in output.training_status(config, ())
    assert output.training_status(config, HISTORY[:1]) == "loss 0.900, validation NSE LE 0.100 H 0.100"
    assert output.training_status(config, HISTORY) == "loss 0.500, validation NSE LE 0.625 H 0.575, at most 50 s left"
    basins = (ValidationRow(0, 0.9, 0.1, np.nan, np.nan, 20.0, 0.1),)
    assert output.training_status(config, basins) == "loss 0.900, validation NSE runoff 0.100"


@pytest.mark.parametrize("color", ["1", ""], ids=["terminal", "pipe"])
def test_progress_goes_to_stderr(capsys, monkeypatch, color):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("FORCE_COLOR", color)
    config = Config(data=DataConfig(met=Path("Met.nc")), training=TrainingConfig(updates=11))
    with output.show_training() as watch:
        watch(config, ())
        watch(config, HISTORY)
    told = capsys.readouterr()
    assert told.out == ""
    assert "hybrid" in told.err and "loss 0.500, validation NSE LE 0.625 H 0.575" in told.err


def test_a_narrow_terminal_loses_no_number_of_a_wide_table(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    numbers = [f"{place}.125" for place in range(9)]
    output.show_table(["variable", *("calibrated LaD + LSTM",) * 9], [["LE NSE median", *numbers]])
    shown = capsys.readouterr().out
    assert all(number in shown for number in numbers)


def test_names_too_long_for_a_column_are_broken_and_not_cut(capsys):
    names = [f"calibrated LaD (runs/site/site-{fold}/calibrated-lad/0)" for fold in "ABCDEFGHI"]
    output.show_table(["variable", "metric", *names], [["runoff", "runoff_ratio_error", *("0.05",) * 9]])
    told = capsys.readouterr().out
    assert "…" not in told and "runoff_ratio_error" in told

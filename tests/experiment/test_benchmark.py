"""The benchmark on an archive of made towers with the names of real ones: all models, interrupted and resumed."""

import dataclasses
import gc
import json
import shutil
import weakref

import jax
import numpy as np
import pandas as pd
import pytest

from bowen import data
from bowen.cli import output
from bowen.config.schema import dumps, parse
from bowen.data.features import Scaler
from bowen.errors import ConfigError, RunError
from bowen.evaluation.scores import SCORE_COLUMNS
from bowen.experiments import benchmark, origin
from bowen.experiments.archive_records import read_archive
from bowen.experiments.build import build_model
from bowen.experiments.comparison import with_overrides
from bowen.experiments.run import guide_hybrid, load_run, prepare_record
from bowen.experiments.twin_experiment import make_twin
from bowen.land.parameters import Parameters
from bowen.land.surface_exchange import PRIESTLEY_TAYLOR, RESISTANCE
from bowen.training.site_data import SiteData, fit_scaler

pytest.importorskip("zarr", reason="the towers lie in an archive: pip install bowen[archive]")
NOTHING_SEEN = Scaler({}, {})
SITES = ("US-Me2", "SE-Svb", "BE-Vie")
SETTINGS = {
    "data": {"met": "", "soil": "CMF", "net_radiation": "measured_if_available"},
    "model": {
        "dynamic": ["minimum_stomatal_resistance"],
        "static": ["root_zone_capacity", "closure_fraction"],
        "site_specific": ["closure_fraction"],
        "attributes": ["canopy_height"],
        "hidden_size": 4,
        "substeps": 1,
        "newton_iterations": 3,
    },
    "training": {"updates": 4, "window_days": 10, "windows_per_site": 3, "validate_every": 2, "spin_up_years": 1},
    "comparison": {"calibrated": ["minimum_stomatal_resistance"]},
    "benchmark": {"folds": ["A"], "models": ["1lin", "LaD", "calibrated LaD", "hybrid", "LSTM"]},
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark") / "towers.zarr"
    record, _ = make_twin(45)
    for site in SITES:
        data.write_record(folder, record.assign_attrs(site=site))
    return folder


def config(archive, **changes):
    tables = {name: dict(table) for name, table in SETTINGS.items()}
    tables["data"]["met"] = str(archive)
    for table, values in changes.items():
        tables[table] |= values
    return parse(tables, where="test")


@pytest.fixture
def optax_counts_in_integers():
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("optax_counts_in_integers")
def test_all_meet_and_nothing_is_done_twice(archive, tmp_path, capsys):
    said = []
    scores = benchmark.run_benchmark(config(archive), tmp_path, say=said.append)
    assert list(scores) == list(SCORE_COLUMNS)
    assert set(scores["model"]) == set(SETTINGS["benchmark"]["models"])
    assert set(scores["tower"].str[:6]) == {"US-Me2"} and set(scores["split"]) == {"test"}
    assert len(said) == 5 and all("2 records to train on, 1 to test" in line for line in said)

    (tmp_path / "site-A" / "lstm" / "0" / "scores.csv").unlink()
    again, said_again = [], []

    def watch(config, history):
        again.append((config.model.kind, len(history)))

    repeated = benchmark.run_benchmark(config(archive), tmp_path, watch=watch, say=said_again.append)
    assert [line.split(":")[0] for line in said_again] == ["site-A/lstm/0"]
    assert again == [("network", 2)]  # its training was finished
    pd.testing.assert_frame_equal(repeated, scores)

    seeded = benchmark.run_benchmark(
        config(archive, benchmark={"models": ["LSTM"], "seeds": [0, 1]}), tmp_path, say=said.append
    )
    assert set(seeded["model"]) == {"LSTM 0", "LSTM 1", "LSTM, mean of 2"}  # the first was there, under another name
    error = seeded.query("metric == 'rmse' and resolution == 'native'").pivot(
        index="variable", columns="model", values="value"
    )
    assert (error["LSTM, mean of 2"] < error[["LSTM 0", "LSTM 1"]].max(axis=1)).all()

    both = benchmark.run_benchmark(config(archive, benchmark={"models": ["hybrid + LSTM"]}), tmp_path, say=said.append)
    assert said[-1].startswith("site-A/hybrid-lstm/0: ") and set(both["model"]) == {"hybrid + LSTM"}
    of_both, of_each = (
        table.query("metric == 'bias' and resolution == 'native' and model in ['hybrid', 'LSTM', 'hybrid + LSTM']")
        for table in (both, scores)
    )
    mean = of_each.groupby("variable")["value"].mean()
    pd.testing.assert_series_equal(of_both.set_index("variable")["value"].sort_index(), mean, rtol=1e-4)
    led = benchmark.run_benchmark(config(archive, benchmark={"models": ["guided hybrid"]}), tmp_path, say=said.append)
    assert said[-1].startswith("site-A/guided-hybrid/0: ") and set(led["model"]) == {"guided hybrid"}
    own, network = (load_run(tmp_path / "site-A" / name / "0") for name in ("hybrid", "lstm"))
    with pytest.raises(RunError, match="were not trained on the same records with the same features"):
        guide_hybrid(own, dataclasses.replace(network, scaler=NOTHING_SEEN))
    with pytest.raises(RunError, match=r"`updates` in \[training\] is 4 there and 5 here"):
        benchmark.run_benchmark(config(archive, training={"updates": 5}), tmp_path)
    assert load_run(tmp_path / "site-A" / "calibrated-lad" / "0").title == "calibrated LaD"

    standings = benchmark.ranking_table(scores)
    assert list(standings.index) == SETTINGS["benchmark"]["models"]
    assert {"LE NSE median", "H NSE worst quarter", "LE KGE median", "H daily NSE median"} <= set(standings)
    output.show_ranking(standings, tmp_path)
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split("  ")[0] == "variable" and "calibrated LaD" in shown[0]
    assert any(line.startswith("H daily NSE worst quarter") for line in shown)
    nse = scores.query("metric == 'nse' and resolution == 'native' and variable == 'latent_heat' and model == 'LaD'")
    assert standings.loc["LaD", "LE NSE median"] == pytest.approx(nse["value"].item())


@pytest.fixture
def copied(archive, tmp_path):
    return shutil.copytree(archive, tmp_path / "towers.zarr")


def change(archive, site):
    record = data.open_record(archive, site).load()
    data.write_record(archive, record.assign(latent_heat=record.latent_heat + 50.0 * (record.latent_heat > 50.0)))


@pytest.mark.parametrize(
    ("site", "why"),
    [
        ("US-Me2", "test record US-Me2_2001-2001 has changed"),
        ("SE-Svb", "training record SE-Svb_2001-2001 has changed"),
    ],
)
def test_scores_of_a_record_that_has_changed_are_made_again(copied, tmp_path, site, why):
    asked, said = config(copied, benchmark={"models": ["1lin"]}), []
    before = benchmark.run_benchmark(asked, tmp_path / "out", say=said.append)
    pd.testing.assert_frame_equal(benchmark.run_benchmark(asked, tmp_path / "out", say=said.append), before)
    assert len(said) == 1, "nothing is done twice"
    change(copied, site)
    after = benchmark.run_benchmark(asked, tmp_path / "out", say=said.append)
    assert said[1:] == [f"site-A/1lin/0: 2 records to train on, 1 to test, made again because {why}"]
    assert not after["value"].equals(before["value"])
    (tmp_path / "out" / "site-A" / "1lin" / "0" / "scores.csv.origin.json").unlink()
    benchmark.run_benchmark(asked, tmp_path / "out", say=said.append)
    assert said[2].endswith("because it does not say what it was made of")


@pytest.mark.usefixtures("optax_counts_in_integers")
def test_a_model_is_trained_again_if_a_record_has_changed(copied, tmp_path, monkeypatch):
    """Not if only a record that it is tested on has; and the earlier one is kept."""
    asked, said = config(copied, benchmark={"models": ["LSTM"]}, training={"updates": 1, "validate_every": 1}), []
    place = tmp_path / "out" / "site-A" / "lstm"

    def run():
        said.clear()
        benchmark.run_benchmark(asked, tmp_path / "out", say=said.append)
        return load_run(place / "0").manifest.fingerprints

    first = run()
    change(copied, "US-Me2")
    assert run() == first and len(said) == 1
    change(copied, "SE-Svb")
    second = run()
    assert second != first and load_run(place / "0.earlier-1").manifest.fingerprints == first
    assert "is trained again because training record SE-Svb_2001-2001 has changed; the earlier one is in" in said[1]
    assert run() == second and not said
    monkeypatch.setattr(origin, "NUMBERS_VERSION", 2)
    run()
    assert "version of models has changed" in said[0] and (place / "0.earlier-2").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("optax_counts_in_integers")
def test_towers_that_give_fluxes_by_day_train_and_judge(archive, tmp_path):
    """Of the two the daily one of FR-Pue is judged; neither of the two of BE-Vie trains while one of them is judged."""
    folder = tmp_path / "both.zarr"
    half_hours = data.open_record(archive, "BE-Vie").load()
    days = data.add_daily_fluxes(half_hours, data.aggregate_to_days(half_hours)).drop_vars(
        ["sensible_heat", "sensible_heat_qc"]
    )
    later = days.assign_coords(time=days.time + np.timedelta64(3 * 365, "D"))
    for record in (half_hours, later, days.assign_attrs(site="FR-Pue"), half_hours.assign_attrs(site="US-Me2")):
        data.write_record(folder, record)
    asked = config(folder, benchmark={"split": "daily", "folds": ["C", "E"], "models": ["1lin", "hybrid", "LSTM"]})
    folds = {
        fold.name: (sorted(fold.train), sorted(fold.test))
        for fold in benchmark.assign_folds(asked, read_archive(asked))
    }
    assert folds["E"] == (["FR-Pue_2001-2001", "US-Me2_2001-2001"], ["BE-Vie_2004-2004"])
    scores = benchmark.run_benchmark(asked, tmp_path / "out", say=lambda _: None)
    judged = scores[["tower", "variable"]].drop_duplicates().to_numpy().tolist()
    assert sorted(judged) == [["BE-Vie_2004-2004", "latent_heat"], ["FR-Pue_2001-2001", "latent_heat"]]
    counts = scores.query("metric == 'n' and tower == 'BE-Vie_2004-2004' and resolution != 'monthly'")
    assert set(counts["value"]) == {30.0}  # days, but for those to settle
    assert not scores.query("metric == 'nse' and resolution == 'daily'")["value"].isna().any()
    site = config(folder, benchmark={"split": "site", "folds": ["A", "C"]})
    tests = {fold.name: sorted(fold.test) for fold in benchmark.assign_folds(site, read_archive(site))}
    assert tests == {"A": ["US-Me2_2001-2001"], "C": ["BE-Vie_2001-2001"]}


def test_fewer_records_train_and_they_are_among_more(archive):
    def trained(count):
        asked = config(archive, benchmark={"folds": ["A", "B", "C"], "train_records": count})
        return [(set(fold.train), set(fold.test)) for fold in benchmark.assign_folds(asked, read_archive(asked))]

    everything, one, many = trained(0), trained(1), trained(9)
    assert many == everything and [len(train) for train, _ in everything] == [2, 2, 2]
    for (train, test), (few, judges) in zip(everything, one, strict=True):
        assert judges == test and len(few) == 1 and few < train
    assert len(set.union(*(few for few, _ in one))) == 2  # in one order for all folds, the first of it wherever it may


@pytest.mark.slow
def test_one_model_of_all_towers_by_command(archive, tmp_path, bowen):
    path = tmp_path / "all.toml"
    path.write_text(dumps(config(archive)))
    bowen("train", path, "--out", tmp_path / "run")
    table = bowen("evaluate", tmp_path / "run", "--met", archive / "US-Me2", "--json").stdout
    assert {row["split"] for row in json.loads(table)} == {"train", "validation"}, "as its steps were in training"


def test_a_model_driven_by_measured_net_radiation_where_there_is_one(archive):
    record = data.open_record(archive, "US-Me2").load()
    without = config(archive)
    estimated = prepare_record(record.drop_vars(["net_radiation", "net_radiation_qc"], errors="ignore"), without)
    steps = record.sizes["time"]
    assert not data.has_net_radiation(estimated).any() and np.isfinite(estimated.net_radiation.values).all()
    assert f"Net radiation: {steps} steps estimated" in estimated.attrs["assumptions"]
    measured = estimated.assign(
        net_radiation_qc=0 * estimated.net_radiation_qc, net_radiation=estimated.net_radiation + 7.0
    )
    measured.net_radiation.values[5:8] = np.nan
    complete = prepare_record(measured, without)
    known = data.has_net_radiation(complete)
    assert known.sum() == steps - 3 and not known[5:8].any()
    scaler = fit_scaler(without, [(complete, np.full(steps, "train"))])
    driving = SiteData(complete, scaler=scaler, config=without).arrays.inputs.forcing
    np.testing.assert_array_equal(np.isnan(driving.net_radiation), ~known)
    assert np.isfinite(driving.longwave_down).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"benchmark": {"models": ["Noah"]}},
            r"\[benchmark\]: `models` names 'Noah'; there are 1lin, .*LSTM",
        ),
        ({"benchmark": {"folds": ["E"]}}, r"\[benchmark\]: `folds` names E; there are A, B, C, D"),
        ({"benchmark": {"split": "time", "folds": []}}, "towers.zarr: holds no tower of the split `time`"),
        (
            {"benchmark": {"split": "time", "folds": [], "train_records": 1}},
            "`train_records` is for the splits of towers",
        ),
        ({"data": {"exclude": ["XX-Yyy"]}}, r"\[data\]: `exclude` names XX-Yyy, and towers.zarr holds BE-Vie"),
    ],
)
def test_what_is_refused(archive, tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        benchmark.run_benchmark(config(archive, **changes), tmp_path)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            {"site_specific": ["root_zone_capacity", "emissivity"]},
            "`site_specific` names emissivity, which `static` or `dynamic` does not",
        ),
        (
            {"water_corrections": ["root_zone_capacity"]},
            "`water_corrections` names root_zone_capacity, which `site_specific` does not",
        ),
        ({"regionalized": ["snow_albedo"]}, "`regionalized` names snow_albedo, which `static` or `dynamic` does not"),
    ],
)
def test_sites_differ_only_in_what_is_learned(archive, setting, message):
    with pytest.raises(ConfigError, match=message):
        config(archive, model=setting)


def test_a_hybrid_by_energy_differs_in_its_law_alone(archive):
    asked = config(
        archive,
        model={"site_specific": ["minimum_stomatal_resistance"], "regionalized": ["minimum_stomatal_resistance"]},
    )
    plain, other = (
        with_overrides(asked, benchmark.LEARNED[name](asked)).model for name in ("hybrid", "hybrid by energy")
    )
    assert other.evaporation == "priestley_taylor" and other.static == plain.static
    assert other.dynamic == other.site_specific == other.regionalized == ("priestley_taylor_coefficient",)
    ours, theirs = (
        build_model(with_overrides(asked, dict(model)), NOTHING_SEEN, Parameters()).solver for model in (plain, other)
    )
    assert theirs.evaporation is PRIESTLEY_TAYLOR and dataclasses.replace(theirs, evaporation=RESISTANCE) == ours


@pytest.mark.usefixtures("optax_counts_in_integers")
def test_no_more_records_are_in_memory_than_are_kept(archive, tmp_path, monkeypatch):
    """Counted whenever one is read for a training of one update, which reads each three times."""
    monkeypatch.setattr("bowen.experiments.archive_records.MAX_IN_MEMORY", 1)
    asked, read, alive = config(archive, model={"kind": "network"}, training={"updates": 1}), [], []

    def counted(dataset, config):
        read.append(weakref.ref(record := prepare_record(dataset, config)))
        gc.collect()
        alive.append(sum(of() is not None for of in read))
        return record

    monkeypatch.setattr("bowen.experiments.archive_records.prepare_record", counted)
    benchmark.train_all(asked, tmp_path)
    assert len(read) == 3 * len(SITES) and max(alive) <= 3  # one kept, one in the hands of who asked, one just read


def test_sites_without_a_code_are_told_apart():
    assert benchmark.site_identity("us-me2_2002-2002") == benchmark.site_identity("US-Me2") == "US-ME2"
    first, second = map(benchmark.site_identity, ("US-GooseCreek_2016-2019", "Hillside_2010-2011"))
    assert first == benchmark.site_identity("US-GooseCreek") != second

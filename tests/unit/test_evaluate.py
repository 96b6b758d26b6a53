"""Scores against numbers computed by hand, and budgets that close or are caught."""

import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bowen.errors import DataError, RunError
from bowen.evaluation.metrics import ranked_metrics, select_metrics, standard_metrics
from bowen.evaluation.scores import (
    SCORE_COLUMNS,
    audit_budgets,
    average_pairs,
    read_scores,
    score,
    score_table,
    select_pairs,
    write_scores,
)
from tests.unit.made_tower import in_budgets

OBSERVED = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0])
SIMULATED = np.array([2.0, 2.0, 4.0, 4.0, 6.0, 6.0, 8.0, 8.0, 10.0, 10.0])


def sample(simulated, observed):
    """Pairs at hourly steps."""
    time = pd.date_range("2020-06-01", periods=len(observed), freq="h")
    return xr.Dataset({"simulated": ("time", simulated), "observed": ("time", observed)}, {"time": time})


def record(latent_heat, *, freq="h", qc=0, start="2020-06-01"):
    """A record of one target; `qc` is a number or one for each step."""
    time = pd.date_range(start, periods=len(latent_heat), freq=freq)
    flags = np.broadcast_to(np.asarray(qc, "int8"), len(time))
    variables = {"latent_heat": ("time", np.asarray(latent_heat, float)), "latent_heat_qc": ("time", flags)}
    return xr.Dataset(variables, {"time": time}, {"site": "XX-Tst"})


def simulation(latent_heat, **keywords):
    return record(latent_heat, **keywords)[["latent_heat"]]


def scored(simulated, observed, split=None, **keywords):
    """Scores of latent heat, as a dictionary by split, resolution and metric."""
    split = np.full(observed.sizes["time"], "test") if split is None else split
    frame = score(simulated, observed, split, model="hybrid", targets=("latent_heat",), **keywords)
    assert tuple(frame.columns) == SCORE_COLUMNS
    assert set(frame.tower) == {"XX-Tst"} and set(frame.model) == {"hybrid"} and set(frame.variable) == {"latent_heat"}
    rows = frame[["split", "resolution", "metric", "value"]].itertuples(index=False, name=None)
    return {tuple(key): value for *key, value in rows}


def test_every_metric_is_what_a_pencil_gives():
    """Errors are 1, 0, 1, 0 ...; the observed variance is 8.25 and the simulated one 8."""
    found = standard_metrics(sample(SIMULATED, OBSERVED))
    correlation = 8.0 / math.sqrt(8.25 * 8.0)
    assert found["rmse"] == pytest.approx(math.sqrt(0.5))
    assert found["bias"] == pytest.approx(0.5)
    assert found["bias_percent"] == pytest.approx(100 * 0.5 / 5.5)
    assert found["nse"] == pytest.approx(1 - 0.5 / 8.25)
    assert found["correlation"] == pytest.approx(correlation)
    distance = math.hypot(correlation - 1, math.sqrt(8.0 / 8.25) - 1, 6.0 / 5.5 - 1)
    assert found["kge"] == pytest.approx(1 - distance)
    assert found["n"] == 10


def test_a_perfect_simulation_and_the_observed_mean_mark_the_ends_of_the_scale():
    assert standard_metrics(sample(OBSERVED, OBSERVED)) == pytest.approx(
        {"nse": 1, "kge": 1, "rmse": 0, "bias": 0, "bias_percent": 0, "correlation": 1, "n": 10}
    )
    mean = standard_metrics(sample(np.full(10, 5.5), OBSERVED))
    assert mean["nse"] == pytest.approx(0) and mean["bias"] == pytest.approx(0)
    assert math.isnan(mean["correlation"]) and math.isnan(mean["kge"])


def test_a_constant_record_has_an_error_but_no_skill():
    found = standard_metrics(sample(OBSERVED, np.full(10, 5.5)))
    assert math.isnan(found["nse"]) and math.isnan(found["kge"]) and math.isnan(found["correlation"])
    assert found["rmse"] == pytest.approx(math.sqrt(8.25))


def test_too_few_pairs_give_a_count_and_no_score():
    found = standard_metrics(sample(SIMULATED[:9], OBSERVED[:9]))
    assert found["n"] == 9 and list(found) == list(select_metrics("standard"))
    assert all(math.isnan(found[metric]) for metric in list(found)[:-1])


@pytest.mark.parametrize("flag", [1, 2, 3, 4, 5, 6, 7, 9])
def test_a_step_that_was_not_measured_never_counts(flag):
    """Absurd values under any flag but 0 change nothing."""
    qc = np.zeros(40, int)
    qc[::4] = flag
    truth = np.sin(np.arange(40.0))
    found = scored(simulation(truth), record(np.where(qc == 0, truth, 1e6), qc=qc))
    assert found["test", "native", "n"] == 30 and found["test", "native", "nse"] == pytest.approx(1)


def test_a_measured_step_without_a_value_never_counts():
    truth = np.sin(np.arange(40.0))
    found = scored(simulation(truth), record(np.where(np.arange(40) % 4, truth, np.nan)))
    assert found["test", "native", "n"] == 30


def test_splits_are_scored_apart_and_unused_steps_not_at_all():
    split = np.repeat(["", "train", "validation", "test"], 24)
    truth = np.sin(np.arange(96.0))
    found = scored(simulation(truth + np.repeat([9.0, 1.0, 2.0, 3.0], 24)), record(truth), split)
    assert [found[name, "native", "bias"] for name in ("train", "validation", "test")] == pytest.approx([1, 2, 3])
    assert {key[0] for key in found} == {"train", "validation", "test"}


def test_the_warm_up_is_left_out():
    truth = np.sin(np.arange(96.0))
    spoiled = truth + np.repeat([100.0, 0.0], 48)
    found = scored(simulation(spoiled), record(truth), warmup_days=2)
    assert found["test", "native", "n"] == 48 and found["test", "native", "rmse"] == pytest.approx(0)


def test_a_day_counts_when_half_of_it_was_measured():
    """Day k has k measured hours of 24 at value k; the days from 12 hours on remain, averaged over those hours."""
    hours = np.tile(np.arange(24), 24)
    day = np.repeat(np.arange(24), 24)
    observed = record(day.astype(float), qc=np.where(hours < day, 0, 1))
    simulated = simulation(np.where(hours < day, day + 1.0, 1e6))
    found = scored(simulated, observed)
    assert found["test", "daily", "n"] == 12
    assert found["test", "daily", "bias"] == pytest.approx(1) and found["test", "daily", "rmse"] == pytest.approx(1)


def test_daily_means_are_those_of_local_days():
    values = np.arange(48.0)
    keep = np.ones(48, bool)
    means = average_pairs(
        select_pairs(simulation(values), record(values), "latent_heat", keep, model="hybrid"), "daily", 3600.0
    )
    np.testing.assert_array_equal(means.observed, [11.5, 35.5])
    np.testing.assert_array_equal(means.time, np.array(["2020-06-01", "2020-06-02"], "datetime64[ns]"))


def test_fluxes_given_by_day_are_met_by_the_means_of_whole_days():
    hours = np.arange(24 * 30)
    course = 40.0 * np.sin(2 * np.pi * hours / 24.0)
    days = np.repeat(np.random.default_rng(0).normal(100.0, 20.0, 30), 24)
    observed = record(days, qc=9 * (hours // 24 == 3)).assign_attrs(flux_interval_s=86400)
    found = scored(simulation(days + course), observed, resolutions=("native", "daily", "monthly"))
    assert found["test", "native", "nse"] == found["test", "daily", "nse"] == pytest.approx(1.0)
    assert found["test", "native", "n"] == 29 and found["test", "monthly", "n"] == 1
    for inside_steps, whole_days in ((hours < 240, 9), (course > 0.0, 0)):
        inside = scored(simulation(days + course), observed, subsets={"part": inside_steps})
        assert inside["test", "native", "n"] == whole_days


def test_half_hours_and_hours_follow_the_same_daily_rule():
    values = np.arange(48.0)
    qc = np.r_[np.zeros(24), np.ones(24)]
    half_hourly = record(values, qc=qc, freq="30min")
    assert scored(simulation(values, freq="30min"), half_hourly)["test", "daily", "n"] == 1
    qc[0] = 1
    assert scored(simulation(values, freq="30min"), record(values, qc=qc, freq="30min"))["test", "daily", "n"] == 0


def test_what_cannot_be_compared_is_refused_with_advice():
    truth = record(np.arange(20.0))
    split = np.full(20, "test")
    with pytest.raises(DataError, match=r"(?s)hybrid: .*2020-07-01T00:00.*time axes.*observed.sel"):
        score(simulation(np.arange(20.0), start="2020-07-01"), truth, split, model="hybrid", targets=["latent_heat"])
    with pytest.raises(DataError, match=r"split has shape \(3,\) for 20 steps"):
        score(truth, truth, split[:3], model="hybrid", targets=["latent_heat"])
    with pytest.raises(DataError, match=r"(?s)unknown split label 'holdout'.*train, validation, test"):
        score(truth, truth, np.full(20, "holdout"), model="hybrid", targets=["latent_heat"])
    with pytest.raises(DataError, match=r"hybrid: the simulation has no latent_heat"):
        score(truth[["latent_heat_qc"]], truth, split, model="hybrid", targets=["latent_heat"])
    with pytest.raises(DataError, match="XX-Tst: the record has no sensible_heat, sensible_heat_qc"):
        score(truth, truth, split, model="hybrid")


def test_a_simulation_that_is_not_finite_is_refused_and_located():
    values = np.arange(20.0)
    broken = np.where(values == 7, np.nan, values)
    with pytest.raises(DataError, match=r"(?s)latent_heat is not finite at 1 of 20 steps .* first at 2020-06-01T07:00"):
        scored(simulation(broken), record(values))
    qc = (values == 7).astype(int)
    assert scored(simulation(broken), record(values, qc=qc))["test", "native", "n"] == 19


def test_scores_survive_the_disk(tmp_path):
    truth = record(np.arange(20.0))
    frame = score(truth, truth, np.full(20, "test"), model="NA", targets=["latent_heat"])
    read = read_scores(write_scores(frame, tmp_path / "runs" / "scores.csv"))
    pd.testing.assert_frame_equal(read, frame, check_dtype=False)
    assert read["value"].dtype == float


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("tower,model,value\nXX-Tst,hybrid,1\n", "the columns are tower,model,value and should be tower,model,split"),
        ("", "not a table of scores"),
        (
            f"{','.join(SCORE_COLUMNS)}\nXX-Tst,hybrid,test,all,latent_heat,native,nse,good\n",
            "not a table of scores .*good",
        ),
    ],
    ids=["columns", "empty", "not a number"],
)
def test_a_spoiled_score_file_is_named(tmp_path, content, message):
    path = tmp_path / "scores.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=rf"(?s)scores\.csv.*{message}.*fix"):
        read_scores(path)


def test_scores_without_a_subset_are_of_all_steps(tmp_path):
    truth = record(np.arange(20.0))
    frame = score(truth, truth, np.full(20, "test"), model="hybrid", targets=["latent_heat"])
    frame.drop(columns="subset").to_csv(tmp_path / "old.csv", index=False)
    frame.rename(columns={"subset": "regime"}).to_csv(tmp_path / "renamed.csv", index=False)
    for name in ("old.csv", "renamed.csv"):
        pd.testing.assert_frame_equal(read_scores(tmp_path / name), frame, check_dtype=False)


def test_subsets_are_scored_separately():
    """The error is 1 by day and 3 by night."""
    day = np.arange(480) % 24 < 12
    truth = np.sin(np.arange(480.0))
    subsets = {"day": day, "night": ~day, "all": np.full(480, True)}
    frame = score(
        simulation(truth + np.where(day, 1.0, 3.0)), record(truth), np.full(480, "test"), model="hybrid",
        targets=["latent_heat"], subsets=subsets, resolutions=["native", "daily"], metrics="plumber2",
    )  # fmt: skip
    bias = frame.query("metric == 'bias'").set_index(["subset", "resolution"])["value"]
    assert bias.to_dict() == pytest.approx(
        {("day", "native"): 1, ("day", "daily"): 1, ("night", "native"): 3, ("night", "daily"): 3}
        | {("all", "native"): 2, ("all", "daily"): 2}
    )
    assert set(frame.metric) == {*ranked_metrics("plumber2"), "bias", "n"}
    assert set(score_table(frame, subset="night").columns.get_level_values("metric")) == {
        *ranked_metrics("plumber2"),
        "bias",
        "n",
    }


def test_a_day_of_a_subset_has_a_mean_when_half_of_it_was_measured():
    """Twelve hours of each day are light; on day k, k of them are measured and all of the night."""
    hour, day = np.arange(480) % 24, np.arange(480) // 24
    light = hour < 12
    observed = record(np.ones(480), qc=np.where(light & (hour >= day), 1, 0))
    frame = score(
        simulation(np.ones(480)), observed, np.full(480, "test"), model="hybrid", targets=["latent_heat"],
        subsets={"day": light}, resolutions=["daily"],
    )  # fmt: skip
    assert frame.query("metric == 'n'")["value"].tolist() == [14]  # the days with six hours and more


def test_a_month_has_a_mean_when_a_quarter_of_it_was_measured():
    """Of January 8 of 31 days are there, of February 7 of 29, of March 7 of 31."""
    time = pd.date_range("2020-01-01", "2020-03-31T23", freq="h")
    keep = time.day <= np.where(time.month == 1, 8, 7)
    values = time.month.to_numpy() * 100.0 + time.day.to_numpy()
    means = average_pairs(sample(values[keep], values[keep]).assign_coords(time=time[keep]), "monthly", 3600.0)
    np.testing.assert_allclose(means.observed, [104.5])
    wider = average_pairs(sample(values, values).assign_coords(time=time), "monthly", 3600.0)
    np.testing.assert_array_equal(wider.time, np.array(["2020-01", "2020-02", "2020-03"], "datetime64[ns]"))
    with pytest.raises(DataError, match=r"(?s)resolution 'weekly': unknown resolution.*native, daily, monthly"):
        average_pairs(wider, "weekly", 3600.0)


def test_a_missing_score_file_says_how_to_make_it(tmp_path):
    with pytest.raises(RunError, match=r"(?s)no such file.*bowen evaluate"):
        read_scores(tmp_path / "scores.csv")


def test_other_columns_are_not_written(tmp_path):
    with pytest.raises(DataError, match="these scores: the columns are nse"):
        write_scores(pd.DataFrame({"nse": [1.0]}), tmp_path / "scores.csv")
    assert not any(tmp_path.iterdir())


def test_a_full_disk_loses_no_scores(tmp_path, monkeypatch):
    truth = record(np.arange(20.0))
    frame = score(truth, truth, np.full(20, "test"), model="hybrid", targets=["latent_heat"])
    path = write_scores(frame, tmp_path / "scores.csv")
    before = path.read_text()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RunError, match=r"(?s)scores\.csv: cannot be written .*No space left on device"):
        write_scores(frame.head(2), path)
    assert path.read_text() == before and list(tmp_path.iterdir()) == [path]


def test_the_table_keeps_models_and_metrics_in_order():
    truth = record(np.arange(20.0))
    models = [score(truth, truth, np.full(20, "test"), model=name, targets=["latent_heat"]) for name in ("z", "a")]
    wide = score_table(pd.concat(models), split="test", resolution="native")
    assert list(wide.index) == [("XX-Tst", "z"), ("XX-Tst", "a")]
    assert list(wide.columns) == [("latent_heat", metric) for metric in select_metrics("standard")]
    assert wide.loc[("XX-Tst", "a"), ("latent_heat", "nse")] == pytest.approx(1)
    with pytest.raises(
        DataError, match=r"(?s)train/all/native: there are no such scores.*test/all/daily, test/all/native"
    ):
        score_table(pd.concat(models), split="train")


def budgeted(leak=0.0):
    """Ten hours of a bucket that rains, evaporates and runs off; `leak` is water that nobody reports. [kg m-2 s-1]"""
    rates = {"rainfall": 3e-4, "snowfall": 1e-4, "external_supply": 5e-5, "evapotranspiration": 1e-4, "runoff": 5e-5}
    time = pd.date_range("2020-01-01", periods=10, freq="h")
    gain = 3600 * (rates["rainfall"] + rates["external_supply"] - rates["evapotranspiration"] - rates["runoff"] - leak)
    stores = {
        "snow_water": 3600 * rates["snowfall"] * np.arange(1, 11),
        "root_zone_water": 50 + gain * np.arange(1, 11),
        "groundwater": np.full(10, 7.0),
        "quickflow_water": np.zeros(10),
        "canopy_water": np.zeros(10),
    }
    heat = {name: np.full(10, 25.0) for name in ("latent_heat", "sensible_heat", "ground_heat", "fusion_heat")}
    heat["net_radiation"] = np.full(10, 100.0)
    residuals = {"energy_residual": np.zeros(10), "water_residual": np.zeros(10)}
    series = {name: np.full(10, rate) for name, rate in rates.items()} | stores | heat | residuals
    variables = {name: ("time", values) for name, values in series.items()}
    return in_budgets(xr.Dataset(variables, {"time": time}, {"model": "bucket"}))


def test_the_audit_sums_the_water_again():
    found = audit_budgets(budgeted())
    assert found["precipitation"] == pytest.approx(9 * 3600 * 4e-4)
    assert found["external_water"] == pytest.approx(9 * 3600 * 5e-5)
    assert found["storage_change"] == pytest.approx(9 * 3600 * 3e-4)
    assert found["water_closure"] == pytest.approx(0, abs=1e-12)


def test_the_audit_finds_a_leak_that_the_model_does_not_report():
    found = audit_budgets(budgeted(leak=1e-6))
    assert found["water_residual_max"] == 0
    assert found["water_closure"] == pytest.approx(9 * 3600 * 1e-6)


def test_the_audit_finds_heat_that_no_flux_carries():
    """From the fluxes of the file, whatever the model says of its residual."""
    simulated = budgeted()
    assert audit_budgets(simulated)["energy_closure_max"] == 0.0
    simulated["latent_heat"][3] += 2.0
    found = audit_budgets(simulated)
    assert found["energy_residual_max"] == 0.0
    assert found["energy_closure_max"] == 2.0 and found["energy_closure_max_time"] == "2020-01-01T03:00:00"


def test_the_audit_tells_the_worst_step():
    simulated = budgeted()
    simulated["energy_residual"][4] = -3e-9
    simulated["water_residual"][8] = 2e-14
    found = audit_budgets(simulated)
    assert found["energy_residual_max"] == 3e-9 and found["energy_residual_max_time"] == "2020-01-01T04:00:00"
    assert found["water_residual_max"] == 2e-14 and found["water_residual_max_time"] == "2020-01-01T08:00:00"
    assert found["energy_residual_mean"] == pytest.approx(-3e-10)


def test_a_residual_that_is_no_number_is_not_hidden():
    simulated = budgeted()
    simulated["energy_residual"][[1, 6]] = [1.0, np.nan]
    found = audit_budgets(simulated)
    assert math.isnan(found["energy_residual_max"]) and found["energy_residual_max_time"] == "2020-01-01T06:00:00"


def test_the_audit_finds_a_store_by_its_attribute():
    """A process of one's own that stores water is in the budget without a change here."""
    simulated = budgeted(leak=1e-6)
    simulated["surface_water"] = ("time", 3600e-6 * np.arange(10), {"water_budget": "store"})
    assert audit_budgets(simulated)["water_closure"] == pytest.approx(0, abs=1e-12)


def test_a_model_without_budgets_cannot_be_audited():
    with pytest.raises(
        DataError, match=r"(?s)LSTM: there is no budget .* without energy_residual, water_residual.*physical model"
    ):
        audit_budgets(record(np.arange(3.0)).assign_attrs(model="LSTM"))


def test_a_file_whose_variables_name_no_budget_is_refused():
    simulated = budgeted().drop_attrs().assign_attrs(model="bucket")
    with pytest.raises(DataError, match=r"(?s)bucket: no variables name themselves as stores.*simulate again"):
        audit_budgets(simulated)

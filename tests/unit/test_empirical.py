"""Empirical models against laws that are known, in the clusters and with the weights they should have."""

import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from bowen.errors import ConfigError, DataError
from bowen.evaluation.empirical import MODELS, Lag, fit
from bowen.evaluation.empirical.inputs import lagged_mean, stack_inputs
from bowen.evaluation.empirical.models import equal_weights
from bowen.evaluation.empirical.regressions import boosted, clustered, linear
from bowen.evaluation.scores import score

CLUSTERED = [name for name in MODELS if "km" in name]


def tower(law=lambda weather: 20.0 + 0.3 * weather.shortwave_down, *, days=60, seed=0, site=None):
    """Random half-hours at a tower whose two fluxes follow a law exactly."""
    draw = np.random.default_rng(seed)
    time = pd.date_range("2020-01-01", periods=48 * days, freq="30min")
    weather = {
        "shortwave_down": np.maximum(draw.normal(200.0, 300.0, len(time)), 0.0),
        "air_temperature": draw.normal(288.0, 8.0, len(time)),
        "vapor_pressure_deficit": draw.uniform(0.0, 1000.0, len(time)),
        "wind_speed": draw.gamma(2.0, 1.5, len(time)),
        "precipitation": np.where(draw.random(len(time)) < 0.05, 1e-4, 0.0),
        "longwave_down": draw.normal(320.0, 30.0, len(time)),
    }
    record = xr.Dataset(
        {name: ("time", values) for name, values in weather.items()}, {"time": time}, {"site": site or f"XX-{seed:03}"}
    )
    record["latent_heat"] = law(record)
    record["sensible_heat"] = -10.0 + 2.0 * record.latent_heat
    for target in ("latent_heat", "sensible_heat"):
        record[f"{target}_qc"] = ("time", np.zeros(len(time), "int8"))
    return record


def trained(name, *towers):
    return fit(name, towers, [np.ones(record.sizes["time"], bool) for record in towers])


def test_a_linear_tower_is_recovered_by_one_input():
    elsewhere = tower(seed=9)
    fluxes = trained("1lin", tower(), tower(seed=1)).predict(elsewhere)
    np.testing.assert_allclose(fluxes.latent_heat, 20.0 + 0.3 * elsewhere.shortwave_down, rtol=1e-9)
    np.testing.assert_allclose(fluxes.sensible_heat, 30.0 + 0.6 * elsewhere.shortwave_down, rtol=1e-9)
    assert fluxes.attrs == {"site": "XX-009", "model": "1lin"} and fluxes.latent_heat.attrs["units"] == "W m-2"


def test_the_second_input_is_the_temperature():
    def law(weather):
        return 0.1 * weather.shortwave_down + 2.0 * (weather.air_temperature - 280.0)

    records = tower(law), tower(law, seed=1)
    elsewhere = tower(law, seed=9)
    errors = {
        name: float(abs(trained(name, *records).predict(elsewhere).latent_heat - elsewhere.latent_heat).max())
        for name in ("1lin", "2lin")
    }
    assert errors["2lin"] < 1e-8 and errors["1lin"] > 10.0


def test_only_measured_steps_of_the_training_train():
    record = tower()
    spoiled = record.copy(deep=True)
    spoiled["latent_heat"][:100] = 1e6
    spoiled["latent_heat_qc"][:100] = 1
    spoiled["latent_heat"][100:200] = np.nan
    spoiled["latent_heat"][200:300] = -1e6
    steps = np.arange(record.sizes["time"]) >= 300
    steps[:200] = True
    fluxes = fit("1lin", [spoiled], [steps]).predict(record)
    np.testing.assert_allclose(fluxes.latent_heat, record.latent_heat, rtol=1e-9)


def test_a_tower_without_a_flux_trains_the_other_one():
    bare = tower(lambda weather: 7.0 + 0.0 * weather.shortwave_down, seed=1).drop_vars(
        ["latent_heat", "latent_heat_qc"]
    )
    elsewhere = tower(seed=9)
    fluxes = trained("1lin", tower(), bare).predict(elsewhere)
    np.testing.assert_allclose(fluxes.latent_heat, elsewhere.latent_heat, rtol=1e-9)
    assert abs(fluxes.sensible_heat - elsewhere.sensible_heat).max() > 1.0


def test_towers_count_the_same_however_long():
    """With no weather to tell them apart, the flux is the mean over towers of their means: (0 + 90 + 30) / 3."""
    records = []
    for site, flux, days in (("XX-Aaa", 0.0, 100), ("XX-Bbb", 90.0, 3), ("XX-Ccc", 20.0, 1), ("XX-Ccc", 40.0, 1)):
        record = tower(lambda weather, flux=flux: 0.0 * weather.shortwave_down + flux, days=days, site=site)
        record["shortwave_down"][:] = 100.0
        records.append(record)
    np.testing.assert_allclose(trained("1lin", *records).predict(records[0]).latent_heat, 40.0)


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 50)), min_size=1).filter(lambda x: any(n for _, n in x))
)
def test_weights_share_out_evenly(records):
    sites, counts = zip(*records, strict=True)
    weights = equal_weights(sites, counts)
    of = np.repeat(sites, counts)
    np.testing.assert_allclose(weights.mean(), 1.0)
    np.testing.assert_allclose([weights[of == site].sum() for site in set(of)], len(of) / len(set(of)))


def blobs(many, few):
    """Two clouds of points, each with a flux that is linear in it: 1 + 2x on the left, 500 - 3x on the right."""
    draw = np.random.default_rng(0)
    inputs = np.concatenate([draw.normal(-100.0, 1.0, many), draw.normal(100.0, 1.0, few)])[:, None]
    return inputs, np.where(inputs[:, 0] < 0, 1.0 + 2.0 * inputs[:, 0], 500.0 - 3.0 * inputs[:, 0])


def test_each_cluster_has_a_regression_of_its_own():
    inputs, flux = blobs(400, 300)
    predictor = clustered(inputs, flux, np.ones(700), clusters=2, starts=10)
    np.testing.assert_allclose(predictor(np.array([[-90.0], [90.0]])), [-179.0, 230.0], rtol=1e-9)


def test_a_cluster_of_few_has_the_regression_over_all():
    inputs, flux = blobs(400, 40)
    predictor, over_all = (
        clustered(inputs, flux, np.ones(440), clusters=2, starts=10),
        linear(inputs, flux, np.ones(440)),
    )
    here, there = np.array([[-90.0]]), np.array([[90.0]])
    np.testing.assert_allclose(predictor(here), -179.0, rtol=1e-9)
    np.testing.assert_allclose(predictor(there), over_all(there), rtol=1e-12)


def test_what_does_not_vary_has_no_slope():
    """All nights are dark: a light that was never seen there must not be extrapolated to."""
    draw = np.random.default_rng(0)
    inputs = np.stack([1e-9 * draw.normal(size=500), draw.normal(size=500)], axis=1)
    noise = draw.normal(size=500)
    predictor = linear(inputs + np.where(np.arange(500) == 0, 1e-9, 0.0)[:, None], noise, np.ones(500))
    assert np.isfinite(predictor(np.zeros((1, 2)))).all()
    two = np.concatenate([inputs, [[1e3, 0.0]] * 500])
    dark = clustered(two, np.r_[noise, np.zeros(500)], np.ones(1000), clusters=2, starts=10)
    assert abs(dark(np.array([[10.0, 0.0]]))).max() < 1.0


def test_fewer_steps_than_clusters_are_enough():
    record = tower(days=2).isel(time=slice(60))
    for name in CLUSTERED:
        np.testing.assert_allclose(trained(name, record).predict(record).latent_heat, record.latent_heat, rtol=1e-6)


def test_a_large_sample_stands_for_all_towers():
    """50 000 steps of one cloud and 50 of another with as much weight: both must find their clusters."""
    draw = np.random.default_rng(0)
    inputs = np.r_[draw.normal(0.0, 1.0, 50_000), draw.normal(30.0, 1.0, 200)][:, None]
    flux = np.where(inputs[:, 0] < 15.0, 0.0, 100.0 + inputs[:, 0])
    predictor = clustered(inputs, flux, equal_weights("ab", (50_000, 200)), clusters=2, starts=10)
    np.testing.assert_allclose(predictor(np.array([[0.0], [31.0]])), [0.0, 131.0], atol=1e-8)


def test_trees_find_what_no_line_does():
    draw = np.random.default_rng(0)
    inputs = draw.uniform(-1.0, 1.0, (4000, 2))
    flux = np.where(inputs[:, 0] > 0.0, 100.0, 0.0)
    predictor = boosted(inputs, flux, np.ones(4000))
    np.testing.assert_allclose(predictor(np.array([[-0.5, 0.0], [0.5, 0.0]])), [0.0, 100.0], atol=0.1)
    np.testing.assert_array_equal(predictor(inputs), boosted(inputs, flux, np.ones(4000))(inputs))


@pytest.mark.parametrize("name", MODELS)
def test_a_law_learned_at_towers_holds_at_another(name):
    def law(weather):
        return 0.4 * np.maximum(weather.shortwave_down - 200.0, 0.0)

    elsewhere = tower(law, seed=9)
    model = trained(name, tower(law), tower(law, seed=1), tower(law, seed=2))
    frame = score(model.predict(elsewhere), elsewhere, np.full(elsewhere.sizes["time"], "test"), model=name)
    skill = frame.query("metric == 'nse' and resolution == 'native'").value.to_numpy()
    assert len(skill) == 2
    assert (skill > 0.97).all() if name in {"3km27", "boosting"} else (skill > 0.7).all()


def test_humidity_is_taken_from_what_is_filled():
    record = tower()
    record["vapor_pressure_deficit"][:2] = [-20.0, 0.0]
    record["vapor_pressure_deficit"][2] = 1e5
    record["relative_humidity"] = ("time", np.full(record.sizes["time"], np.nan))
    assert stack_inputs(["relative_humidity"], record)[:3, 0].tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("hours", [0.5, 1.0], ids=["half-hours", "hours"])
def test_a_lag_is_the_mean_over_days_before(hours):
    """Of a value that is its time in days, the mean over days 7 to 1 before is 4 days ago, less half a step."""
    time = pd.date_range("2020-01-01", periods=round(30 * 24 / hours), freq=pd.Timedelta(hours=hours)).to_numpy()
    days = (time - time[0]) / np.timedelta64(1, "D")
    mean = lagged_mean(days, Lag("any", 1, 7), time)
    late = days >= 7
    np.testing.assert_allclose(mean[late], days[late] - 4.0 - hours / 48)
    assert (mean[~late] > days[~late] - 4.0).any()


def test_before_a_record_was_the_end_of_its_first_year():
    time = pd.date_range("2020-01-01", periods=400 * 24, freq="h").to_numpy()
    values = np.where(np.arange(len(time)) // 24 == 364, 24.0, 0.0)
    values[365 * 24 :] = 1e6
    mean = lagged_mean(values, Lag("any", 0, 1), time)
    np.testing.assert_allclose(mean[:24], 24.0 - np.arange(24))
    assert mean[24] == 0.0 and lagged_mean(values[:12], Lag("any", 7, 30), time).tolist() == [0.0] * 12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record.drop_vars("longwave_down"), "XX-000: there is no longwave_down.*estimate_longwave"),
        (
            lambda record: record.assign(wind_speed=record.wind_speed.where(record.time != record.time[3])),
            r"XX-000: wind_speed is missing at 1 of 2880 steps, first at 2020-01-01T01:30.*fill_forcing",
        ),
        (
            lambda record: record.assign(latent_heat_qc=record.latent_heat_qc + 1),
            "6km729: no training step of latent_heat was measured at the",
        ),
    ],
    ids=["absent", "gap", "not measured"],
)
def test_what_cannot_train_is_refused_with_advice(change, message):
    with pytest.raises(DataError, match=f"(?s){message}"):
        trained("6km729", change(tower()))


def test_steps_have_to_fit_the_towers():
    record = tower()
    for steps in ([], [np.ones(3, bool)]):
        with pytest.raises(DataError, match="1lin: the training steps do not fit the 1 towers"):
            fit("1lin", [record], steps)


def test_an_unknown_model_is_named():
    with pytest.raises(ConfigError, match=r"none is called `3km72`\.\n  nearest: 3km27"):
        fit("3km72", [], [])


@pytest.mark.parametrize(("name", "part"), [("3km27", "cluster"), ("boosting", "ensemble")])
def test_scikit_learn_is_asked_for_by_name(name, part, monkeypatch):
    monkeypatch.setitem(sys.modules, f"sklearn.{part}", None)
    with pytest.raises(ConfigError, match=r"(?s)scikit-learn is not installed.*\n.*pip install .*bowen\[benchmark\]"):
        trained(name, tower())
    assert trained("2lin", tower()).name == "2lin"

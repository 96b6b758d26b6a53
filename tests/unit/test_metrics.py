"""The metrics of PLUMBER2 against numbers computed by hand, and densities against the sum that defines them."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bowen.evaluation.metrics import (
    MIN_PAIRS,
    bandwidth,
    estimate_density,
    pdf_overlap,
    plumber2_metrics,
    ranked_metrics,
)
from bowen.evaluation.subsets import subsets_of


def sample(simulated, observed):
    return xr.Dataset({"simulated": ("time", np.asarray(simulated)), "observed": ("time", np.asarray(observed))})


def test_the_plumber2_metrics_are_what_a_pencil_gives():
    """Observed are 0 to 100; simulated twice that, less 70. Percentiles 5 and 95 of the former are 5 and 95."""
    observed = np.arange(101.0)
    found = plumber2_metrics(sample(2.0 * observed - 70.0, observed))
    assert found["correlation"] == pytest.approx(1)
    assert found["q5_difference"] == pytest.approx(abs(2 * 5 - 70 - 5))
    assert found["q95_difference"] == pytest.approx(2 * 95 - 70 - 95)
    assert found["bias"] == pytest.approx(-20) and found["bias_magnitude"] == pytest.approx(20)
    assert found["nme"] == pytest.approx(sum(abs(k - 70) for k in range(101)) / sum(abs(50 - k) for k in range(101)))
    assert found["sd_difference"] == pytest.approx(1)
    assert np.isnan(found["pdf_overlap"]) and found["n"] == 101
    assert set(found) == {*ranked_metrics("plumber2"), "bias", "n"} and len(ranked_metrics("plumber2")) == 7


def test_a_perfect_simulation_has_the_best_of_each():
    observed = np.random.default_rng(0).normal(size=2000)
    found = plumber2_metrics(sample(observed, observed))
    assert found.pop("n") == 2000
    assert found == pytest.approx(
        {name: 0.0 for name in ranked_metrics("plumber2")} | {"bias": 0, "correlation": 1, "pdf_overlap": 100}
    )


def test_what_is_undefined_is_no_number():
    few = plumber2_metrics(sample(np.zeros(MIN_PAIRS - 1), np.zeros(MIN_PAIRS - 1)))
    assert few.pop("n") == MIN_PAIRS - 1 and np.isnan(list(few.values())).all()
    constant = plumber2_metrics(sample(np.arange(20.0), np.full(20, 3.0)))
    undefined = {name for name, value in constant.items() if np.isnan(value)}
    assert undefined == {"correlation", "nme", "sd_difference", "pdf_overlap"}


@given(st.floats(0.1, 10.0), st.floats(-50.0, 50.0), st.integers(0, 99))
def test_what_has_no_unit_does_not_know_it(scale, shift, seed):
    draw = np.random.default_rng(seed)
    simulated, observed = draw.normal(size=50), draw.normal(size=50)
    here = plumber2_metrics(sample(simulated, observed))
    there = plumber2_metrics(sample(shift + scale * simulated, shift + scale * observed))
    for name in ("correlation", "nme", "sd_difference"):
        assert there[name] == pytest.approx(here[name], rel=1e-6, abs=1e-9)
    for name in ("q5_difference", "q95_difference", "bias_magnitude"):
        assert there[name] == pytest.approx(scale * here[name], rel=1e-6, abs=1e-9)


def test_the_bandwidth_is_that_of_r():
    """The rule of R, on 1 to 9: the deviation is sqrt(7.5), and 4 / 1.34 between the quartiles is larger."""
    assert bandwidth(np.arange(1.0, 10.0)) == pytest.approx(0.9 * np.sqrt(7.5) * 9**-0.2)
    assert bandwidth(np.r_[np.arange(1.0, 10.0), 1e3]) == pytest.approx(0.9 * (4.5 / 1.34) * 10**-0.2)
    assert bandwidth(np.r_[np.zeros(9), 1.0]) == pytest.approx(0.9 * np.sqrt(0.1) * 10**-0.2)  # no quartiles: deviation
    assert bandwidth(np.full(4, -3.0)) == pytest.approx(0.9 * 3.0 * 4**-0.2)
    assert bandwidth(np.zeros(4)) == pytest.approx(0.9 * 4**-0.2)


def test_the_density_is_the_sum_of_its_kernels():
    values = np.random.default_rng(0).gamma(2.0, 50.0, 3000)
    points = np.linspace(-20.0, 800.0, 2048)
    exact = stats.gaussian_kde(values, bandwidth(values) / np.std(values, ddof=1))(points)
    np.testing.assert_allclose(estimate_density(values, points), exact, atol=1e-4 * exact.max())
    assert estimate_density(values, points).sum() * (points[1] - points[0]) == pytest.approx(1, abs=1e-3)


def test_the_overlap_of_two_normals_is_known():
    """Two normals a distance d apart have 2 F(-d / 2) in common; kernels widen both by little."""
    places = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    for distance in (0.5, 1.0, 2.0):
        exact = 200.0 * stats.norm.cdf(-distance / 2)
        assert pdf_overlap(places + distance, places) == pytest.approx(exact, abs=1.0)


def test_the_overlap_has_two_digits_and_its_limits():
    values = np.random.default_rng(0).normal(size=1000)
    assert pdf_overlap(values, values + 100.0) == pytest.approx(0, abs=1e-9)
    assert pdf_overlap(values, values) == 100.0
    partly = pdf_overlap(values, values + 0.8)
    assert 50 < partly < 90 and partly == round(partly)
    assert np.isnan(pdf_overlap(values[1:], values[1:]))


def test_a_constant_simulation_has_a_estimate_density():
    values = np.random.default_rng(0).normal(size=1000)
    assert 0.0 <= pdf_overlap(np.full(1000, 0.5), values) <= 60.0


def weather(*, latitude=45.0, hours=24 * 366, start="2020-01-01"):
    time = pd.date_range(start, periods=hours, freq="h")
    light = np.where(time.hour == 12, 10.1, np.where(time.hour == 13, 10.0, 0.0))
    return xr.Dataset(
        {"shortwave_down": ("time", light), "precipitation": ("time", np.zeros(hours))},
        {"time": time},
        {"latitude": latitude},
    )


@pytest.mark.parametrize(
    ("latitude", "seasons"),
    [(45.0, ("winter", "spring", "summer", "autumn")), (-45.0, ("summer", "autumn", "winter", "spring"))],
    ids=["north", "south"],
)
def test_seasons_are_those_of_the_hemisphere(latitude, seasons):
    record = weather(latitude=latitude)
    subsets = subsets_of(record)
    month = record.time.dt.month.values
    for season, months in zip(seasons, ((12, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11)), strict=True):
        np.testing.assert_array_equal(subsets[season], np.isin(month, months))


def test_day_is_more_than_ten_watts():
    record = weather()
    subsets = subsets_of(record)
    np.testing.assert_array_equal(subsets["day"], record.time.dt.hour.values == 12)
    np.testing.assert_array_equal(subsets["night"], ~subsets["day"])
    assert subsets["all"].all()


@pytest.mark.parametrize("first", [0, 100])
def test_it_is_wet_for_a_day_from_the_rain(first):
    record = weather(hours=240)
    record["precipitation"][first] = 1e-5
    record["precipitation"][200] = np.nan
    subsets = subsets_of(record)
    assert np.flatnonzero(subsets["wet"]).tolist() == list(range(first, first + 24))
    np.testing.assert_array_equal(subsets["dry"], ~subsets["wet"])

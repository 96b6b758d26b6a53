"""Contestants over towers: scales, medians and intervals that are known in advance."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowen.errors import DataError
from bowen.evaluation.metrics import ranked_metrics
from bowen.evaluation.ranking import (
    BENCHMARKS,
    compare_medians,
    normalize_scores,
    summarize_normalized,
    summarize_over_sites,
)
from bowen.evaluation.scores import SCORE_COLUMNS


def scores(values, metric="nse"):
    """A table of one metric of latent heat, from {model: value at each tower}."""
    rows = [
        (f"XX-{tower:03}", model, "test", "all", "latent_heat", "native", metric, float(value))
        for model, series in values.items()
        for tower, value in enumerate(series)
    ]
    return pd.DataFrame(rows, columns=pd.Index(SCORE_COLUMNS))


def scaled(frame, **keywords):
    return {(row.tower, row.model): row.value for row in normalize_scores(frame, **keywords).itertuples()}


@pytest.mark.parametrize("metric", ranked_metrics("plumber2"))
def test_the_best_benchmark_is_nought_and_the_worst_one(metric):
    higher = metric in {"correlation", "pdf_overlap"}
    best, worst = (0.9, 0.5) if higher else (0.5, 0.9)
    frame = scores({"1lin": [worst], "3km27": [0.6], "LSTM": [best], "hybrid": [2 * best - worst]}, metric)
    found = {model: value for (_, model), value in scaled(frame).items()}
    between = 0.75 if higher else 0.25
    assert found == pytest.approx({"1lin": 1, "3km27": between, "LSTM": 0, "hybrid": -1})


def test_towers_have_scales_of_their_own():
    frame = scores({"1lin": [1.0, 10.0], "3km27": [2.0, 20.0], "LSTM": [3.0, 30.0], "LaD": [5.0, 5.0]}, "nme")
    found = scaled(frame)
    assert found["XX-000", "LaD"] == pytest.approx(2) and found["XX-001", "LaD"] == pytest.approx(-0.25)


def test_the_signed_bias_may_take_the_place_of_its_magnitude():
    frame = scores({"1lin": [-10.0], "3km27": [0.0], "LSTM": [10.0]}, "bias")
    assert normalize_scores(frame).empty
    signed = scaled(frame, metrics=[*(set(ranked_metrics("plumber2")) - {"bias_magnitude"}), "bias"])
    assert [signed["XX-000", model] for model in BENCHMARKS] == [0, 0.5, 1]


def test_benchmarks_that_are_alike_or_lacking_span_no_scale():
    alike = {"1lin": [1.0, 1.0], "3km27": [1.0, np.nan], "LSTM": [1.0, 2.0], "LaD": [1.5, 1.5]}
    assert np.isnan(list(scaled(scores(alike, "nme")).values())).all()
    with pytest.raises(DataError, match=r"(?s)benchmarks 3km27, LSTM: there are no scores.*among 1lin, LaD"):
        normalize_scores(scores({"1lin": [1.0], "LaD": [1.0]}, "nme"))


def test_the_inmv_is_the_mean_and_the_median_over_towers_and_metrics():
    values = {"1lin": [0.0] * 3, "3km27": [0.5] * 3, "LSTM": [1.0] * 3, "LaD": [0.0, 1.0, 8.0]}
    frame = pd.concat([scores(values, "nme"), scores(values, "correlation"), scores(values, "rmse")])
    row = summarize_normalized(frame).loc[("LaD", "test", "all", "latent_heat", "native")]
    both = [0.0, 1.0, 8.0, 1.0, 0.0, -7.0]
    assert row.to_dict() == pytest.approx({"mean": np.mean(both), "median": np.median(both), "count": 6})


def test_the_worst_quarter_is_on_the_bad_side():
    towers = np.arange(5.0)
    of = {metric: summarize_over_sites(scores({"LaD": towers}, metric)).iloc[0].to_dict() for metric in ("nse", "rmse")}
    assert of["nse"] == {"median": 2, "worst_quarter": 1, "towers": 5}
    assert of["rmse"] == {"median": 2, "worst_quarter": 3, "towers": 5}
    bias = summarize_over_sites(scores({"LaD": [-8.0, -2.0, 0.0, 1.0, np.nan, 3.0]}, "bias")).iloc[0]
    assert bias.to_dict() == {"median": 0, "worst_quarter": 3, "towers": 5}
    assert summarize_over_sites(scores({"LaD": towers}, "n")).empty


def test_a_constant_lead_is_certain():
    values = np.random.default_rng(0).normal(size=20)
    found = compare_medians(scores({"hybrid": values + 0.1, "LaD": values}), "hybrid", "LaD", variable="latent_heat")
    assert found == pytest.approx((0.1, 0.1, 0.1, 20)) and found.is_significant
    back = compare_medians(scores({"hybrid": values + 0.1, "LaD": values}), "LaD", "hybrid", variable="latent_heat")
    assert back.high == pytest.approx(-0.1) and back.is_significant


def test_two_towers_give_the_interval_of_all_their_draws():
    """One lead of 0 and one of 1: the four draws have medians 0, 1/2, 1/2, 1, a quarter of them at either end."""
    frame = scores({"hybrid": [0.0, 1.0], "LaD": [0.0, 0.0]})
    wide = compare_medians(frame, "hybrid", "LaD", variable="latent_heat", level=0.9)
    assert tuple(wide) == (0.5, 0.0, 1.0, 2) and not wide.is_significant
    assert tuple(compare_medians(frame, "hybrid", "LaD", variable="latent_heat", level=0.4)) == (0.5, 0.5, 0.5, 2)


def test_seeds_are_drawn_like_towers():
    """Two seeds at one tower: their means over the draws are 0, 1/2, 1/2, 1, and the rival does not move."""
    frame = scores({"hybrid 0": [0.0], "hybrid 1": [1.0], "LaD": [0.25]})
    found = compare_medians(frame, ["hybrid 0", "hybrid 1"], "LaD", variable="latent_heat", level=0.9)
    assert tuple(found) == (0.25, -0.25, 0.75, 1)


@pytest.mark.parametrize("level", [0.6, 0.4])
def test_the_interval_is_that_of_every_possible_draw(level):
    """All 3^3 draws of three towers, counted out: leads of -0.1, 0.1 and 0.5 in 7, 13 and 7 of them."""
    hybrid, lad = np.array([0.2, 0.5, 0.9]), np.array([0.1, 0.6, 0.4])
    every = [np.median(hybrid[list(i)]) - np.median(lad[list(i)]) for i in itertools.product(range(3), repeat=3)]
    found = compare_medians(
        scores({"hybrid": hybrid, "LaD": lad}), "hybrid", "LaD", variable="latent_heat", level=level
    )
    expected = np.quantile(every, [(1 - level) / 2, (1 + level) / 2])
    assert tuple(found)[:3] == pytest.approx((0.1, *expected))
    assert found.is_significant == (level == 0.4)


@given(st.lists(st.tuples(st.floats(-5, 1), st.floats(-5, 1)), min_size=1, max_size=12))
def test_a_draw_is_no_lead(pairs):
    """Whoever is called first, the interval is the same mirrored, and it holds the difference of equals."""
    first, second = zip(*pairs, strict=True)
    frame = scores({"a": first, "b": second, "c": first})
    there, back = (
        compare_medians(frame, *names, variable="latent_heat", draws=200) for names in (("a", "b"), ("b", "a"))
    )
    assert (there.median, there.low, there.high) == pytest.approx((-back.median, -back.high, -back.low))
    assert tuple(compare_medians(frame, "a", "c", variable="latent_heat", draws=200))[:3] == (0, 0, 0)


def test_only_common_towers_count_and_each_once():
    frame = scores({"hybrid": [0.5, 0.7, np.nan], "LaD": [0.4, np.nan, 0.1]})
    found = compare_medians(frame, "hybrid", "LaD", variable="latent_heat")
    assert found.towers == 1 and found.median == pytest.approx(0.1)
    with pytest.raises(DataError, match=r"hybrid and LSTM: no common tower has nse of latent_heat"):
        compare_medians(frame, "hybrid", "LSTM", variable="latent_heat")
    for summary in (
        normalize_scores,
        summarize_over_sites,
        lambda both: compare_medians(both, "hybrid", "LaD", variable="latent_heat"),
    ):
        with pytest.raises(DataError, match=r"(?s)XX-000: hybrid has several scores.*one record of a tower"):
            summary(pd.concat([frame, frame]))

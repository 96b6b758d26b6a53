"""A new metric takes one row of the table of metrics, or a function."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bowen import score
from bowen.cli import output
from bowen.errors import ConfigError, DataError
from bowen.evaluation.metrics import METRICS, Metric, compute_metrics, select_metrics
from bowen.evaluation.ranking import normalize_scores, summarize_over_sites
from bowen.evaluation.scores import SCORE_COLUMNS
from bowen.reporting.study import Study
from bowen.reporting.tables import render_score_tables
from bowen.reporting.transfer_page import _numbers
from tests.unit.made_tower import fluxes_of, labels, scores_of, tower


def median_absolute_error(simulated, observed):
    return np.median(np.abs(simulated - observed))


@pytest.fixture
def mdae(monkeypatch):
    row = Metric(
        "mdae", median_absolute_error, "MdAE", 2, "low", "target",
        sets=("standard", "plumber2"), tables=("terminal", "transfer"),
    )  # fmt: skip
    monkeypatch.setitem(METRICS, "mdae", row)


def test_a_new_row_is_scored_shown_and_ranked(mdae, capsys):
    record = tower(days=20)
    simulations = {"LSTM": fluxes_of(record, 0.1), "LaD": fluxes_of(record, 0.2)}
    scores = scores_of(record, simulations, labels(record))
    case = "metric == 'mdae' and split == 'test' and variable == 'sensible_heat' and resolution == 'native'"
    by_model = scores.query(case).set_index("model")["value"]
    assert 0.0 < by_model["LSTM"] == pytest.approx(0.5 * by_model["LaD"])
    table = render_score_tables(Study(record, simulations, labels(record), scores, {}))
    assert "MdAE, W m⁻²" in table and f"<b>{by_model['LSTM']:.2f}</b>" in table
    output.show_scores(scores)
    assert "LE MdAE" in capsys.readouterr().out
    worst = summarize_over_sites(scores).xs(("mdae", "native"), level=("metric", "resolution"))["worst_quarter"]
    assert len(worst) == 12 and worst.notna().all()
    ranked = normalize_scores(scores, ("LSTM", "LaD")).query(case).set_index("model")["value"]
    assert ranked.to_dict() == {"LSTM": 0.0, "LaD": 1.0}
    medians = pd.DataFrame({"LSTM": [3.0], "places": [1.0]}, pd.MultiIndex.from_tuples([("latent_heat", "mdae")]))
    assert "Latent heat: MdAE" in _numbers(medians).content


def test_a_metric_of_the_user_needs_no_row():
    record = tower(days=20)
    simulation = fluxes_of(record, 0.1).assign_attrs(model="LSTM")
    scores = score(simulation, record, labels(record), metrics={"mdae": median_absolute_error})
    assert set(scores["metric"]) == {"mdae", "n"} and set(scores["model"]) == {"LSTM"}
    both = select_metrics("standard") | {"mdae": median_absolute_error}
    assert set(score(simulation, record, labels(record), metrics=both)["metric"]) == {*select_metrics(), "mdae"}


def test_scores_need_no_more_than_simulation_record_and_split():
    record = tower(days=20)
    scores = score(fluxes_of(record, 0.1).assign_attrs(model="hybrid"), record, labels(record))
    assert tuple(scores.columns) == SCORE_COLUMNS and set(scores["model"]) == {"hybrid"}
    assert set(scores["variable"]) == {"latent_heat", "sensible_heat"}
    bare = record.assign_attrs()
    bare.attrs = {}
    assert set(score(fluxes_of(bare, 0.1), record, labels(record))["model"]) == {"simulation"}


def test_rows_are_filed_under_their_names_and_are_whole():
    assert all(name == metric.name for name, metric in METRICS.items())
    sets, tables = ({each for row in METRICS.values() for each in getattr(row, field)} for field in ("sets", "tables"))
    assert sets == {"standard", "plumber2", "runoff", "snow", "soil_moisture"} and tables == {"terminal", "transfer"}
    assert list(select_metrics("standard")) == ["nse", "kge", "rmse", "bias", "bias_percent", "correlation", "n"]


def test_the_distance_is_smaller_for_better_values():
    assert METRICS["nse"].distance(0.9) < METRICS["nse"].distance(0.5)
    assert METRICS["rmse"].distance(1.0) < METRICS["rmse"].distance(2.0)
    assert METRICS["bias"].distance(-1.0) < METRICS["bias"].distance(2.0)
    assert METRICS["peak_ratio"].distance(1.1) < METRICS["peak_ratio"].distance(0.5)
    assert np.isnan(METRICS["n"].distance(3.0))


def test_unknown_sets_and_orientations_are_refused():
    sample = xr.Dataset({name: ("time", np.arange(20.0)) for name in ("simulated", "observed")})
    with pytest.raises(
        ConfigError, match=r"(?s)metrics 'skill': there is no such set.*choose among standard, plumber2, "
    ):
        compute_metrics(sample, "skill")
    with pytest.raises(TypeError, match="peak_ratio is not a function of pairs alone"):
        compute_metrics(sample, {"peak_ratio": METRICS["peak_ratio"]})
    frame = pd.DataFrame([("XX", "LaD", "test", "all", "latent_heat", "native", "own", 1.0)], columns=SCORE_COLUMNS)
    with pytest.raises(DataError, match="metric own: its best value is not known"):
        normalize_scores(frame, ("LaD",), ["own"])
    assert np.isnan(summarize_over_sites(frame)["worst_quarter"]).all()

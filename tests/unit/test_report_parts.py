"""The parts a report is made of: views of a study, text and numbers."""

import numpy as np
import pandas as pd
import pytest

from bowen.data.checks.energy_closure import CALENDAR_SEASONS
from bowen.reporting.flux_figures import average_by_hour, find_window_start
from bowen.reporting.html import Markup, element, join
from bowen.reporting.study import Study
from bowen.reporting.tables import locate_between_bounds
from bowen.reporting.wording import DASH, MINUS, format_number, format_significant, format_unit
from tests.unit.made_tower import fluxes_of, labels, study_of, tower


@pytest.mark.parametrize(
    ("gone", "earliest"),
    [("2021-03-01", "2021-06-01"), ("2021-07-10", "2021-07-10")],
    ids=["no gap", "a gap until July"],
)
def test_the_fortnight_is_in_summer_where_most_was_measured(gone, earliest):
    record = tower(days=200, start="2021-03-01")
    record["latent_heat_qc"][record.time.values < np.datetime64(gone)] = 9
    study = study_of(record)
    start = study.time[find_window_start(study)]
    assert pd.Timestamp(earliest) <= start <= pd.Timestamp("2021-08-18") and start == start.normalize()


def test_summer_follows_the_hemisphere():
    record = tower(days=365, start="2021-01-01")
    assert set(study_of(record).time.month[study_of(record).warm_season]) == {6, 7, 8}
    southern = study_of(record.assign_attrs(latitude=-33.0))
    assert set(southern.time.month[southern.warm_season]) == {12, 1, 2}
    assert sorted(month for months in CALENDAR_SEASONS.values() for month in months) == list(range(1, 13))


def test_a_mean_day_uses_the_chosen_steps_and_drops_thin_hours():
    hours, values = np.tile([0.5, 1.5], 3), np.array([1.0, 10.0, 2.0, 20.0, 3.0, 90.0])
    chosen = np.array([True, True, True, True, True, False])
    assert [list(part) for part in average_by_hour(values, hours, chosen)] == [[0.5, 1.5], [2.0, 15.0]]
    assert [list(part) for part in average_by_hour(values, hours, chosen, min_count=3)] == [[0.5], [2.0]]


def test_means_start_at_midnight():
    study = study_of(tower(days=10).isel(time=slice(7, None)))
    start, means = study.average_by_day(np.arange(233.0))
    assert start[0] == np.datetime64("2021-05-18") and means[0] == pytest.approx(np.arange(17.0, 41.0).mean())
    assert len(means) == 9


def test_a_model_keeps_its_color_in_any_company():
    record = tower(days=20)
    alone = study_of(record).colors["LSTM"]
    both = Study(
        record,
        {"own": fluxes_of(record, 0.1), "LSTM": fluxes_of(record, 0.1)},
        labels(record),
        study_of(record).scores,
        {},
    )
    assert both.colors["LSTM"] == alone and both.colors["own"] not in (alone, both.colors["hybrid"])


def test_plain_strings_are_escaped_and_markup_is_not():
    assert (
        element("p", "<", Markup("<br>"), class_="x", aria_label='"') == '<p class="x" aria-label="&#34;">&lt;<br></p>'
    )
    assert join(["&", Markup("&amp;")]) == "&amp;&amp;"


@pytest.mark.parametrize(
    ("unit", "written"),
    [("W m-2", "W m⁻²"), ("kg m-2 s-1", "kg m⁻² s⁻¹"), ("1", ""), ("K", "K"), ("m2 m-2", "m² m⁻²"), ("", "")],
)
def test_units_are_written_for_reading(unit, written):
    assert format_unit(unit) == written


def test_numbers_are_written_for_reading():
    assert format_number(-1234.56, 1) == f"{MINUS}1,234.6" and format_number(np.nan, 1) == DASH
    assert format_significant(-2.5e-11) == f"{MINUS}2.5e{MINUS}11" and format_significant(np.nan) == "not a number"
    assert [format_significant(value) for value in (5000.0, 4.2e6, 0.00512, 129.1)] == [
        "5,000",
        "4.2e6",
        "0.00512",
        "129",
    ]


def test_a_value_is_placed_between_its_bounds():
    linear = {"lower_bound": 0.0, "upper_bound": 4.0, "log_scale": 0}
    assert locate_between_bounds(1.0, linear) == pytest.approx(25) and locate_between_bounds(9.0, linear) == 100
    assert locate_between_bounds(10.0, {"lower_bound": 1.0, "upper_bound": 100.0, "log_scale": 1}) == pytest.approx(50)
    assert locate_between_bounds(1.0, {}) is None

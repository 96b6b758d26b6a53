"""The page about a record: what it holds, and that it is written whatever the record is like."""

import numpy as np
import pytest

from bowen.data import QC, read_table, summarize_record
from bowen.reporting import write_inspection, write_refusal
from bowen.reporting.record_figures import MAX_PICTURE_COLUMNS, DayGrid
from tests.data.files import SITE, fluxnet_table, write_csv
from tests.unit.test_report import Page

SECTIONS = ("verdicts", "origins", "fingerprints", "energy", "water", "variables", "assumptions")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return read_table(write_csv(tmp_path_factory.mktemp("tower") / "FLX_XX-Syn.csv", fluxnet_table(40)), site=SITE)


@pytest.fixture
def record(original):
    """Forty days, with gaps, filled values and a sensor that sticks."""
    copy = original.copy(deep=True)
    copy.latent_heat.values[100:200] = np.nan
    copy.sensible_heat_qc.values[300:500] = QC.FILLED_GOOD
    copy.wind_speed.values[600:700] = 2.5
    return copy


def written(folder, record):
    text = write_inspection(folder / "page.html", record, summarize_record(record)).read_text(encoding="utf-8")
    return text, Page(text)


def test_the_page_holds_every_section_and_needs_nothing_else(tmp_path, record):
    text, page = written(tmp_path, record)
    assert tuple(section["id"] for section in page.all("section")) == SECTIONS
    assert tuple(link["href"] for link in page.all("a")) == tuple(f"#{name}" for name in SECTIONS)
    assert "http" not in text.replace("http://www.w3.org/", "") and not page.all("script") and not page.all("link")
    assert all(picture["href"].startswith("data:image/png;base64,") for picture in page.all("image"))
    assert all(drawing["aria-label"] for drawing in page.all("svg"))
    assert len(text) < 1_000_000


def test_the_page_says_what_the_summary_says(tmp_path, record):
    found = summarize_record(record)
    _, page = written(tmp_path, record)
    for verdict in found["verdicts"]:
        assert verdict["sentence"].replace("`", " ").split()[0] in page.text
    assert "The record of XX-Syn" in page.text and "LE + H is" in page.text
    assert f"{found['energy_balance']['parts']['record']['ratio']:.2f}" in page.text
    assert "Canopy height 0.4 m assumed from the class GRA." in page.text
    assert "Wind speed 2012-03-03 12:00" in page.text and "constant or linear" in page.text
    assert found["fingerprint"] in page.text
    assert "cannot" not in page.text.split("Verdicts")[0]


def test_every_variable_has_its_row_with_a_unit_and_its_origins(tmp_path, record):
    _, page = written(tmp_path, record)
    told = page.text.split("Missing Origin ")[1]
    for words in ("Air temperature °C", "Precipitation mm d⁻¹", "Air pressure hPa", "Specific humidity g kg⁻¹"):
        assert words in told
    shares = [bar["title"] for bar in page.all("div") if "title" in bar]
    assert "measured 94.8%, missing 5.2%" in shares and "measured 89.6%, filled good 10.4%" in shares


def test_what_is_wrong_stands_at_the_top(tmp_path, record):
    _, page = written(tmp_path, record.drop_vars(["sensible_heat", "sensible_heat_qc", "longwave_down"]))
    assert page.all("div")[0] == {"class": "problem", "role": "alert"}
    top = page.text.split("Site")[0]
    assert "This record can drive a model but not train one." in top and "no sensible_heat" in top
    _, page = written(tmp_path, record.assign(wind_speed=record.wind_speed.where(record.time.dt.day == 1)))
    assert "This record cannot drive a model." in page.text and "wind_speed is missing at" in page.text


def test_a_record_of_weather_alone_has_a_page(tmp_path, record):
    weather = record[[name for name in record.data_vars if "heat" not in name]]
    _, page = written(tmp_path, weather)
    assert "The energy balance cannot be assessed" in page.text and "The water balance cannot be assessed" in page.text


def test_a_file_nobody_can_read_has_a_page_with_the_reason(tmp_path):
    path = write_refusal(tmp_path / "page.html", "tower<1>.csv", "no column for wind")
    page = Page(path.read_text(encoding="utf-8"))
    assert "tower<1>.csv" in page.text and "This file cannot be read. no column for wind" in page.text


@pytest.mark.parametrize("start", ["2020-01-01T00:00", "2019-12-31T23:30"])
def test_days_fold_into_columns_wherever_a_record_begins(start):
    time = np.datetime64(start, "ns") + np.arange(3000 * 48) * np.timedelta64(30, "m")
    days = DayGrid(time, 1800.0)
    assert days.columns <= MAX_PICTURE_COLUMNS and days.together == 5
    hours = (time - time.astype("datetime64[D]")) / np.timedelta64(1, "h")
    picture = days.mean(hours, 24)
    assert picture.shape == (days.columns, 24)
    np.testing.assert_allclose(picture[1:-1], np.broadcast_to(np.arange(24) + 0.25, (days.columns - 2, 24)))


def test_a_cell_without_values_stays_blank():
    time = np.datetime64("2020-01-01", "ns") + np.arange(96) * np.timedelta64(30, "m")
    values = np.where(np.arange(96) < 48, 1.0, np.nan)
    picture = DayGrid(time, 1800.0).mean(values, 24)
    assert (picture[0] == 1.0).all() and np.isnan(picture[1]).all()

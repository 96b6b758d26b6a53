"""Time zones of half and three quarters of an hour, and stamps in UTC, found by the light."""

import pandas as pd
import pytest

from bowen.data import read, summarize_record
from tests.data.files import SITE, fluxnet_table, write_csv

NAME = "FLX_XX-Syn_FLUXNET2015_FULLSET_HH_2012-2012_1-4.csv"


def read_at(folder, latitude, longitude, later=0.0, **given):
    """Read a tower whose sun is that of 15 degrees an hour, with its stamps later by some hours."""
    table = fluxnet_table()
    for column in ("TIMESTAMP_START", "TIMESTAMP_END"):
        stamps = pd.to_datetime(table[column], format="%Y%m%d%H%M") + pd.Timedelta(hours=later)
        table[column] = stamps.dt.strftime("%Y%m%d%H%M")
    site = {"latitude": latitude, "longitude": longitude, "elevation": 400.0, "igbp": "GRA", **given}
    return read(write_csv(folder / NAME, table), site=site)


def clock_of(dataset):
    return next(verdict for verdict in summarize_record(dataset)["verdicts"] if verdict["about"] == "clock")


ZONES = {  # latitude, longitude and hours ahead of UTC; the sun of a longitude is a multiple of 10 minutes late there
    "South Australia": (-31.0, 137.5, 9.5),
    "India": (20.0, 77.5, 5.5),
    "Nepal": (27.5, 86.25, 5.75),
    "Iran": (33.0, 52.5, 3.5),
    "Afghanistan": (35.0, 67.5, 4.5),
    "Myanmar": (17.0, 97.5, 6.5),
    "Newfoundland": (48.0, -52.5, -3.5),
    "Eucla": (-32.0, 128.75, 8.75),
}


@pytest.mark.parametrize(("latitude", "longitude", "hours"), ZONES.values(), ids=ZONES)
def test_a_zone_of_half_and_quarter_hours_is_found(tmp_path, latitude, longitude, hours):
    dataset = read_at(tmp_path, latitude, longitude, later=hours - longitude / 15.0)
    assert dataset.attrs["utc_offset_hours"] == hours
    assert f"assumed to be UTC{hours:+g} h" in dataset.attrs["assumptions"]
    assert clock_of(dataset)["mark"] == "good"


def test_elsewhere_half_an_hour_is_a_question_about_the_stamps(tmp_path):
    dataset = read_at(tmp_path, 36.0, 135.0, later=0.5)  # Japan, stamped at the end of the interval
    assert dataset.attrs["utc_offset_hours"] in (9.0, 10.0)
    assert "do the stamps mark the start of the interval in local standard time?" in clock_of(dataset)["sentence"]


@pytest.mark.parametrize("zone", [-9, -7, 5, 9])
def test_stamps_in_utc_are_found_far_from_greenwich(tmp_path, zone):
    dataset = read_at(tmp_path, 35.0, 15.0 * zone, later=-zone)
    assert dataset.attrs["utc_offset_hours"] == 0.0
    assert "assumed to be UTC+0 h, from the stamps in UTC, which fit shortwave" in dataset.attrs["assumptions"]


def test_stamps_in_utc_are_asked_about_where_the_zone_is_given(tmp_path):
    dataset = read_at(tmp_path, 35.0, -105.0, later=7, utc_offset_hours=-7.0)
    assert (
        "420 min after the sun: are the stamps in UTC? Then give utc_offset_hours = 0." in clock_of(dataset)["sentence"]
    )


def test_the_zone_of_a_usual_tower_stays(tmp_path):
    assert read_at(tmp_path, SITE["latitude"], SITE["longitude"]).attrs["utc_offset_hours"] == 1.0

"""Values that are possible one by one, and together unlike nature."""

import re
from pathlib import Path

import numpy as np
import pytest

from bowen.data import QC, add_daily_fluxes, aggregate_to_days, check_record, read_table, summarize_record
from bowen.data.checks.clear_sky import (
    compute_black_body_fraction,
    compute_clear_sky_fraction,
    compute_nighttime_shortwave,
)
from bowen.data.checks.clock import compute_clock_lag, find_clock_changes
from bowen.data.checks.night_coverage import is_filled_without_flags
from bowen.data.checks.plausibility import find_implausible_values
from bowen.data.checks.stuck_sensors import list_stuck_sensors
from bowen.data.solar import compute_clear_sky_radiation
from bowen.errors import DataError
from tests.data.files import SITE, fluxnet_table, write_csv
from tests.data.thresholds import CHECKS, format_table

DAY = 48


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    table = fluxnet_table(days=60, start="2012-05-01")
    return read_table(write_csv(tmp_path_factory.mktemp("season") / "FLX_XX-Syn.csv", table), site=SITE)


@pytest.fixture
def record(original):
    """Two clear months in early summer, with fluxes that share the energy."""
    copy = original.copy(deep=True)
    random = np.random.default_rng(0)
    light = 0.95 * compute_clear_sky_radiation(copy.time.values, 1800, copy.attrs)
    copy.shortwave_down.values[:] = light
    copy.net_radiation.values[:] = 0.7 * light - 50.0
    share = 0.5 + 0.1 * random.normal(size=light.shape)
    copy.latent_heat.values[:] = share * 0.7 * light + random.normal(size=light.shape)
    copy.sensible_heat.values[:] = (1.0 - share) * 0.7 * light - 20.0
    copy.ground_heat.values[:] = 0.0
    wet = random.random(light.shape) < 0.05
    copy.precipitation.values[:] = np.where(wet, 0.1 + random.gamma(1.0, 0.4, light.shape), 0.0) / 1800.0
    copy.wind_speed.values[:] = random.gamma(3.0, 1.0, light.shape)
    return copy


def test_nature_is_not_doubted(record):
    check_record(record)
    assert find_implausible_values(record) == []
    assert compute_clear_sky_fraction(record) == pytest.approx(0.95, abs=0.03)
    assert 0.6 < compute_black_body_fraction(record) < 1.0 and compute_nighttime_shortwave(record) == 0.0


def times(name, factor):
    def change(record):
        record[name].values[:] *= factor

    return change


def plus(name, more):
    def change(record):
        record[name].values[:] += more

    return change


def dark_for_days(record):
    record.shortwave_down.values[10 * DAY : 14 * DAY] = 0.0


def cooler_days(record):
    mean = record.air_temperature.values.mean()
    record.air_temperature.values[:] = mean + 0.1 * (record.air_temperature.values - mean)


def dry(record):
    record.vapor_pressure_deficit.values[:] = 1650.0


def off(record):
    record.relative_humidity.values[:] *= 0.1


def spike(name, value):
    def change(record):
        record[name].values[1000] = value

    return change


def swapped(record):
    latent = record.latent_heat.values.copy()
    record.latent_heat.values[:] = record.sensible_heat.values
    record.sensible_heat.values[:] = latent


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (times("shortwave_down", 0.3), r"Shortwave down reaches 0\.28 times a clear sky"),
        (plus("shortwave_down", 40.0), r"Shortwave down is 40 W m-2 on average at night"),
        (dark_for_days, r"Shortwave down stays at zero on 4 days with sun"),
        (times("longwave_down", 0.5), r"Longwave down is 0\.4\d? times the radiation of a black body"),
        (times("wind_speed", 10.0), r"Wind speed has a median of 2\d m s-1 "),
        (times("wind_speed", 0.1), r"strongest winds of 1\.1 m s-1 \(sound towers: 3\.9 to"),
        (cooler_days, r"Air temperature rises by 0\.\d+ K from night to day"),
        (dry, r"Relative humidity never exceeds"),
        (off, r"Relative humidity differs by \d+% from that of the deficit"),
        (times("precipitation", 0.1), r"Precipitation is 0\.1 mm per hour in wet steps"),
        (times("precipitation", 10.0), r"rarely less than 1\.\d mm in a step"),
        (times("net_radiation", -1.0), r"Net radiation rises by -0\.7 W m-2 per W m-2 of shortwave down"),
        (times("latent_heat", 0.1), r"Latent heat rises by 1 W m-2 where available energy rises by \d"),
        (times("sensible_heat", -1.0), r"Sensible heat rises by 1 W m-2 where available energy rises by -"),
        (times("latent_heat", -1.0), r"Latent heat is -\d+ W m-2 in full daylight "),
        (
            times("shortwave_down", 0.7),
            r"reaches 0\.6\d times a clear sky on the clearest days of a month \(sound",
        ),
        (
            spike("sensible_heat", 1168.0),
            r"Sensible heat rises to 1,168 W m-2 \(sound towers: at most 794\): mark",
        ),
        (spike("latent_heat", -481.0), r"Latent heat falls to -481 W m-2 \(sound towers: at least -208\): mark values"),
        (spike("net_radiation", 1300.0), r"Net radiation rises to 1,300 W m-2"),
        (swapped, r"Latent minus sensible heat is -\d+ W m-2 at night"),
    ],
)
def test_what_is_unlike_nature_is_doubted(record, spoil, words):
    spoil(record)
    assert re.search(words, " ".join(find_implausible_values(record)))
    verdict = next(verdict for verdict in summarize_record(record)["verdicts"] if verdict["about"] == "values")
    assert verdict["mark"] == "doubt"


def test_means_of_days_have_no_night_to_be_judged_by(record):
    days = add_daily_fluxes(record, aggregate_to_days(record))
    swapped(days)
    assert not re.search("atent heat|ensible heat", " ".join(find_implausible_values(days)))


def test_a_few_days_are_not_judged(record):
    short = record.isel(time=slice(10 * DAY))
    times("wind_speed", 100.0)(short)
    assert find_implausible_values(short) == [] and compute_clear_sky_fraction(short) is None


@pytest.mark.parametrize(
    ("name", "factor", "words"),
    [
        ("shortwave_down", 0.1, r"shortwave_down is 0\.09\d+ times the maximum under a clear sky, as if its unit"),
        ("longwave_down", 0.25, r"longwave_down is 0\.2\d+ times the radiation of a black body"),
    ],
)
def test_radiation_that_the_sky_does_not_send_is_refused(record, name, factor, words):
    record[name].values[:] *= factor
    with pytest.raises(DataError, match=words + r".*\n  fix: correct the unit"):
        check_record(record)


def test_temperatures_that_nothing_follows_from_are_refused(tmp_path):
    table = fluxnet_table()
    table["TA_F"] *= -1000.0
    with pytest.raises(DataError, match=r"air_temperature is .* K at 2012-02-20 00:00, outside 183 to 333"):
        read_table(write_csv(tmp_path / "FLX_XX-Syn.csv", table), site=SITE)


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_changes_is_noticed(record, hours):
    light = record.shortwave_down.values
    light[30 * DAY :] = np.roll(light, 2 * hours)[30 * DAY :]
    (change,) = find_clock_changes(record)
    assert abs(abs(change["lag"] - change["usual"]) - 60.0) <= 10.0
    assert {change["start"], change["end"]} & {"2012-05-31", "2012-05-30"}
    assert "did the clock change, e.g. to daylight saving time?" in summarize_record(record)["clock"]


def dust(record, hours):
    """Twenty days on which the afternoon is dusty."""
    record.shortwave_down.values[(hours >= 12.0) & days_of(record, 20, 40)] *= 0.25


def ridge(record, hours):
    """Twenty days on which the sun rises from behind a ridge, before which the sky gives some light."""
    record.shortwave_down.values[(hours < 10.0) & days_of(record, 20, 40)] *= 0.2


def days_of(record, first, last):
    day = np.arange(record.sizes["time"]) // DAY
    return (day >= first) & (day < last)


@pytest.mark.parametrize("spoil", [dust, ridge])
def test_dust_and_a_horizon_are_no_change_of_the_clock(record, spoil):
    spoil(record, np.arange(record.sizes["time"]) % DAY / 2.0)
    assert find_clock_changes(record) == []


def test_a_change_of_the_clock_moves_sunrise_and_sunset(record):
    light = record.shortwave_down.values
    light[30 * DAY :] = np.roll(light, 2)[30 * DAY :]
    (change,) = find_clock_changes(record)
    assert abs(change["sunrise"]) == pytest.approx(60.0, abs=15.0)
    assert abs(change["sunset"]) == pytest.approx(60.0, abs=15.0)
    assert "sunrise and sunset both move" in summarize_record(record)["clock"]


def test_clouds_in_the_afternoon_are_no_lag_of_the_clock(record):
    """The whole course of light is early, but first and last light are not."""
    hours = np.arange(record.sizes["time"]) % DAY / 2.0
    record.shortwave_down.values[hours >= 13.0] *= 0.4
    found = summarize_record(record)
    assert found["clock_lag"] <= -20.0
    assert mark_of(found, "clock") == "good"


def mark_of(found, about):
    return next(verdict["mark"] for verdict in found["verdicts"] if verdict["about"] == about)


def test_fluxes_of_all_nights_are_not_measured(record):
    found = summarize_record(record)
    assert mark_of(found, "flags") == mark_of(found, "train") == "doubt"
    flags = next(verdict["sentence"] for verdict in found["verdicts"] if verdict["about"] == "flags")
    assert "100.0% of the night (sound towers: at most 99.7%)" in flags and is_filled_without_flags(record)
    calm = (record.shortwave_down.values < 1.0) & (np.arange(record.sizes["time"]) % 5 < 2)
    for name in ("latent_heat", "sensible_heat"):
        record[f"{name}_qc"].values[calm] = QC.FILLED_GOOD
    found = summarize_record(record)
    assert mark_of(found, "flags") == mark_of(found, "train") == "good" and not is_filled_without_flags(record)


def test_an_assumed_wind_is_not_doubted(record):
    record.wind_speed.values[:] = 2.1
    assert find_implausible_values(record) == []


def test_every_check_allows_its_usual_range():
    for check in CHECKS:
        assert check.limits[0] <= check.usual[0] <= check.usual[1] <= check.limits[1], check.name


def test_the_documented_thresholds_are_those_of_the_code():
    text = (Path(__file__).resolve().parents[2] / "docs" / "inspect.md").read_text(encoding="utf-8")
    assert format_table() in text


def test_a_clock_that_stays_has_no_changes(record):
    assert find_clock_changes(record) == [] and compute_clock_lag(record) == 0.0
    record.shortwave_down.values[:] = 0.0
    assert find_clock_changes(record) == [] and compute_clock_lag(record) is None


def test_fluxes_that_are_zero_for_days_are_stuck_and_calm_is_not(record):
    for name, hours in (("latent_heat", 30), ("wind_speed", 30), ("ground_heat", 300)):
        record[name].values[100 : 100 + 2 * hours] = 0.0
    assert [
        (stretch["name"], stretch["hours"]) for stretch in list_stuck_sensors(record) if stretch["value"] == 0.0
    ] == [("latent_heat", 30.0)]
    record.wind_speed.values[100 : 100 + 3 * DAY] = 0.0
    assert ("wind_speed", 72.0) in [(stretch["name"], stretch["hours"]) for stretch in list_stuck_sensors(record)]


def test_daily_fluxes_that_are_equal_for_two_days_are_not_stuck(record):
    daily = aggregate_to_days(record)
    daily.sensible_heat.values[10:12] = 33.0
    daily.sensible_heat.values[20:25] = 33.0
    found = [stretch["hours"] for stretch in list_stuck_sensors(add_daily_fluxes(record, daily))]
    assert found == [120.0]


def test_a_sensor_is_stuck_across_what_is_missing(record):
    record.latent_heat.values[100 : 100 + 5 * DAY] = 33.0
    record.latent_heat.values[100 : 100 + 5 * DAY : 7] = np.nan
    record.latent_heat_qc.values[100 : 100 + 5 * DAY : 7] = 9
    assert "latent_heat" in [stretch["name"] for stretch in list_stuck_sensors(record)]

"""What is said of a record: its energy, its water, its sensors, and whether it can be used."""

import json

import numpy as np
import pytest
import xarray as xr

from bowen.data import QC, read_table, summarize_record
from bowen.data.checks.energy_closure import CALENDAR_SEASONS, summarize_energy_closure
from bowen.data.checks.stuck_sensors import find_constant_stretches, list_stuck_sensors
from bowen.data.checks.water_balance import (
    accumulate_water_fluxes,
    compute_aridity,
    find_precipitation_doubts,
    has_water_beyond_rain,
    summarize_water_balance,
)
from bowen.data.solar import compute_sunrise_and_noon
from tests.data.files import SITE, fluxnet_table, write_csv

DAY, YEAR = 48, 365.25 * 86400.0


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    table = fluxnet_table(days=400)
    table["P_F"] = np.where(np.arange(len(table)) % 37 == 0, 0.9 + 1e-3 * (np.arange(len(table)) % 7), 0.0)
    table["TA_F"] += 1e-3 * np.arange(len(table)) % 0.37  # no variable moves on a line
    return read_table(write_csv(tmp_path_factory.mktemp("year") / "FLX_XX-Syn.csv", table), site=SITE)


@pytest.fixture
def record(original):
    """A year and more in which no sensor sticks."""
    copy = original.copy(deep=True)
    noise = np.random.default_rng(0).normal(size=(len(copy.data_vars), copy.sizes["time"]))
    for name, wiggle in zip(("net_radiation", "ground_heat", "longwave_down", "wind_speed"), noise, strict=False):
        copy[name].values[:] += 0.1 * wiggle * (copy[name].values != 0.0)
    for name, wiggle in zip(("latent_heat", "sensible_heat", "air_pressure"), noise[4:], strict=False):
        copy[name].values[:] += 0.1 * wiggle
    return copy


def with_line(record, slope, intercept):
    """The record with turbulent fluxes on a line over the available energy, in seasons of a slope each."""
    available = record.net_radiation.values - record.ground_heat.values
    for name in ("latent_heat", "sensible_heat"):
        record[name].values[:] = (slope * available + intercept) / 2.0
    return record


def test_closure_finds_the_line_it_was_made_with(record):
    whole = summarize_energy_closure(with_line(record, 0.8, 12.0))["parts"]["record"]
    assert whole["slope"] == pytest.approx(0.8)
    assert whole["intercept"] == pytest.approx(12.0)
    assert whole["correlation"] == pytest.approx(1.0)
    assert whole["n"] == record.sizes["time"]
    assert whole["ratio"] == pytest.approx(0.8 + 12.0 / whole["available"])


def test_closure_knows_the_seasons(record):
    slopes = dict(zip(CALENDAR_SEASONS, (0.5, 0.7, 0.9, 1.1), strict=True))
    months = record.time.dt.month.values
    slope = np.select([np.isin(months, those) for those in CALENDAR_SEASONS.values()], list(slopes.values()))
    parts = summarize_energy_closure(with_line(record, slope, 0.0))["parts"]
    for season, expected in slopes.items():
        assert parts[season]["ratio"] == pytest.approx(expected)
    assert sum(parts[season]["n"] for season in CALENDAR_SEASONS) == parts["record"]["n"]
    assert parts["day"]["n"] + parts["night"]["n"] == parts["record"]["n"]


def test_closure_counts_only_what_is_known_and_knows_what_is_measured(record):
    record = with_line(record, 0.8, 0.0)
    record.latent_heat.values[:DAY] = np.nan
    record.sensible_heat_qc.values[: 3 * DAY] = QC.FILLED_POOR
    parts = summarize_energy_closure(record)["parts"]
    assert parts["record"]["n"] == record.sizes["time"] - DAY
    assert parts["measured"]["n"] == record.sizes["time"] - 3 * DAY


def test_closure_without_ground_heat_is_against_net_radiation(record):
    found = summarize_energy_closure(record.drop_vars("ground_heat"))
    turbulent = (record.latent_heat + record.sensible_heat).values
    assert found["against"] == "net radiation"
    assert found["parts"]["record"]["ratio"] == pytest.approx(turbulent.sum() / record.net_radiation.values.sum())


@pytest.mark.parametrize(
    ("slope", "doubtful", "words"),
    [
        (0.9, False, "90%"),
        (0.6, True, "low even for a tower"),
        (0.3, True, "the record is doubtful"),
        (1.39, True, "139% of net radiation minus ground heat (three in four towers have 70 to 100%)"),
        (1.15, True, "more than the energy available"),
        (1.6, True, "doubt"),
    ],
)
def test_closure_is_judged(record, slope, doubtful, words):
    found = summarize_energy_closure(with_line(record, slope, 0.0))
    assert found["doubtful"] is doubtful and words in found["verdict"]


@pytest.mark.parametrize(("slope", "distrusted"), [(0.31, True), (0.65, False), (0.9, False), (1.39, True)])
def test_fluxes_that_contradict_the_energy_are_not_called_usable(record, slope, distrusted):
    verdicts = summarize_record(with_line(record, slope, 0.0))["verdicts"]
    (training,) = [verdict for verdict in verdicts if verdict["about"] == "train"]
    assert (f"Do not rely on such a model: LE + H is {slope:.0%}" in training["sentence"]) is distrusted
    assert not distrusted or training["mark"] == "doubt"


def test_closure_of_measured_fluxes_comes_first(record):
    record = with_line(record, np.where(np.arange(record.sizes["time"]) % 2, 0.9, 0.5), 0.0)
    record.latent_heat_qc.values[::2] = QC.FILLED_GOOD
    found = summarize_energy_closure(record)
    assert next(iter(found["parts"])) == "measured" and found["doubtful"] is False
    assert "LE + H is 90% of" in found["verdict"]
    assert "where both fluxes are measured, and 70% with filled values" in found["verdict"]


def test_ground_heat_of_a_season_is_left_out(record):
    record.ground_heat.values[100 * DAY :] = np.nan
    assert summarize_energy_closure(record)["against"] == "net radiation"
    record.ground_heat.values[: 300 * DAY] = 0.1
    assert summarize_energy_closure(record)["against"] == "net radiation minus ground heat"


def test_a_ratio_of_noise_is_not_told(record):
    record.net_radiation.values[:] -= float((record.net_radiation - record.ground_heat).mean()) - 1.0
    found = summarize_energy_closure(record)
    assert found["parts"]["record"]["ratio"] is None and found["doubtful"] is None
    assert "cannot be assessed" in found["verdict"]


def test_a_sensor_that_moves_is_not_stuck(record):
    assert list_stuck_sensors(record) == []


@pytest.mark.parametrize("rise", [0.0, 0.25], ids=["constant", "straight"])
def test_a_stuck_sensor_and_a_bridged_gap_are_found(record, rise):
    record.wind_speed.values[1000:1097] = 3.0 + rise * np.arange(97)
    (stretch,) = list_stuck_sensors(record)
    assert (stretch["name"], stretch["hours"], stretch["value"]) == ("wind_speed", 48.5, 3.0)
    assert stretch["last"] == 3.0 + 96 * rise
    assert stretch["start"] == str(record.time.values[1000])[:16].replace("T", " ")
    assert summarize_record(record)["verdicts"][-1]["mark"] == "doubt"


def test_what_is_filled_zero_short_or_seasonal_may_stay(record):
    record.wind_speed.values[:DAY] = 2.0
    record.air_pressure.values[: 9 * DAY] = 9.6e4
    record.air_pressure_qc.values[: 9 * DAY] = QC.ESTIMATED
    record.ground_heat.values[: 9 * DAY] = 0.0
    record = record.assign(leaf_area_index=record.wind_speed * 0.0 + 2.0, leaf_area_index_qc=record.wind_speed_qc)
    assert list_stuck_sensors(record) == []
    assert find_constant_stretches(record, "leaf_area_index").shape == (0, 2)


def test_closure_is_told_without_what_is_stuck(record):
    record = with_line(record, 0.95, 0.0)
    record.net_radiation.values[: 60 * DAY] = 500.0
    found = summarize_energy_closure(record)
    assert found["parts"]["moving"]["ratio"] == pytest.approx(0.95)
    assert "Where no term is stuck or bridged by a straight line it is 95%." in found["verdict"]


def raining(record, yearly):
    """The record with so much precipitation in a year [mm], in showers of uneven size."""
    rain = record.precipitation.values
    record.precipitation.values[:] = rain * (yearly / YEAR) / rain.mean()
    return record


def evaporating(record, yearly):
    latent = record.latent_heat.values
    record.latent_heat.values[:] = latent * (yearly * 2.45e6 / YEAR) / latent.mean()
    return record


def test_the_soil_may_give_some_water(record):
    found = summarize_water_balance(evaporating(raining(record, 400.0), 460.0))
    assert not found["exceeds"] and found["correction"] is None and found["years"] == 1.0
    assert found["surplus"] == pytest.approx(-60.0, abs=15.0)
    assert "which soil water may have supplied" in found["verdict"]


def test_less_than_a_year_may_empty_the_soil(record):
    record = evaporating(raining(record, 400.0), 1000.0).isel(time=slice(100 * DAY))
    found = summarize_water_balance(record)
    assert found["allowance"] == 250.0 and not found["exceeds"]
    assert found["evapotranspiration"] - found["precipitation"] > 100.0


def test_more_than_the_soil_gives_comes_from_elsewhere(record):
    found = summarize_water_balance(evaporating(raining(record, 400.0), 900.0))
    assert found["exceeds"] and found["doubtful"] and found["correction"] == "external_supply"
    assert "`external_supply`" in found["verdict"]


@pytest.mark.parametrize(
    ("igbp", "rain", "colder", "needs"),
    [
        ("DBF", 300.0, 0.0, True),
        ("CRO", 490.0, 0.0, True),
        ("DBF", 510.0, 0.0, False),
        ("GRA", 300.0, 0.0, False),
        ("ENF", 300.0, 12.0, False),  # boreal
        ("ENF", 200.0, 12.0, True),
    ],
)
def test_trees_and_crops_in_a_steppe_live_on_more_than_rain(record, igbp, rain, colder, needs):
    record = raining(record, rain).assign_attrs(igbp=igbp)
    record.air_temperature.values[:] -= colder
    assert has_water_beyond_rain(record) is needs
    assert not has_water_beyond_rain(record.isel(time=slice(300 * DAY)))  # nothing is known of the year


def test_aridity_is_the_ratio_of_holdridge(record):
    record = raining(record, 500.0)
    record.air_temperature.values[:] = np.where(np.arange(record.sizes["time"]) % 2, 263.15, 293.15)
    assert compute_aridity(record) == pytest.approx(58.93 * 10.0 / 500.0, rel=1e-3)
    assert np.isnan(compute_aridity(record.isel(time=slice(300 * DAY))))


def test_snow_that_the_gauge_misses_is_its_fault(record):
    record.air_temperature.values[:] -= 12.0
    found = summarize_water_balance(evaporating(raining(record, 400.0), 560.0))
    assert found["snow_share"] > 0.5 and found["correction"] == "precipitation_factor"


def test_a_record_without_rain_is_doubted(record):
    record.precipitation.values[:] = 0.0
    found = summarize_water_balance(evaporating(record, 500.0))
    assert found["correction"] == "record"
    assert [doubt for doubt in found["doubts"] if "No precipitation in 400 days from 2012-02-20" in doubt]


def of_years(record, count):
    """The record's first 365 days, `count` times in a row."""
    whole = xr.concat([record.isel(time=slice(365 * DAY))] * count, "time")
    time = record.time.values[0] + np.arange(whole.sizes["time"]) * np.timedelta64(30, "m")
    return whole.assign_coords(time=time.astype(record.time.dtype))


def test_precipitation_that_was_not_measured_is_not_answered_with_irrigation(record):
    record = evaporating(of_years(record, 5), 900.0)
    record.precipitation.values[:] = 0.0
    record.precipitation.values[1000:1004] = 0.5 / 1800.0  # 2 mm in five years
    found = summarize_water_balance(record)
    assert found["correction"] == "record" and "external_supply" not in found["verdict"]
    assert "Precipitation is 0.4 mm in a year" in found["doubts"][0] and "was not measured" in found["doubts"][0]
    assert summarize_record(record)["usable"]["drive"] is None


def test_a_year_with_a_third_of_the_rain_is_doubted(record):
    record = of_years(raining(record, 600.0), 4)
    assert find_precipitation_doubts(record) == []
    record.precipitation.values[365 * DAY : 730 * DAY] *= 0.3
    assert any("0.30 times the median of the other years" in doubt for doubt in find_precipitation_doubts(record))


def test_precipitation_is_compared_with_the_mean_of_the_station(record, monkeypatch):
    station = {"XX-Syn": {"annual_precipitation": 900.0}}
    monkeypatch.setattr("bowen.data.checks.water_balance.load_known_sites", lambda: station)
    assert find_precipitation_doubts(raining(record, 600.0)) == []
    doubts = find_precipitation_doubts(raining(record, 300.0))
    assert any("0.33 times the mean of the station (sound towers: 0.67 to" in doubt for doubt in doubts)


@pytest.mark.parametrize("is_heated", [True, False])
def test_a_gauge_that_records_no_snow_is_noticed(record, is_heated):
    """A cold winter with overcast days, on which it rains or snows."""
    day = np.arange(record.sizes["time"]) // DAY
    cold = (day < 60) | (day > 320)
    record.air_temperature.values[:] -= np.where(cold, 25.0, 0.0)
    overcast = day % 3 == 0
    record.shortwave_down.values[:] *= np.where(overcast, 0.2, 1.0)
    record.precipitation.values[:] = np.where(overcast & (is_heated | ~cold), 3.0 + day % 7, 0.0) / 86400.0
    doubts = [doubt for doubt in find_precipitation_doubts(record) if "overcast days below -2 °C is 0.0% of" in doubt]
    assert len(doubts) == (not is_heated)
    found = summarize_water_balance(evaporating(record, 900.0))
    assert found["misses_snow"] is not is_heated


def test_rain_while_latent_heat_is_missing_still_counts(record):
    record = evaporating(raining(record, 400.0), 380.0)
    record.latent_heat.values[record.precipitation.values > 0.0] = np.nan
    found = summarize_water_balance(record)
    assert found["unseen_share"] == 1.0 and not found["exceeds"]
    assert found["precipitation"] == pytest.approx(400.0, rel=0.02)
    assert found["evapotranspiration"] == pytest.approx(380.0, rel=0.05)


def test_sums_end_at_what_fell_and_evaporated(record):
    sums = accumulate_water_fluxes(record)
    assert sums["precipitation"][-1] == pytest.approx(record.precipitation.values.sum() * 1800.0)
    assert sums["evapotranspiration"][-1] == pytest.approx(record.latent_heat.values.sum() * 1800.0 / 2.45e6)
    calendar = summarize_water_balance(record)["calendar"]
    assert [year["year"] for year in calendar] == [2012, 2013]
    assert sum(year["days"] for year in calendar) == 400.0
    assert sum(year["precipitation"] for year in calendar) == pytest.approx(sums["precipitation"][-1])


def test_usual_rain_is_not_doubted(record):
    assert find_precipitation_doubts(raining(record, 600.0)) == []


def drizzle(record):
    record.precipitation.values[:] = np.where(np.arange(record.sizes["time"]) % 4 == 0, 0.02 / 1800.0, 0.0)


def ever_wet(record):
    record.precipitation.values[:] += 1e-6


def blocked(record):
    record.precipitation.values[50 * DAY : 70 * DAY] = 0.0
    record.vapor_pressure_deficit.values[50 * DAY : 70 * DAY] = 0.0


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (drizzle, r"have the same 0\.02 mm"),
        (ever_wet, r"rains at 100% of the steps"),
        (lambda record: raining(record, 5.0), r"5 mm in a year\. Only the driest deserts"),
        (lambda record: raining(record, 9000.0), r"Very few places"),
        (blocked, r"humid on \d\d of them: was the gauge blocked or frozen"),
    ],
    ids=["drizzle", "ever wet", "too dry", "too wet", "blocked gauge"],
)
def test_rain_unlike_rain_is_doubted(record, spoil, words):
    spoil(record)
    with pytest.raises(AssertionError, match=words):
        assert find_precipitation_doubts(record) == []


def test_filled_dry_spells_are_not_blamed_on_the_gauge(record):
    blocked(record)
    record.precipitation_qc.values[45 * DAY : 75 * DAY] = QC.INTERPOLATED
    assert find_precipitation_doubts(record) == []


def test_summary_is_json_whatever_is_missing(record):
    record.air_temperature_qc.values[: 40 * DAY] = QC.REANALYSIS
    record.latent_heat.values[:] = np.nan
    told = summarize_record(record.assign_attrs(elevation=np.float64(400.0)))
    json.dumps(told, allow_nan=False)
    shares = {entry["name"]: entry["quality"] for entry in told["variables"]}
    assert shares["air_temperature"] == pytest.approx({"measured": 0.9, "reanalysis": 0.1})
    assert shares["latent_heat"] == {"missing": 1.0}
    assert told["usable"]["drive"] is None and "latent_heat is missing at all" in told["usable"]["train"]
    marks = {verdict["about"]: verdict["mark"] for verdict in told["verdicts"]}
    assert marks["drive"] == "good" and marks["train"] == "bad" and marks["energy"] == marks["water"] == "unknown"


def test_rain_that_is_spread_over_the_day_is_not_doubted(record):
    """A day of a daily record rains at all of its half-hours."""
    rain = record.precipitation.values
    day = np.arange(len(rain)) // DAY
    rain[:] = np.where(day % 2, 2.0 + np.sin(day), 0.0) / 86400.0
    assert any("rains at 5" in doubt for doubt in find_precipitation_doubts(record))
    assert not find_precipitation_doubts(record.assign_attrs(flux_interval_s=86400))


def test_fluxes_that_were_never_measured_cannot_train(record):
    record.sensible_heat_qc.values[:] = QC.FILLED_GOOD
    assert "no step of sensible_heat was measured" in summarize_record(record)["usable"]["train"]


def test_what_cannot_drive_cannot_train(record):
    record.wind_speed.values[: 300 * DAY] = np.nan
    usable = summarize_record(record)["usable"]
    assert "wind_speed is missing at 75%" in usable["drive"] and usable["train"] == usable["drive"]


def test_the_sun_is_up_for_half_a_day_at_the_equinox(record):
    rise, noon = compute_sunrise_and_noon(np.array(["2012-03-20"], "datetime64[D]"), record.attrs)
    assert 2.0 * (noon - rise) == pytest.approx(12.0, abs=0.1)
    assert noon == pytest.approx(12.0 + 7.5 / 60.0, abs=0.05)  # the sun is late in March
    rise, noon = compute_sunrise_and_noon(
        np.arange("2012", "2013", dtype="datetime64[D]"), {**record.attrs, "latitude": 75.0}
    )
    assert (noon - rise).max() == 12.0 and (noon - rise).min() == 0.0

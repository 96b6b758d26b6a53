"""Days to half-hours and back."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from bowen.data import QC, aggregate_to_days, check_record, disaggregate, fill_forcing, read_table
from bowen.data.forcing.diurnal import bend_to_mean, interpolate_extremes
from bowen.data.solar import compute_clear_sky_radiation, compute_sunrise_and_noon
from bowen.errors import ConfigError, DataError
from bowen.physics.thermodynamics import saturation_vapor_pressure, vapor_pressure
from tests.data.files import SITE, fluxnet_table, write_csv

PLACE = {**SITE, "site": "XX-Day", "reference_height": 10.0, "canopy_height": 0.5}


def days_of_weather(count=20, start="2012-02-20", seed=0, **place):
    """Restless weather of days, over a leap day: fronts by tens of kelvins, any cloud, showers, dry and moist air."""
    random = np.random.default_rng(seed)
    attrs = {**PLACE, **place}
    time = np.datetime64(start, "ns") + np.arange(count) * np.timedelta64(1, "D")
    low = 281.0 + random.normal(0.0, 6.0, count)
    high = low + random.uniform(0.0, 18.0, count)
    stamps = time[0] + np.arange(24 * count) * np.timedelta64(3600, "s")
    clear = compute_clear_sky_radiation(stamps, 3600, attrs).reshape(count, 24).mean(axis=1)
    values = {
        "shortwave_down": clear * random.uniform(0.1, 1.0, count),
        "air_temperature_min": low,
        "air_temperature_max": high,
        "vapor_pressure_deficit": random.uniform(0.0, 0.8, count) * saturation_vapor_pressure(low),
        "precipitation": random.exponential(3e-5, count) * (random.random(count) < 0.5),
        "wind_speed": random.uniform(0.5, 6.0, count),
        "air_pressure": random.normal(96000.0, 500.0, count),
        "longwave_down": random.uniform(200.0, 380.0, count),
        "leaf_area_index": np.linspace(1.0, 3.0, count),
    }
    return xr.Dataset({name: ("time", value) for name, value in values.items()}, {"time": time}, attrs)


def assert_returns(daily, made, rtol=1e-9):
    back = aggregate_to_days(made)
    for name in [str(name) for name in daily.data_vars if not str(name).endswith("_qc")]:
        if name == "vapor_pressure":
            vapor = vapor_pressure(made.specific_humidity.values, made.air_pressure.values)
            ours = vapor.reshape(daily.sizes["time"], -1).mean(axis=1)
        else:
            ours = back[name].values
        scale = np.nanmax(np.abs(daily[name].values))
        np.testing.assert_allclose(ours, daily[name].values, rtol=rtol, atol=rtol * scale, err_msg=name)


@pytest.mark.parametrize("step", [900, 1800, 3600])
def test_the_days_come_back(step):
    daily = days_of_weather()
    made = disaggregate(daily, step)
    assert made.sizes["time"] == 20 * 86400 // step and made.attrs["timestep_s"] == step
    assert_returns(daily, made)
    check_record(made)


@settings(deadline=None, max_examples=40)
@given(
    latitude=st.floats(-90.0, 90.0),
    longitude=st.floats(-180.0, 180.0),
    start=st.dates(np.datetime64("1999-01-01").item(), np.datetime64("2024-12-31").item()),
    offset=st.integers(-12, 14),
    seed=st.integers(0, 2**16),
)
def test_the_days_come_back_anywhere(latitude, longitude, start, offset, seed):
    daily = days_of_weather(4, str(start), seed, latitude=latitude, longitude=longitude, utc_offset_hours=float(offset))
    made = disaggregate(daily, 3600)
    assert_returns(daily, made)
    assert (made.shortwave_down >= 0.0).all() and (made.vapor_pressure_deficit >= 0.0).all()


def test_a_mean_temperature_comes_back_with_the_extremes():
    daily = days_of_weather()
    share = np.random.default_rng(1).uniform(0.03, 0.97, 20)
    share[0] = np.nan  # a day whose mean nobody knows
    low, high = daily.air_temperature_min.values, daily.air_temperature_max.values
    daily["air_temperature"] = ("time", low + share * (high - low))
    made = disaggregate(daily)
    back = aggregate_to_days(made)
    assert np.isfinite(back.air_temperature.values).all()
    assert_returns(daily.isel(time=slice(1, None)), made.isel(time=slice(48, None)))


def test_a_mean_too_near_an_extreme_is_met_as_well_as_may_be():
    curve = np.linspace(0.0, 1.0, 24)[None, :]
    bent = bend_to_mean(curve, np.array([0.01]))
    assert bent.min() == 0.0 and bent.max() == 1.0
    np.testing.assert_allclose(bent.mean(), 1.0 / 24.0, rtol=1e-6)


def test_vapor_pressure_may_stand_for_the_deficit():
    daily = days_of_weather().drop_vars("vapor_pressure_deficit")
    daily["vapor_pressure"] = 0.7 * saturation_vapor_pressure(daily.air_temperature_min)
    made = disaggregate(daily)
    assert_returns(daily, made)
    vapor = vapor_pressure(made.specific_humidity.values, made.air_pressure.values).reshape(20, 48)
    np.testing.assert_allclose(vapor, np.repeat(daily.vapor_pressure.values[:, None], 48, axis=1), rtol=1e-9)


def test_air_is_saturated_before_it_holds_more():
    daily = days_of_weather()
    daily["vapor_pressure_deficit"][:10] = 15.0
    made = disaggregate(daily)
    assert (made.vapor_pressure_deficit.values == 0.0).any()
    assert_returns(daily, made)


def test_a_deficit_beyond_saturation_is_kept():
    daily = days_of_weather(60)
    mean = saturation_vapor_pressure(disaggregate(daily).air_temperature.values[3 * 48 : 4 * 48]).mean()
    daily["vapor_pressure_deficit"][3] = 1.01 * mean
    assert_returns(daily, disaggregate(daily))


def test_one_day_is_enough():
    daily = days_of_weather(1)
    assert_returns(daily, disaggregate(daily))


@pytest.mark.parametrize("latitude", [50.0, -35.0, 0.0])
@pytest.mark.parametrize(("longitude", "offset"), [(15.0, 1.0), (151.0, 10.0), (-120.0, -8.0), (7.0, 2.0)])
def test_the_sun_and_the_warmth_are_on_time(latitude, longitude, offset):
    daily = days_of_weather(latitude=latitude, longitude=longitude, utc_offset_hours=offset)
    daily["air_temperature_min"][:], daily["air_temperature_max"][:] = 280.0, 290.0
    made = disaggregate(daily)
    solar = np.arange(48) / 2.0 + 0.25 + longitude / 15.0 - offset
    course = made.to_dataframe().groupby(np.tile(np.arange(48), 20)).mean(numeric_only=True)
    assert solar[course["shortwave_down"].argmax()] == pytest.approx(12.0, abs=0.6)
    assert solar[course["air_temperature"].argmax()] == pytest.approx(13.9, abs=0.8)
    rise, _ = compute_sunrise_and_noon(daily.time.values, daily.attrs)
    assert rise.min() - 0.7 < course["air_temperature"].argmin() / 2.0 < rise.max()


@pytest.mark.parametrize(("latitude", "start"), [(78.0, "2012-12-10"), (-75.0, "2012-06-10")])
def test_a_polar_night_is_dark_but_for_the_offset_of_the_instrument(latitude, start):
    daily = days_of_weather(start=start, latitude=latitude)
    daily["shortwave_down"][5] = 1.5
    made = disaggregate(daily)
    light = made.shortwave_down.values.reshape(20, 48)
    assert (light[5] == 1.5).all() and (np.delete(light, 5, axis=0) == 0.0).all()
    assert np.isfinite(made.longwave_down.values).all()


def test_a_polar_day_has_light_all_night():
    made = disaggregate(days_of_weather(start="2012-06-10", latitude=78.0))
    assert (made.shortwave_down.values > 0.0).all()


def test_the_warmth_of_midnight_is_that_of_both_days():
    daily = days_of_weather(60)
    course = disaggregate(daily, 900).air_temperature.values
    jumps = np.abs(np.diff(course))
    at_midnight = jumps[95::96]
    low, high = daily.air_temperature_min.values, daily.air_temperature_max.values
    apart = np.maximum(0.0, np.maximum(low[1:] - high[:-1], low[:-1] - high[1:]))  # two days with no value in common
    assert (at_midnight <= apart + 1.2 * np.quantile(jumps, 0.999)).all()
    assert (at_midnight[apart > 0.0] >= apart[apart > 0.0]).all()


def test_the_curve_is_monotone_between_extremes():
    low, high = np.array([1.0, 0.0, -4.0]), np.array([9.0, 7.0, 3.0])
    at = np.full(3, 12), np.full(3, 28)
    curve = interpolate_extremes(low, high, *at, 48)
    assert (np.diff(curve[:, 12:29], axis=1) > 0.0).all()
    night = np.concatenate([curve[0, 28:], curve[1, :13]])
    assert (np.diff(night) < 0.0).all()


def test_what_nobody_measured_is_estimated_and_said():
    daily = days_of_weather().drop_vars(["wind_speed", "air_pressure", "longwave_down", "leaf_area_index"])
    made = disaggregate(daily)
    assert_returns(daily, made)
    np.testing.assert_allclose(made.wind_speed, 2.0 * np.log(672.58) / 4.87)  # FAO-56, eq. 47, at 10 m
    np.testing.assert_allclose(made.air_pressure, 96610.0, rtol=1e-3)  # standard atmosphere at 400 m
    emissivity = made.longwave_down / (5.6734e-8 * made.air_temperature**4)
    assert ((emissivity > 0.4) & (emissivity <= 1.0)).all()
    for word in ("Wind was not measured", "Air pressure was not measured", "clear sky", "sunrise", "evenly"):
        assert word in made.attrs["assumptions"]
    for name in made.data_vars:
        if str(name).endswith("_qc"):
            assert (made[name].values == QC.ESTIMATED).all()


def test_missing_days_are_missing_and_can_be_filled():
    daily = days_of_weather()
    daily["shortwave_down"][4], daily["air_temperature_min"][9] = np.nan, np.nan
    made = disaggregate(daily.isel(time=[k for k in range(20) if k != 14]))
    assert made.sizes["time"] == 20 * 48
    missing = {
        name: set(np.flatnonzero(np.isnan(made[name].values.reshape(20, 48)).all(axis=1)))
        for name in ("shortwave_down", "air_temperature", "vapor_pressure_deficit", "precipitation", "wind_speed")
    }
    assert missing == {
        "shortwave_down": {4, 14},
        "air_temperature": {9, 14},
        "vapor_pressure_deficit": {9, 14},
        "precipitation": {14},
        "wind_speed": {14},
    }
    assert (made.air_temperature_qc.values.reshape(20, 48)[9] == QC.MISSING).all()
    filled = fill_forcing(made)
    assert np.isfinite(filled.air_temperature.values).all()
    assert_returns(daily.isel(time=slice(15, None)), made.isel(time=slice(15 * 48, None)))


def test_days_of_a_record_and_back(tmp_path):
    record = read_table(write_csv(tmp_path / "XX-Syn.csv", fluxnet_table(days=8)), site=SITE)
    record["latent_heat"].values[100] = np.nan
    record["air_temperature_qc"].values[50] = QC.FILLED_MEDIUM
    daily = aggregate_to_days(record.isel(time=slice(10, None)))  # begins in the middle of a day
    frame = record.isel(time=slice(48, None)).to_dataframe().resample("1D")
    for name in ("shortwave_down", "precipitation", "vapor_pressure_deficit", "net_radiation"):
        np.testing.assert_allclose(daily[name], frame[name].mean(), rtol=1e-12)
    np.testing.assert_allclose(daily.air_temperature_max, frame["air_temperature"].max())
    assert np.isnan(daily.latent_heat.values).tolist() == [False, True, *[False] * 5]
    assert daily.air_temperature_qc.values.tolist() == [QC.FILLED_MEDIUM, *[0] * 6]
    assert (daily.attrs["timestep_s"], daily.attrs["igbp"], daily.attrs["utc_offset_hours"]) == (86400, "GRA", 1.0)
    made = disaggregate(daily)
    assert "latent_heat" not in made and made.attrs["source"].endswith("disaggregated")
    assert_returns(daily[["shortwave_down", "air_temperature", "air_temperature_min", "longwave_down"]], made)
    with pytest.raises(DataError, match="has no whole day from midnight to midnight"):
        aggregate_to_days(record.isel(time=slice(10, 60)))


def spoiled(**changes):
    def spoil(daily):
        for name, change in changes.items():
            daily[name] = change(daily[name])
        return daily

    return spoil


BAD = {
    "nothing to tell the humidity": (
        lambda daily: daily.drop_vars("vapor_pressure_deficit"),
        "XX-Day: no vapor_pressure_deficit on any day",
    ),
    "no extremes": (
        lambda daily: daily.rename(air_temperature_max="temperature_max"),
        "no air_temperature_max on any day.\n  nearest: .*temperature_max",
    ),
    "all of a variable missing": (spoiled(precipitation=lambda rain: rain * np.nan), "no precipitation on any day"),
    "degrees Celsius": (spoiled(air_temperature_min=lambda low: low - 273.15), "air_temperature_min is .* outside 183"),
    "extremes exchanged": (
        lambda daily: daily.rename(
            air_temperature_min="air_temperature_max", air_temperature_max="air_temperature_min"
        ),
        r"on 2012-02-\d\d the air temperature has its minimum above the maximum .*20 such days",
    ),
    "a mean out of range": (
        lambda daily: daily.assign(air_temperature=daily.air_temperature_max + 1.0),
        "on 2012-02-20 the air temperature has its mean above the maximum",
    ),
    "light of daylight hours": (
        spoiled(shortwave_down=lambda light: 4.0 * light),
        "fix: check latitude and unit; it must be the mean over 24 h, not over daylight",
    ),
    "light of the other hemisphere": (
        lambda daily: daily.assign_attrs(latitude=-89.0).assign_coords(time=daily.time + np.timedelta64(100, "D")),
        r"where a clear sky gives 0 .*\n  fix: check latitude",
    ),
    "deficit in hPa": (
        spoiled(vapor_pressure_deficit=lambda dry: dry / 100.0),
        "vapor_pressure_deficit never exceeds",
    ),
    "vapor pressure in hPa": (
        lambda daily: daily.rename(vapor_pressure_deficit="vapor_pressure").assign(
            vapor_pressure=0.006 * saturation_vapor_pressure(daily.air_temperature_min)
        ),
        "as if it were in hPa or kPa instead of Pa",
    ),
    "two values on one day": (
        lambda daily: daily.isel(time=[0, 1, 1, 2]),
        "duplicated time stamps: 2012-02-21 00:00",
    ),
    "days out of order": (lambda daily: daily.isel(time=[0, 2, 1]), "time stamps out of order"),
    "no day": (lambda daily: daily.isel(time=slice(0)), "no shortwave_down on any day"),
    "no class": (
        lambda daily: daily.assign_attrs({key: value for key, value in PLACE.items() if key != "igbp"}).drop_attrs(),
        "latitude is None",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_right_is_said(spoil, message):
    with pytest.raises(DataError, match=message):
        disaggregate(spoil(days_of_weather()))


@pytest.mark.parametrize("step", [600, 1000, 7200])
def test_a_step_has_to_suit_a_day(step):
    with pytest.raises(ConfigError, match="must be between 900 and 3600 s and divide a day"):
        disaggregate(days_of_weather(), step)


@pytest.mark.parametrize("name", ["BE-Vie_2014", "US-Wkg_2004"])
def test_half_hours_of_real_towers(shared_data, name):
    """The bar of the whole benchmark, at two towers."""
    benchmark = pytest.importorskip("benchmarks.disaggregation", reason="the benchmarks are not in a source package")
    met = next((shared_data / "towers").glob(f"{name}*_Met.nc"))
    row = benchmark.compare(benchmark.of(met.parent, met.name))
    assert row["return"] < 1e-6 and row["return lean"] < 1e-6
    assert row["T RMSE lean"] < 2.5 and row["T RMSE all"] < row["T RMSE lean"]
    assert row["SW r"] > 0.9
    assert abs(row["LE % all"]) < 5.0 and abs(row["LE % lean"]) < 15.0  # 10 is the bar of the median tower

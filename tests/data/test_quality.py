import numpy as np
import pytest
import xarray as xr

from bowen.data import check_record, compute_fingerprint, fill_forcing, is_measured, read_table, summarize_record
from bowen.errors import DataError
from bowen.physics.thermodynamics import saturation_vapor_pressure
from tests.data.files import SITE, fluxnet_table, write_csv

DAY = 48


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    table = fluxnet_table(days=40)
    return read_table(write_csv(tmp_path_factory.mktemp("tower") / "FLX_XX-Syn.csv", table), site=SITE)


@pytest.fixture
def record(original):
    copy = original.copy(deep=True)
    copy.encoding = dict(original.encoding)
    return copy


def blank(record, name, steps):
    record[name].values[steps] = np.nan
    record[f"{name}_qc"].values[steps] = 9


def test_a_good_record_passes(record):
    check_record(record, need=("latent_heat", "sensible_heat"))


def without(name):
    return lambda record: record.drop_vars(name)


def changed(name, change):
    return lambda record: record.assign({name: record[name].copy(data=change(record[name].values.copy()))})


def place(name, value):
    return lambda record: record.assign_attrs({name: value})


def with_value(at, value):
    def change(values):
        values[at] = value
        return values

    return change


BAD = {
    "target absent": (without("latent_heat"), r"no latent_heat.\n  read from: LE_F_MDS, Qle\n  fix: add"),
    "target empty": (changed("latent_heat", lambda v: v * np.nan), r"latent_heat is missing at all 1920 steps"),
    "forcing absent": (without("wind_speed"), r"no wind_speed.\n  read from: WS_F, WS, Wind\n  fix: add"),
    "no radiation": (
        lambda record: record.drop_vars(["longwave_down", "net_radiation"]),
        r"neither longwave_down nor net_radiation .*\n  in FLUXNET files: LW_IN_F, NETRAD\n"
        r"  in PLUMBER2 files: LWdown, Rnet",
    ),
    "latitude": (place("latitude", -91.0), r"latitude is -91.0, and must be between -90 and 90 degrees"),
    "longitude": (place("longitude", 181.0), r"longitude is 181.0"),
    "no latitude": (lambda record: record.assign_attrs(latitude=None), r"latitude is None"),
    "a gap in the axis": (lambda record: record.isel(time=[0, 1, 3, 4]), r"irregular time steps, 2012-02-20 00:30 is"),
    "duplicates": (lambda record: record.isel(time=[0, 1, 1, 2]), r"duplicated time stamps"),
    "disorder": (lambda record: record.isel(time=slice(None, None, -1)), r"out of order"),
    "Celsius": (changed("air_temperature", lambda v: v - 273.15), r"air_temperature .* it were in degC instead of K"),
    "kPa": (changed("air_pressure", lambda v: v / 1e3), r"air_pressure .* it were in kPa instead of Pa"),
    "percent": (changed("relative_humidity", lambda v: v * 100.0), r"it were in percent instead of a fraction"),
    "grams": (changed("specific_humidity", lambda v: v * 1e3), r"it were in g kg-1 instead of kg kg-1"),
    "kPa where hPa": (changed("vapor_pressure_deficit", lambda v: v / 10), r"it were in kPa instead of hPa"),
    "mm per interval": (
        changed("precipitation", lambda v: v * 1800.0),
        r"it were in mm per interval instead of kg m-2 s-1",
    ),
    "flux out of range": (
        changed("sensible_heat", with_value([5, 8], 9999.0)),
        r"sensible_heat is 9999 W m-2 at 2012-02-20 02:30, outside -1000 to 2000 \(2 such values\)",
    ),
    "negative light": (changed("shortwave_down", with_value(3, -30.0)), r"shortwave_down is -30 W m-2 at"),
}


@pytest.mark.parametrize(("spoil", "message"), BAD.values(), ids=BAD.keys())
def test_bad_records_are_named(record, spoil, message):
    with pytest.raises(DataError, match=message):
        check_record(spoil(record), need=("latent_heat",))


def test_too_little_rain_over_a_season_is_a_wrong_unit(tmp_path):
    table = fluxnet_table(days=120)
    table["P_F"] /= 1800.0
    with pytest.raises(DataError, match=r"sums to 0.\d+ mm .* kg m-2 s-1 .* instead of mm per interval"):
        read_table(write_csv(tmp_path / "FLX_XX-Syn.csv", table), site=SITE)


def test_short_foggy_records_without_relative_humidity_pass(record):
    foggy = record.isel(time=slice(10 * DAY)).drop_vars(["relative_humidity", "relative_humidity_qc"])
    foggy["vapor_pressure_deficit"] = foggy.vapor_pressure_deficit * 0.1
    check_record(foggy)


def test_measured_means_flag_zero_and_a_value(record):
    record.latent_heat_qc.values[1] = 1
    record.latent_heat.values[2] = np.nan
    np.testing.assert_array_equal(is_measured(record, "latent_heat")[:4], [True, False, False, True])


def test_short_gaps_are_bridged_by_a_line(record):
    truth = record.air_temperature.values.copy()
    blank(record, "air_temperature", slice(100, 103))
    filled = fill_forcing(record)
    np.testing.assert_allclose(filled.air_temperature.values[99:104], np.linspace(truth[99], truth[103], 5))
    np.testing.assert_array_equal(filled.air_temperature_qc.values[99:104], [0, 6, 6, 6, 0])
    assert "3 steps interpolated, 0 from the mean diurnal course" in filled.attrs["assumptions"]
    assert np.isnan(record.air_temperature.values[100])  # the argument is left as it was


def test_long_gaps_take_the_mean_diurnal_course(record):
    truth = record.shortwave_down.values.copy()
    blank(record, "shortwave_down", slice(10 * DAY, 12 * DAY))
    filled = fill_forcing(record)
    np.testing.assert_allclose(filled.shortwave_down.values, truth, atol=1e-9)  # every day is alike in the fixture
    assert (filled.shortwave_down_qc.values[10 * DAY : 12 * DAY] == 7).all()
    assert (filled.shortwave_down_qc.values == 7).sum() == 2 * DAY


def test_the_nearer_days_make_the_course(record):
    """A gap of a month in a trend is filled from the days beside it, not from all days alike."""
    steps = np.arange(record.sizes["time"])
    record["longwave_down"].values[:] = 250.0 + steps / DAY + steps % 2  # 1 W m-2 more each day, and no straight line
    blank(record, "longwave_down", slice(4 * DAY, 6 * DAY))
    filled = fill_forcing(record).longwave_down.values[4 * DAY : 6 * DAY]
    assert np.abs(filled - (250.0 + steps[4 * DAY : 6 * DAY] / DAY)).max() < 4.0


def test_a_bridged_gap_of_days_is_a_gap(record):
    sound = record.net_radiation.values[4 * DAY : 7 * DAY].copy()
    record["net_radiation"].values[4 * DAY : 7 * DAY] = np.linspace(30.0, 80.0, 3 * DAY)
    filled = fill_forcing(record, need=["net_radiation"])
    assert (filled.net_radiation_qc.values[4 * DAY : 7 * DAY] == 7).all()
    assert np.corrcoef(filled.net_radiation.values[4 * DAY : 7 * DAY], sound)[0, 1] > 0.9
    assert "on straight lines longer than a day count as missing" in filled.attrs["assumptions"]
    record["wind_speed"].values[:] = 2.0
    with pytest.raises(DataError, match="wind_speed is missing or constant at 100% of the steps"):
        fill_forcing(record)


def test_two_hours_are_long(record):
    blank(record, "wind_speed", slice(50, 53))
    blank(record, "wind_speed", slice(70, 74))
    qc = fill_forcing(record).wind_speed_qc.values
    assert (qc[50:53] == 6).all() and (qc[70:74] == 7).all()


def test_missing_rain_is_none_and_targets_stay(record):
    blank(record, "precipitation", slice(0, 200))
    blank(record, "latent_heat", slice(0, 3))
    filled = fill_forcing(record)
    assert (filled.precipitation.values[:200] == 0.0).all() and (filled.precipitation_qc.values[:200] == 6).all()
    assert np.isnan(filled.latent_heat.values[:3]).all() and (filled.latent_heat_qc.values[:3] == 9).all()
    assert "200 missing steps assumed dry" in filled.attrs["assumptions"]


def test_the_two_humidities_still_agree_after_filling(record):
    for name in ("air_temperature", "vapor_pressure_deficit", "specific_humidity"):
        blank(record, name, slice(5 * DAY, 6 * DAY))
    filled = fill_forcing(record)
    gap = filled.isel(time=slice(5 * DAY, 6 * DAY))
    vapor = saturation_vapor_pressure(gap.air_temperature.values) - gap.vapor_pressure_deficit.values
    expected = 0.62197 * vapor / (gap.air_pressure.values - 0.37803 * vapor)
    np.testing.assert_allclose(gap.specific_humidity.values, expected, rtol=1e-4)
    assert (gap.specific_humidity_qc.values == 7).all()


def test_an_instrument_s_offset_at_night_becomes_darkness(record):
    record.shortwave_down.values[:4] = [-15.0, -3.0, 0.0, 2.0]
    np.testing.assert_array_equal(fill_forcing(record).shortwave_down.values[:4], [0.0, 0.0, 0.0, 2.0])


def test_what_is_asked_for_is_filled_and_no_more(record):
    for name in ("net_radiation", "wind_speed"):
        blank(record, name, slice(10, 12))
    by_default, asked = fill_forcing(record), fill_forcing(record, need=("net_radiation",))
    assert np.isnan(by_default.net_radiation.values).sum() == 2 and np.isfinite(by_default.wind_speed.values).all()
    assert np.isnan(asked.wind_speed.values).sum() == 2 and np.isfinite(asked.net_radiation.values).all()


def test_too_much_is_not_filled(record):
    blank(record, "air_temperature", slice(0, 1100))
    with pytest.raises(DataError, match=r"XX-Syn: air_temperature is missing at 57% of the steps, more than can be"):
        fill_forcing(record)
    with pytest.raises(DataError, match=r"no leaf_area_index to fill"):
        fill_forcing(record, need=("leaf_area_index",))


def test_an_hour_missing_every_day_is_not_invented(record):
    nights = np.flatnonzero(record.time.dt.hour.values < 4)
    blank(record, "air_pressure", nights)
    with pytest.raises(DataError, match=r"air_pressure is missing at the same hours of every day"):
        fill_forcing(record)


def test_summary_counts_closes_and_judges(record):
    blank(record, "latent_heat", slice(0, 480))
    record.sensible_heat_qc.values[:960] = 1
    told = summarize_record(record)
    shares = {entry["name"]: (entry["measured"], entry["filled"], entry["missing"]) for entry in told["variables"]}
    assert shares["latent_heat"] == (0.75, 0.0, 0.25)
    assert shares["sensible_heat"] == (0.5, 0.5, 0.0)
    both = np.isfinite(record.latent_heat.values)
    turbulent = (record.latent_heat + record.sensible_heat).values[both].sum()
    available = (record.net_radiation - record.ground_heat).values[both].sum()
    np.testing.assert_allclose(told["closure"], turbulent / available)
    np.testing.assert_allclose(told["precipitation"], record.precipitation.values.mean() * 365.25 * 86400)
    np.testing.assert_allclose(told["evapotranspiration"], np.nanmean(record.latent_heat) / 2.45e6 * 365.25 * 86400)
    assert told["evapotranspiration"] > told["precipitation"] and "ET exceeds P" in told["water"]
    assert told["period"] == ["2012-02-20T00:00", "2012-03-30T23:30"]


def test_summary_of_forcing_alone(record):
    told = summarize_record(record[[name for name in record.data_vars if "heat" not in name]])
    assert told["closure"] is None and told["evapotranspiration"] is None
    assert "cannot be assessed" in told["energy"] and "cannot be assessed" in told["water"]


def test_summary_notices_a_shifted_clock(record):
    assert "Shortwave radiation agrees with the sun" in summarize_record(record)["clock"]
    late = record.assign_coords(time=record.time + np.timedelta64(30, "m"))
    assert "The light comes 30 min after the sun" in summarize_record(late)["clock"]
    dark = record.assign(shortwave_down=record.shortwave_down * 0.0)
    assert "no daylight" in summarize_record(dark)["clock"]


def test_fingerprint_knows_the_same_record_again(record, original):
    assert compute_fingerprint(record) == compute_fingerprint(original)
    reordered = record[sorted(record.data_vars, reverse=True)].assign_attrs(dict(reversed(record.attrs.items())))
    assert compute_fingerprint(reordered) == compute_fingerprint(original)
    last_bit = record.assign(air_temperature=record.air_temperature * (1.0 + 1e-15))
    assert compute_fingerprint(last_bit) == compute_fingerprint(original)


@pytest.mark.parametrize(
    "change",
    [
        changed("latent_heat", with_value(7, 1.0)),
        changed("latent_heat_qc", with_value(7, 1)),
        place("canopy_height", 1.25),
        lambda record: record.assign_coords(time=record.time + np.timedelta64(30, "m")),
        without("ground_heat"),
    ],
    ids=["value", "flag", "site", "time", "variable"],
)
def test_fingerprint_sees_any_change(record, original, change):
    assert compute_fingerprint(change(record)) != compute_fingerprint(original)


def test_records_without_attributes_still_tell_where(record):
    bare = xr.Dataset(record.data_vars, record.coords, {"latitude": 99.0})
    with pytest.raises(DataError, match="the record: latitude"):
        check_record(bare)

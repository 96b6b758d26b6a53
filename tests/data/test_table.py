import gzip
import lzma
import shutil
import zipfile

import numpy as np
import pytest

from bowen.data import read_table
from bowen.errors import ConfigError, DataError
from bowen.physics.thermodynamics import saturation_vapor_pressure
from tests.data.files import SITE, fluxnet_table, write_csv

NAME = "FLX_XX-Syn_FLUXNET2015_FULLSET_HH_2012-2012_1-4.csv"


@pytest.fixture
def table():
    return fluxnet_table()


@pytest.fixture
def read(tmp_path):
    """Write a table as a file and read it, with the site's metadata unless others are given."""

    def read(table, name=NAME, site=SITE, **options):
        return read_table(write_csv(tmp_path / name, table), site=site, **options)

    return read


def test_values_are_in_si_at_the_start_of_the_interval(read, table):
    dataset = read(table)
    row = 25  # 12:30 of the first day
    assert dataset.time.values[row] == np.datetime64("2012-02-20T12:30")
    for name, column, factor, offset in [
        ("shortwave_down", "SW_IN_F", 1.0, 0.0),
        ("air_temperature", "TA_F", 1.0, 273.15),
        ("vapor_pressure_deficit", "VPD_F", 100.0, 0.0),
        ("air_pressure", "PA_F", 1000.0, 0.0),
        ("relative_humidity", "RH", 0.01, 0.0),
        ("latent_heat", "LE_F_MDS", 1.0, 0.0),
        ("net_radiation", "NETRAD", 1.0, 0.0),
    ]:
        np.testing.assert_allclose(dataset[name].values[row], table[column][row] * factor + offset, rtol=1e-12)
    np.testing.assert_allclose(dataset.precipitation.values[0], 0.9 / 1800.0)  # 0.9 mm in half an hour


def test_specific_humidity_follows_from_the_deficit(read, table):
    dataset = read(table)
    vapor = saturation_vapor_pressure(dataset.air_temperature.values) - dataset.vapor_pressure_deficit.values
    np.testing.assert_allclose(dataset.specific_humidity.values, 0.622 * vapor / dataset.air_pressure.values, rtol=6e-3)


def test_every_variable_is_described_and_flagged(read, table):
    dataset = read(table)
    for name in [name for name in dataset.data_vars if not name.endswith("_qc")]:
        assert {"units", "long_name", "standard_name"} <= set(dataset[name].attrs)
        assert dataset[name].dtype == np.float64
        assert dataset[f"{name}_qc"].dtype == np.int8
        assert len(dataset[f"{name}_qc"].attrs["flag_meanings"].split()) == len(dataset[f"{name}_qc"].flag_values)
    assert dataset.attrs["site"] == "XX-Syn"
    assert dataset.attrs["timestep_s"] == 1800


def test_end_stamps_give_the_same_record(read, table):
    by_start = read(table.drop(columns="TIMESTAMP_END"))
    by_end = read(table.drop(columns="TIMESTAMP_START"))
    assert by_start.identical(by_end)


def test_hourly_record_over_the_leap_day(read):
    dataset = read(fluxnet_table(step=3600), name=NAME.replace("_HH_", "_HR_"))
    assert dataset.attrs["timestep_s"] == 3600
    assert np.datetime64("2012-02-29T23:00") in dataset.time.values
    np.testing.assert_allclose(dataset.precipitation.values[0], 0.9 / 3600.0)


def test_missing_rows_are_inserted_and_missing_values_flagged(read, table):
    table.loc[10, "LE_F_MDS"] = -9999
    table.loc[11, "TA_F"] = -9999.0
    dataset = read(table.drop(index=range(100, 110)))
    assert dataset.sizes["time"] == len(table)
    assert np.isnan(dataset.latent_heat.values[[10, *range(100, 110)]]).all()
    assert (dataset.latent_heat_qc.values[[10, *range(100, 110)]] == 9).all()
    assert np.isnan(dataset.air_temperature.values[11]) and np.isnan(dataset.specific_humidity.values[11])
    assert "10 rows are not in the file" in dataset.attrs["assumptions"]


@pytest.mark.parametrize(
    ("column", "flag_column", "variable", "theirs", "ours"),
    [
        ("TA_F", "TA_F_QC", "air_temperature", 1, 1),
        ("TA_F", "TA_F_QC", "air_temperature", 2, 4),
        ("LE_F_MDS", "LE_F_MDS_QC", "latent_heat", 2, 2),
        ("LE_F_MDS", "LE_F_MDS_QC", "latent_heat", 3, 3),
        ("LE_F_MDS", "LE_F_MDS_QC", "latent_heat", -9999, 3),
        ("LE_F_MDS", "LE_F_MDS_QC", "latent_heat_corrected", 1, 1),
        ("VPD_F", "VPD_F_QC", "specific_humidity", 2, 4),
    ],
)
def test_flags(read, table, column, flag_column, variable, theirs, ours):
    table.loc[7, flag_column] = theirs
    qc = read(table)[f"{variable}_qc"].values
    assert qc[7] == ours
    assert qc[6] == 0


def test_at_each_step_the_first_column_with_a_value_is_used(read, table):
    table["LW_IN_JSB_F"] = 250.0
    table.loc[:4, "LW_IN_F"] = -9999
    dataset = read(table)
    np.testing.assert_array_equal(dataset.longwave_down.values[:5], 250.0)
    np.testing.assert_array_equal(dataset.longwave_down_qc.values[:6], [5, 5, 5, 5, 5, 0])


def test_a_column_may_be_chosen(read, table):
    table["LW_IN_JSB_F"] = 250.0
    dataset = read(table, columns={"longwave_down": "LW_IN_JSB_F"})
    np.testing.assert_array_equal(dataset.longwave_down.values, 250.0)
    assert "Longwave down was not measured at 100%" in dataset.attrs["assumptions"]
    with pytest.raises(ConfigError, match=r"no variable is called `longwave`.\n  nearest: longwave_down"):
        read(table, columns={"longwave": "LW_IN_JSB_F"})


def test_deficit_from_relative_humidity_where_it_is_missing(read, table):
    truth = read(table).vapor_pressure_deficit.values
    table.loc[3:5, "VPD_F"] = -9999
    dataset = read(table)
    np.testing.assert_allclose(dataset.vapor_pressure_deficit.values, truth, rtol=1e-9)
    assert "computed from relative humidity at 3 steps" in dataset.attrs["assumptions"]


def test_pressure_from_elevation_where_it_was_not_measured(read, table):
    dataset = read(table.drop(columns=["PA_F", "PA_F_QC"]))
    np.testing.assert_allclose(dataset.air_pressure.values, 96600.0, rtol=2e-3)  # standard atmosphere at 400 m
    assert (dataset.air_pressure_qc.values == 5).all()
    assert "estimated from the elevation" in dataset.attrs["assumptions"]


def test_what_the_site_lacks_is_assumed_and_said(read, table):
    dataset = read(table, site={"latitude": 50.0, "longitude": 15.0, "igbp": "DBF"})
    assert dataset.attrs["canopy_height"] == 20.0
    assert dataset.attrs["reference_height"] == 26.0
    assert dataset.attrs["utc_offset_hours"] == 1.0
    assert abs(dataset.attrs["elevation"] - 453.0) < 20.0
    for sentence in ("Canopy height 20 m", "Reference height 26 m", "Elevation", "UTC+1 h"):
        assert sentence in dataset.attrs["assumptions"]


def test_optional_columns_may_be_empty_or_absent(read, table):
    table["LE_CORR"] = -9999
    dataset = read(table.drop(columns=["H_CORR", "NETRAD", "G_F_MDS", "LE_F_MDS", "H_F_MDS"]))
    assert not {"latent_heat_corrected", "net_radiation", "ground_heat", "latent_heat"} & set(dataset.data_vars)


def test_a_known_tower_needs_no_metadata(read, table):
    dataset = read(table, name="FLX_BE-Vie_2012.csv", site=None)
    assert (dataset.attrs["latitude"], dataset.attrs["igbp"]) == (50.305, "MF")
    assert read(table, name="FLX_BE-Vie_2012.csv", site={"canopy_height": 30.0}).attrs["canopy_height"] == 30.0


def test_compressed_files_are_the_same_record(read, table, tmp_path):
    plain = read(table)
    path = tmp_path / NAME
    with gzip.open(tmp_path / f"{NAME}.gz", "wb") as packed:
        packed.write(path.read_bytes())
    with lzma.open(tmp_path / f"{NAME}.xz", "wb") as packed:
        packed.write(path.read_bytes())
    with zipfile.ZipFile(tmp_path / "FLX_XX-Syn.zip", "w") as packed:
        packed.write(path, NAME)
        packed.writestr(NAME.replace("_HH_", "_DD_"), "TIMESTAMP,TA_F\n20120220,3.0\n")
    for name in (f"{NAME}.gz", f"{NAME}.xz", "FLX_XX-Syn.zip"):
        assert read_table(tmp_path / name, site=SITE).equals(plain)


def without(*columns):
    return lambda table: table.drop(columns=list(columns))


def scaled(column, factor, offset=0.0):
    return lambda table: table.assign(**{column: table[column] * factor + offset})


def edited(row, column, value):
    def edit(table):
        table = table.astype({column: object})
        table.loc[row, column] = value
        return table

    return edit


BAD = {
    "missing column": (
        without("SW_IN_F"),
        r"(?s)no column for shortwave_down.*looked for: SW_IN_F, SW_IN_F_MDS, SW_IN.*nearest: .*SW_IN_F_QC.*"
        r'columns=\{"shortwave_down":',
    ),
    "no humidity": (without("VPD_F", "RH"), r"no column for vapor_pressure_deficit"),
    "no stamps": (without("TIMESTAMP_START", "TIMESTAMP_END"), r"no column for time"),
    "empty required column": (scaled("TA_F", 0.0, -9999.0), r"air_temperature is missing at all 768 steps"),
    "empty rain": (scaled("P_F", 0.0, -9999.0), r"precipitation is missing at all 768 steps"),
    "deficit in kPa": (
        scaled("VPD_F", 0.1),
        r"vapor_pressure_deficit is 0.1 times .* it were in kPa instead of hPa",
    ),
    "deficit in kPa, no other humidity": (
        lambda table: scaled("VPD_F", 0.1)(table).drop(columns="RH"),
        r"vapor_pressure_deficit never exceeds 5.\d% of saturation, as if it were in kPa instead of hPa",
    ),
    "deficit in Pa": (
        scaled("VPD_F", 100.0),
        r"vapor_pressure_deficit exceeds saturation at \d+% .* it were in Pa instead of hPa",
    ),
    "pressure in hPa": (scaled("PA_F", 10.0), r"air_pressure has a median of .* it were in hPa instead of kPa"),
    "pressure in Pa": (scaled("PA_F", 1000.0), r"it were in Pa instead of kPa"),
    "temperature in K": (scaled("TA_F", 1.0, 273.15), r"air_temperature .* it were in K instead of degC"),
    "rain as a rate per day": (scaled("P_F", 500.0), r"precipitation sums to .* mm in a year"),
    "duplicated stamps": (
        edited(6, "TIMESTAMP_START", "201202200230"),
        r"duplicated time stamps: 2012-02-20 02:30 is followed by 2012-02-20 02:30 \(rows 6 and 7",
    ),
    "unsorted stamps": (
        lambda table: table.iloc[[*range(20), 21, 20, *range(22, len(table))]],
        r"out of order: 2012-02-20 10:30 is followed by 2012-02-20 10:00 \(rows 21 and 22 .*\n  fix: sort the rows",
    ),
    "irregular stamps": (edited(6, "TIMESTAMP_START", "201202200307"), r"irregular time steps, off the axis of 1800 s"),
    "nonsense stamp": (edited(6, "TIMESTAMP_START", "2012-02-20"), r"row 8 has the TIMESTAMP_START `2012-02-20`"),
    "nonsense number": (edited(6, "TA_F", "warm"), r"row 8 has `warm` in the column TA_F"),
    "one impossible value": (
        edited(6, "WS_F", 250.0),
        r"wind_speed is 250 m s-1 at 2012-02-20 03:00, outside 0 to 75 \(1 such",
    ),
    "a single row": (lambda table: table.head(1), r"has 1 time steps"),
    "no rows": (lambda table: table.head(0), r"has a header and no rows"),
}


@pytest.mark.parametrize(("spoil", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_named(read, table, spoil, message):
    with pytest.raises(DataError, match=message) as caught:
        read(spoil(table))
    assert str(caught.value).startswith(NAME)


def test_steps_longer_than_an_hour_are_refused(read):
    with pytest.raises(
        DataError, match=r"the step is 10800 s; it must be between 15 and 60 min .*\n  fix: use the half-hourly"
    ):
        read(fluxnet_table(step=10800))


BAD_SITES = {
    "unknown tower": (
        None,
        DataError,
        r"(?s)latitude, longitude, igbp of XX-Syn is neither in the file nor in a table.*`--site site.toml`",
    ),
    "no class": (
        {"latitude": 50.0, "longitude": 15.0},
        DataError,
        r'igbp of XX-Syn is neither in the file nor in a table.*\n.* pass site=\{"igbp": "MF"\}',
    ),
    "latitude out of range": (
        {**SITE, "latitude": 95.0},
        DataError,
        r"latitude is 95.0, .* between -90 and 90 degrees",
    ),
    "longitude out of range": ({**SITE, "longitude": 200.0}, DataError, r"longitude is 200.0"),
    "unknown class": (
        {**SITE, "igbp": "TREE"},
        DataError,
        r"`TREE` is not an IGBP vegetation class.\n  available: ENF, EBF",
    ),
    "instruments in the canopy": (
        {**SITE, "canopy_height": 9.0, "reference_height": 8.0},
        DataError,
        r"above the canopy",
    ),
    "unknown key": ({**SITE, "lat": 50.0}, ConfigError, r"unknown key `lat` .*\n  nearest: latitude"),
    "text for a number": ({**SITE, "latitude": "50 N"}, ConfigError, r"`latitude` is '50 N', and must be a number"),
}


@pytest.mark.parametrize(("site", "error", "message"), BAD_SITES.values(), ids=BAD_SITES.keys())
def test_bad_metadata_is_named(read, table, site, error, message):
    with pytest.raises(error, match=message):
        read(table, site=site)


@pytest.mark.parametrize("lost", [5, 60, 5000], ids=["in the last column", "in the middle of a row", "far earlier"])
def test_a_file_cut_in_the_middle_of_a_row_is_refused(table, tmp_path, lost):
    whole = write_csv(tmp_path / NAME, table).read_bytes()
    cut = whole[:-lost]
    cut = cut[: cut.rindex(b",")]  # whatever the values' lengths, end inside a row
    (tmp_path / NAME).write_bytes(cut)
    with pytest.raises(DataError, match=r"is truncated in its last row, \d+.\n  fix: get the file again"):
        read_table(tmp_path / NAME, site=SITE)


def test_a_file_cut_within_a_stamp_is_refused(table, tmp_path):
    whole = write_csv(tmp_path / NAME, table).read_bytes()
    last_row = whole.rindex(b"\n", 0, len(whole) - 1)
    (tmp_path / NAME).write_bytes(whole[: last_row + 8])
    with pytest.raises(DataError, match="is truncated in its last row"):
        read_table(tmp_path / NAME, site=SITE)


@pytest.mark.parametrize("suffix", ["xz", "gz", "zip"])
def test_a_cut_archive_is_refused(table, tmp_path, suffix):
    path = write_csv(tmp_path / NAME, table)
    packed = tmp_path / f"{NAME}.{suffix}"
    if suffix == "zip":
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, NAME)
    else:
        with path.open("rb") as raw, {"xz": lzma, "gz": gzip}[suffix].open(packed, "wb") as archive:
            shutil.copyfileobj(raw, archive)
    packed.write_bytes(packed.read_bytes()[:-2000])
    with pytest.raises(
        DataError,
        match=r"is damaged, truncated or no (CSV|archive) and cannot be read to its end .*\n  fix: get it again",
    ):
        read_table(packed, site=SITE)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match="is empty or no CSV"):
        read_table(tmp_path / "empty.csv")
    with pytest.raises(DataError, match="cannot be opened"):
        read_table(tmp_path / "nowhere.csv")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a_FULLSET_HH_1.csv", "a,b\n")
        archive.writestr("b_FULLSET_HH_1.csv", "a,b\n")
    with pytest.raises(DataError, match=r"has 2 possible files \(a_FULLSET_HH_1.csv, b_FULLSET"):
        read_table(tmp_path / "two.zip")


def test_longwave_is_estimated_from_air_and_light_where_it_was_not_measured(read, table):
    truth = read(table).longwave_down
    dataset = read(table.drop(columns=["LW_IN_F", "LW_IN_F_QC"]))
    assert (dataset.longwave_down_qc == 5).all()
    assert abs(float(dataset.longwave_down.mean()) - float(truth.mean())) < 40.0
    assert "after Prata (1996) and Crawford & Duchon (1999)." in dataset.attrs["assumptions"]
    assert 'net_radiation = "measured"' in dataset.attrs["assumptions"]
    bare = read(table.drop(columns=["LW_IN_F", "LW_IN_F_QC", "NETRAD"]))
    assert "prescribed" not in bare.attrs["assumptions"]


def test_a_deficit_above_saturation_is_taken_as_saturated(tmp_path):
    """At 8 degC, -0.8 hPa is a relative humidity of 107 %, and -2 hPa one of 119 %."""
    table = fluxnet_table()
    cold = table.index[table.TA_F < 9.0][:40]
    table.loc[cold, "VPD_F"] = -0.8
    record = read_table(write_csv(tmp_path / "XX-Syn.csv", table), site=SITE)
    assert (record.vapor_pressure_deficit.values[cold] == 0.0).all() and (record.vapor_pressure_deficit_qc == 0).all()
    assert "Vapor pressure deficit is below -50 Pa at 40 steps, taken as saturated." in record.attrs["assumptions"]
    table.loc[cold, "VPD_F"] = -2.0
    with pytest.raises(DataError, match=r"vapor_pressure_deficit is -200 Pa at .*, outside -50 to 15000 \(40 such"):
        read_table(write_csv(tmp_path / "XX-Syn.csv", table), site=SITE)

"""NetCDF files: calendars, packages that are missing, and files that are whole but cannot be read."""

import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bowen.data import read_plumber2, write_netcdf
from bowen.data.readers.netcdf import load_netcdf
from bowen.errors import DataError
from tests.data.files import plumber2_files


def in_calendar(path, hours, units, calendar):
    file = xr.Dataset({"Tair": ("time", np.full(len(hours), 280.0))}, {"time": ("time", hours)})
    file.time.attrs = {"units": units, "calendar": calendar}
    file.to_netcdf(path, engine="scipy")
    return path


@pytest.mark.parametrize("calendar", ["noleap", "365_day"])
def test_dates_without_a_leap_day_are_read_as_they_are(tmp_path, calendar):
    """Three years after the first of February 2011, one of which has a 29 February in the standard calendar."""
    hours = 12.0 + 24.0 * np.arange(3 * 365)
    file = load_netcdf(in_calendar(tmp_path / "a.nc", hours, "hours since 2011-02-01 06:30:00", calendar))
    dates = pd.date_range("2011-02-01 18:30", "2014-01-31 18:30", freq="D")
    dates = dates[~((dates.month == 2) & (dates.day == 29))]
    np.testing.assert_array_equal(file.time.values, dates.values)


def test_a_record_without_its_leap_day_has_a_gap(tmp_path):
    met, _ = plumber2_files()
    kept = met.isel(time=met.time.dt.dayofyear.values != 60)  # 2012-02-29
    days = (kept.time.values - np.datetime64("2012-01-01")) / np.timedelta64(1, "D")
    noleap = kept.assign_coords(time=("time", np.where(days >= 60.0, days - 1.0, days)))
    noleap.time.attrs = {"units": "days since 2012-01-01", "calendar": "noleap"}
    noleap.to_netcdf(tmp_path / "XX-Syn_Met.nc", engine="scipy")
    record = read_plumber2(tmp_path / "XX-Syn_Met.nc")
    np.testing.assert_array_equal(record.time.values, met.time.values)
    missing = np.isnan(record.air_temperature.values)
    np.testing.assert_array_equal(missing, met.time.dt.dayofyear.values == 60)


@pytest.mark.parametrize("calendar", ["360_day", "366_day", "julian"])
def test_other_calendars_are_named(tmp_path, calendar):
    path = in_calendar(tmp_path / "b.nc", np.arange(48.0), "hours since 2014-02-28 00:00:00", calendar)
    with pytest.raises(DataError, match=rf"b.nc: `time` is in the calendar `{calendar}`.*\n  fix: write it with the"):
        load_netcdf(path)


@pytest.mark.parametrize(
    ("package", "options"),
    [("h5netcdf", {"engine": "h5netcdf"}), ("scipy", {"engine": "scipy"})],
)
def test_a_missing_package_is_named(tmp_path, monkeypatch, package, options):
    plumber2_files()[0].to_netcdf(tmp_path / "c.nc", **options)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DataError, match=rf"c.nc: .* needs the package {package}.*\n  fix: run `pip install {package}`"):
        load_netcdf(tmp_path / "c.nc")


def test_a_file_that_only_another_package_reads(tmp_path):
    (tmp_path / "d.nc").write_bytes(b"CDF\x05" + bytes(100))
    with pytest.raises(DataError, match=r"needs the package netCDF4|is damaged"):
        load_netcdf(tmp_path / "d.nc")


def test_writing_without_the_package_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5netcdf", None)
    with pytest.raises(DataError, match=r"e.nc: .* needs the package h5netcdf"):
        write_netcdf(xr.Dataset({"a": 1.0}), tmp_path / "e.nc")
    assert not (tmp_path / "e.nc").exists()

"""Readers of what comes once a day: small files in the real layouts, and the real ones."""

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bowen.data import (
    QC,
    aggregate_to_days,
    disaggregate,
    has_daily_fluxes,
    list_basins,
    read,
    read_camels,
    read_daily_tower,
)
from bowen.data.checks.energy_closure import compute_closure_fraction
from bowen.errors import ConfigError, DataError
from tests.data.files import BASIN, camels_folder, write_nc


def tower_file(days=40, start="2012-02-10"):
    """Forty days of a tower in single precision, without flags, at the turn of a leap February."""
    wave = np.sin(np.arange(days))
    values = {
        "Tair_min": (280.0 + wave, "K"),
        "Tair_max": (290.0 + 2.0 * wave, "K"),
        "SWdown": (120.0 + 20.0 * wave, "W/m2"),
        "VPD": (5.0 + wave, "hPa"),
        "Precip": (np.maximum(wave, 0.0) * 1e-4, "kg/m2/s"),
        "Psurf_as_delivered": (96.0 + wave, "as delivered"),
        "LAI": (np.full(days, 2.0), "m2/m2"),
        "ET": (np.where(np.arange(days) == 7, np.nan, 2e-5), "kg/m2/s"),
        "Qle": (50.0 + wave, "W/m2"),
        "GPP": (wave, "gC/m2/day"),
    }
    variables = {name: ("time", np.float32(array), {"units": units}) for name, (array, units) in values.items()}
    place = {"latitude": np.float32(50.3), "longitude": np.float32(15.2), "elevation": np.float32(400.0)}
    time = pd.date_range(start, periods=days)
    return xr.Dataset({**variables, **place, "IGBP_veg_short": "GRA"}, {"time": time}, {"site_code": "XX-Day"})


@pytest.fixture
def read_file(tmp_path):
    def read_file(file, **options):
        return read_daily_tower(write_nc(tmp_path / "XX-Day_2012-2012_daily.nc", file), **options)

    return read_file


def test_a_daily_tower(read_file):
    file = tower_file()
    daily = read_file(file)
    np.testing.assert_allclose(daily.air_pressure, 1000.0 * file.Psurf_as_delivered, rtol=1e-6)
    np.testing.assert_allclose(daily.vapor_pressure_deficit, 100.0 * file.VPD, rtol=1e-6)
    np.testing.assert_allclose(daily.evapotranspiration, file.ET, rtol=1e-6)
    assert daily.evapotranspiration_qc.values[7] == QC.MISSING and daily.latent_heat_qc.values[7] == QC.MEASURED
    assert "GPP" not in daily
    assert (daily.attrs["site"], daily.attrs["latitude"], daily.attrs["igbp"]) == ("XX-Day", 50.3, "GRA")
    assert (daily.attrs["timestep_s"], daily.attrs["utc_offset_hours"]) == (86400, 1.0)
    assert daily.air_temperature_min.attrs["cell_methods"] == "time: minimum"
    assert "Local standard time assumed to be UTC+1 h, from the longitude" in daily.attrs["assumptions"]
    made = disaggregate(daily)
    assert "Reference height" in made.attrs["assumptions"]
    assert (made.attrs["source"], made.sizes["time"]) == ("daily tower, disaggregated", 40 * 48)


def whole_weather(days=40):
    """The same tower with the whole weather of FLUXNET's daily files, and how much of each day was measured."""
    file, wave = tower_file(days), np.sin(np.arange(days))
    values = {
        "Tair": (284.0 + wave, "K"),
        "LWdown": (300.0 + 5.0 * wave, "W/m2"),
        "Wind": (3.0 + wave, "m/s"),
        "Rnet": (np.where(np.arange(days) == 5, np.nan, 70.0 + 10.0 * wave), "W/m2"),
        "Qg": (2.0 * wave, "W/m2"),
    }
    added = {name: ("time", np.float32(array), {"units": units}) for name, (array, units) in values.items()}
    share = np.where(np.arange(days) == 9, 0.5, 1.0)
    file = file.assign(added | {"LWdown_qcfrac": ("time", share), "Qle_qcfrac": ("time", share)})
    file["Tair_min"].attrs["note"] = "estimated from the daily mean, not measured"
    return file


def test_a_daily_tower_with_its_whole_weather(read_file):
    file = whole_weather()
    daily = read_file(file)
    ours = ("air_temperature", "longwave_down", "wind_speed", "net_radiation", "ground_heat")
    for name, theirs in zip(ours, ("Tair", "LWdown", "Wind", "Rnet", "Qg"), strict=True):
        np.testing.assert_allclose(daily[name], file[theirs], rtol=1e-6, err_msg=name)
    assert daily.longwave_down_qc.values[9] == daily.latent_heat_qc.values[9] == QC.FILLED_MEDIUM
    assert (np.delete(daily.latent_heat_qc.values, 9) == QC.MEASURED).all()
    assert (daily.air_temperature_min_qc.values == QC.ESTIMATED).all()
    made = disaggregate(daily)
    days = aggregate_to_days(made)
    for name in ("air_temperature", "longwave_down", "wind_speed"):
        np.testing.assert_allclose(days[name], daily[name], rtol=1e-4, err_msg=name)
    kept = np.isfinite(daily.net_radiation.values)
    np.testing.assert_allclose(days.net_radiation.values[kept], daily.net_radiation.values[kept], atol=1e-9)
    flags = made.net_radiation_qc.values.reshape(-1, 48)
    assert (flags[kept] == QC.MEASURED).all() and (flags[5] == QC.ESTIMATED).all()
    light, net = (made[name].values.reshape(-1, 48)[0] for name in ("shortwave_down", "net_radiation"))
    np.testing.assert_allclose(net - net.mean(), 0.77 * (light - light.mean()), atol=1e-9)
    assert np.isfinite(made.net_radiation.values).all()


def test_half_hours_of_a_daily_tower_have_the_fluxes_of_its_days(tmp_path):
    """Here latent heat on all days but one, sensible heat on none."""
    file = tower_file().drop_vars("Qle")
    record = read(write_nc(tmp_path / "XX-Day_2012-2012_daily.nc", file))
    assert has_daily_fluxes(record) and "sensible_heat" not in record
    days = record.latent_heat.values.reshape(-1, 48)
    assert np.isnan(days[7]).all() and (record.latent_heat_qc.values.reshape(-1, 48)[7] == QC.MISSING).all()
    np.testing.assert_allclose(np.delete(days, 7, axis=0), 2.442e6 * 2e-5, rtol=1e-6)
    assert (np.delete(record.latent_heat_qc.values.reshape(-1, 48), 7, axis=0) == QC.MEASURED).all()
    assert record.latent_heat.attrs["standard_name"] == "surface_upward_latent_heat_flux"
    np.testing.assert_allclose(
        aggregate_to_days(record).latent_heat, read_daily_tower(tmp_path / "XX-Day_2012-2012_daily.nc").latent_heat
    )


def test_absent_days_are_inserted(read_file):
    daily = read_file(tower_file().isel(time=[0, 1, 2, *range(5, 40)]))
    assert daily.sizes["time"] == 40 and np.isnan(daily.precipitation.values[3:5]).all()
    assert "2 rows are not in the file and count as missing." in daily.attrs["assumptions"]


def test_stamps_at_noon_mean_the_day(read_file):
    file = tower_file()
    noon = read_file(file.assign_coords(time=file.time + np.timedelta64(12, "h")))
    np.testing.assert_array_equal(noon.time.values, file.time.values)


def test_a_few_contradictory_extremes_count_as_missing(read_file):
    file = tower_file(days=150)
    file["Tair_min"][60] = file["Tair_max"][60] + 0.3
    daily = read_file(file)
    assert np.isnan(daily.air_temperature_min.values).sum() == 1 and daily.air_temperature_max_qc.values[60] == 9
    assert "minimum above the maximum on 1 days, which count as missing" in daily.attrs["assumptions"]
    file["Tair_min"][:] = file["Tair_max"] + 0.3
    with pytest.raises(DataError, match=r"150 such days\).\n  fix: check which column is which"):
        read_file(file)


def test_a_daily_tower_without_what_it_needs(read_file):
    with pytest.raises(DataError, match=r"(?s)no variable for air_temperature_min.*looked for: Tair_min.*rename"):
        read_file(tower_file().rename(Tair_min="tmin"))
    with pytest.raises(DataError, match=r"Psurf_as_delivered has a median of 9.6.* instead of 40 to 110 kPa"):
        read_file(tower_file().assign(Psurf_as_delivered=tower_file().Psurf_as_delivered * 1000.0))
    with pytest.raises(DataError, match="igbp of XX-Day is neither in the file nor in a table"):
        read_file(tower_file().drop_vars("IGBP_veg_short"))
    with pytest.raises(ConfigError, match="unknown key `igpb`"):
        read_file(tower_file(), site={"igpb": "GRA"})


def test_a_real_daily_tower_with_its_whole_weather(shared_data):
    """Half-hours keep the net radiation of the days, and the closure of the tower is that of its days."""
    path = shared_data / "daily_towers_2" / "US-xBR_2017-2021_daily.nc"
    record = read(path)
    with xr.open_dataset(path) as file:
        known = np.isfinite(file.Rnet.values)
        days = record.net_radiation.values.reshape(-1, 48).mean(axis=1)
        np.testing.assert_allclose(days[known], file.Rnet.values[known], atol=1e-3)
        whole = (file.Qle + file.Qh + 0.0 * file.Rnet).notnull()
        ratio = float((file.Qle + file.Qh).where(whole).mean() / file.Rnet.where(whole).mean())
    closure = compute_closure_fraction(record, np.ones(record.sizes["time"], bool))
    assert closure == pytest.approx(ratio, abs=0.05)
    assert 0.6 < closure < 0.85


@pytest.mark.parametrize("name", ["AU-How_2005-2013", "RU-Fyo_2003-2011"])
def test_real_daily_towers_against_a_plain_reading(shared_data, name):
    path = shared_data / "daily_towers" / f"{name}_daily.nc"
    daily = read_daily_tower(path)
    with xr.open_dataset(path) as file:
        plain = {
            "air_temperature_min": file.Tair_min,
            "air_temperature_max": file.Tair_max,
            "shortwave_down": file.SWdown,
            "vapor_pressure_deficit": 100.0 * file.VPD.astype(float),
            "precipitation": file.Precip,
            "air_pressure": 1000.0 * file.Psurf_as_delivered.astype(float),
            "leaf_area_index": file.LAI,
            "evapotranspiration": file.ET,
            "latent_heat": file.Qle,
            "sensible_heat": file.Qh,
        }
        for ours, theirs in plain.items():
            np.testing.assert_allclose(daily[ours].values, theirs.values, rtol=1e-6, err_msg=ours)
    assert set(plain) == {str(known) for known in daily.data_vars if not str(known).endswith("_qc")}
    made = disaggregate(daily.isel(time=slice(0, 366)), 3600)
    assert made.sizes["time"] == 366 * 24 and not made.to_array().isnull().any()


def spoil(folder, name, old, new):
    path = next(folder.rglob(name.format(BASIN)))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_basin(tmp_path):
    daily = read_camels(camels_folder(tmp_path), BASIN)
    assert str(daily.time.values[2])[:10] == "1980-02-29"
    np.testing.assert_allclose(daily.shortwave_down[1], 200.0 * 36001.0 / 86400.0)
    np.testing.assert_allclose(daily.precipitation[3], 3.5 / 86400.0)
    np.testing.assert_allclose(daily.air_temperature_min[0], 266.65)
    np.testing.assert_allclose(daily.air_temperature_max[4], 277.40)
    np.testing.assert_allclose(daily.vapor_pressure, 350.0)
    np.testing.assert_allclose(daily.snow_water, np.arange(5.0))
    cubic_meters = 655.0 * 0.028316846592  # per second
    np.testing.assert_allclose(daily.runoff[0], cubic_meters * 1000.0 / 2252.70e6)
    assert daily.runoff_qc.values.tolist() == [0, 5, 9, 9, 0] and np.isnan(daily.runoff.values[2:4]).all()
    assert (daily.vapor_pressure_qc == QC.REANALYSIS).all() and (daily.snow_water_qc == QC.ESTIMATED).all()
    place = (daily.attrs["latitude"], daily.attrs["longitude"], daily.attrs["elevation"], daily.attrs["igbp"])
    assert place == (46.84, -68.58264, 353.0, "MF")
    for words in ("Fish River near Fort Kent, Maine: 2252.7 km2", "Mixed forest assumed, as 91% of the basin"):
        assert words in daily.attrs["assumptions"]
    assert daily.runoff.attrs["long_name"] == "Streamflow per area of the basin"
    assert disaggregate(daily).sizes["time"] == 5 * 48


def test_no_snow_in_any_winter_is_no_estimate(tmp_path):
    root = camels_folder(tmp_path)
    for path in root.rglob("*forcing_leap.txt"):
        lines = path.read_text().splitlines()
        rows = [line.split() for line in lines[4:]]
        path.write_text("\n".join([*lines[:4], *(" ".join([*row[:7], "0.00", *row[8:]]) for row in rows)]) + "\n")
    daily = read_camels(root, BASIN)
    assert "snow_water" not in daily and "Snow water is zero on all days" in daily.attrs["assumptions"]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_basin_in_an_archive(tmp_path, mode):
    root = camels_folder(tmp_path)
    with tarfile.open(tmp_path / "camels.tar", mode) as archive:
        archive.add(root, "data/reduced_camels")
    assert list_basins(tmp_path / "camels.tar") == list_basins(root) == [BASIN]
    assert read_camels(tmp_path / "camels.tar", BASIN).equals(read_camels(root, BASIN))


def test_a_basin_of_which_less_is_known(tmp_path):
    root = camels_folder(tmp_path)
    shutil.rmtree(root / "basin_metadata")
    with pytest.raises(DataError, match="longitude, igbp of 01013500 is neither in the file nor in a table"):
        read_camels(root, BASIN)
    daily = read_camels(root, BASIN, site={"longitude": -68.6, "igbp": "DBF"})
    np.testing.assert_allclose(daily.runoff[0], 655.0 * 0.028316846592 * 1000.0 / 2260093113.0)
    assert daily.attrs["igbp"] == "DBF"
    shutil.rmtree(root / "usgs_streamflow")
    assert "runoff" not in read_camels(root, BASIN, site={"longitude": -68.6, "igbp": "DBF"})


def test_basins_that_cannot_be_read(tmp_path):
    root = camels_folder(tmp_path / "good")
    with pytest.raises(DataError, match=r"no Daymet forcing of basin 01013501 .*\n  nearest: 01013500"):
        read_camels(root, "01013501")
    with pytest.raises(DataError, match=r"no such folder or file.\n  fix: check the path"):
        read_camels(tmp_path / "nowhere", BASIN)
    (tmp_path / "cut.tar.xz").write_bytes(b"\xfd7zXZ\x00 and then nothing")
    with pytest.raises(DataError, match=r"cut.tar.xz: cannot be read to its end"):
        read_camels(tmp_path / "cut.tar.xz", BASIN)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no Daymet forcing of basin 01013500 .*\n  available: none"):
        read_camels(tmp_path / "empty", BASIN)


BROKEN = {
    "another forcing": ("{}_lump_cida_forcing_leap.txt", "srad(W/m2)", "SRAD(MJ)", r"no column srad\(W/m2\) in its"),
    "no area": ("{}_lump_cida_forcing_leap.txt", "2260093113", "area", "latitude, elevation and area"),
    "a row cut short": (
        "{}_lump_cida_forcing_leap.txt",
        "\t4.25\t-6.50\t350.00",
        "",
        "has a row that is not 11 values",
    ),
    "a word": ("{}_streamflow_qc.txt", "640.00", "Ice", "has a row that is not 6 values"),
    "a flag": ("{}_streamflow_qc.txt", "A:e", "B", "unknown flag `B`.\n  known: A, A:e, M"),
}


@pytest.mark.parametrize(("name", "old", "new", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_files_of_a_basin(tmp_path, name, old, new, message):
    root = camels_folder(tmp_path)
    spoil(root, name, old, new)
    with pytest.raises(DataError, match=message):
        read_camels(root, BASIN)


def test_a_real_basin_against_a_plain_reading(shared_data, tmp_path):
    path = shared_data / "catchments" / "reduced_camels.tar.xz"
    daily = read_camels(path, BASIN)
    with tarfile.open(path) as archive:
        for member in archive:
            if BASIN in member.name and member.isfile():
                (tmp_path / Path(member.name).name).write_bytes(archive.extractfile(member).read())
    forcing = pd.read_csv(next(tmp_path.rglob("*forcing_leap.txt")), sep=r"\s+", skiprows=4, header=None)
    np.testing.assert_allclose(daily.shortwave_down, forcing[4] * forcing[6] / 86400.0, rtol=1e-6)
    np.testing.assert_allclose(daily.precipitation, forcing[5] / 86400.0, rtol=1e-6)
    for name, column in (("air_temperature_max", 8), ("air_temperature_min", 9)):
        np.testing.assert_allclose(daily[name], forcing[column] + 273.15, rtol=1e-6)
    np.testing.assert_allclose(daily.vapor_pressure, forcing[10], rtol=1e-6)
    flow = pd.read_csv(next(tmp_path.rglob("*streamflow_qc.txt")), sep=r"\s+", header=None)
    runoff = (flow[4].where(flow[4] >= 0.0) * 0.028316846592 * 1000.0 / 2252.70e6).to_numpy()
    np.testing.assert_allclose(daily.runoff, runoff, rtol=1e-6)
    assert 86400.0 * float(daily.runoff.mean()) == pytest.approx(1.685, rel=0.01)  # mm a day, as CAMELS tells
    made = disaggregate(daily.isel(time=slice(0, 366)))
    assert np.isfinite(made.specific_humidity.values).all()

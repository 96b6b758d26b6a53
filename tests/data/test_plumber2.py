from importlib.metadata import version

import numpy as np
import pytest
import xarray as xr

from bowen.data import from_alma, read, read_plumber2, read_simulation, read_table, to_alma, write_netcdf
from bowen.data.readers.alma import undo_alma
from bowen.errors import DataError
from tests.data.files import SITE, fluxnet_table, plumber2_files, write_csv, write_nc

MET, FLUX = "XX-Syn_2012-2012_FLUXNET2015_Met.nc", "XX-Syn_2012-2012_FLUXNET2015_Flux.nc"


@pytest.fixture
def files():
    return plumber2_files()


@pytest.fixture
def read_files(tmp_path):
    """Write a Met and a Flux dataset and read them."""

    def read_files(met, flux=None, site=None, **options):
        met_path = write_nc(tmp_path / MET, met, **options)
        return read_plumber2(met_path, None if flux is None else write_nc(tmp_path / FLUX, flux, **options), site=site)

    return read_files


def test_it_is_the_record_the_fluxnet_reader_gives(read_files, files, tmp_path):
    ours = read_files(*files)
    theirs = read_table(write_csv(tmp_path / "XX-Syn.csv", fluxnet_table()), site=SITE)
    np.testing.assert_array_equal(ours.time.values, theirs.time.values)
    for name in ours.data_vars.keys() & theirs.data_vars.keys():
        np.testing.assert_allclose(ours[name].values, theirs[name].values, rtol=2e-5, atol=2e-5, err_msg=name)
    assert {"leaf_area_index", "ground_heat", "net_radiation"} <= set(ours.data_vars)
    assert "NEE" not in ours
    for key in ("site", "latitude", "longitude", "elevation", "igbp", "utc_offset_hours", "timestep_s"):
        assert ours.attrs[key] == theirs.attrs[key]
    assert (ours.attrs["reference_height"], ours.attrs["canopy_height"]) == (10.0, 0.5)


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"], ids=["NetCDF 4", "NetCDF 3"])
@pytest.mark.parametrize("time_type", ["float64", "float32", "int32"])
def test_kinds_of_netcdf_and_of_time(read_files, files, engine, time_type):
    dataset = read_files(*files, engine=engine, time_type=time_type)
    np.testing.assert_array_equal(dataset.time.values, files[0].time.values)


def test_a_clock_in_single_precision_is_made_regular(read_files, files):
    """Seconds since 1990 in single precision are off by up to a minute; no model may see that."""
    met, flux = files
    seconds = (met.time.values - np.datetime64("1990-01-01")) / np.timedelta64(1, "s")
    rough = np.datetime64("1990-01-01") + np.float32(seconds).astype(np.int64).astype("timedelta64[s]").astype("m8[ns]")
    assert (rough != met.time.values).any()
    dataset = read_files(met.assign_coords(time=rough), flux.assign_coords(time=rough))
    np.testing.assert_array_equal(dataset.time.values, met.time.values)


def test_the_weather_is_that_of_the_met_file(read_files, files):
    spoiled = files[1].assign(Tair=files[0]["Tair"] + 5.0)
    assert read_files(files[0], spoiled).air_temperature.equals(read_files(files[0]).air_temperature)


def test_without_a_flux_file_there_are_no_targets(read_files, files):
    assert not {"latent_heat", "sensible_heat", "net_radiation"} & set(read_files(files[0]).data_vars)


def test_a_shorter_flux_file_leaves_the_rest_missing(read_files, files):
    dataset = read_files(files[0], files[1].isel(time=slice(100, 200)))
    assert dataset.sizes["time"] == files[0].sizes["time"]
    assert np.isfinite(dataset.latent_heat.values).sum() == 100
    assert (dataset.latent_heat_qc.values[:100] == 9).all()


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (101, 5), (np.nan, 3), (-9999, 3), (-127, 3), (0.5, 3), (12, 3)],
    ids=str,
)
def test_flags(files, theirs, ours):
    files[0]["Tair_qc"][7] = theirs
    assert from_alma(files[0], MET).air_temperature_qc.values[7] == ours


def test_missing_values_declared_or_not(read_files, files):
    files[1]["Qle"][3] = np.nan
    files[1]["Qle"][4] = -9999.0
    dataset = read_files(*files)
    assert np.isnan(dataset.latent_heat.values[3:5]).all()
    assert (dataset.latent_heat_qc.values[3:5] == 9).all()


@pytest.mark.parametrize(
    ("name", "factor", "offset", "units"),
    [
        ("Tair", 1.0, -273.15, "degC"),
        ("VPD", 0.1, 0.0, "kPa"),
        ("VPD", 100.0, 0.0, "Pa"),
        ("Psurf", 0.01, 0.0, "hPa"),
        ("Precip", 3600.0, 0.0, "mm/h"),
        ("Precip", 1.0, 0.0, "mm/s"),
        ("RH", 0.01, 0.0, "1"),
        ("SWdown", 1.0, 0.0, "W m-2"),
    ],
)
def test_declared_units_are_converted(files, name, factor, offset, units):
    truth = from_alma(files[0], MET)
    files[0][name] = (files[0][name] * factor + offset).assign_attrs(units=units)
    xr.testing.assert_allclose(from_alma(files[0], MET), truth, rtol=1e-4, atol=1e-3)


def test_the_deficit_rules_over_the_file_s_specific_humidity(read_files, files):
    truth = read_files(files[0]).specific_humidity.values
    files[0]["Qair"] = files[0]["Qair"] * 1.04
    np.testing.assert_array_equal(read_files(files[0]).specific_humidity.values, truth)


def test_the_deficit_from_specific_humidity_where_there_is_no_other(read_files, files):
    truth = read_files(files[0])
    files[0]["Qair"].values[:, 0, 0] = truth.specific_humidity.values
    dataset = read_files(files[0].drop_vars(["VPD", "RH"]))
    np.testing.assert_allclose(dataset.vapor_pressure_deficit, truth.vapor_pressure_deficit, rtol=1e-4, atol=0.5)


def test_rain_and_snow_apart_are_precipitation(read_files, files):
    truth = read_files(files[0]).precipitation.values
    half = files[0]["Precip"] / 2
    half.attrs["units"] = "kg/m2/s"
    apart = files[0].drop_vars(["Precip", "Precip_qc"]).assign(Rainf=half, Snowf=half)
    np.testing.assert_allclose(read_files(apart).precipitation.values, truth, rtol=1e-6)


@pytest.mark.parametrize("lost", ["dropped", "NaN"])
def test_heights_the_file_lacks_are_assumed_from_the_class(read_files, files, lost):
    names = ["reference_height", "canopy_height"]
    met = files[0].drop_vars(names) if lost == "dropped" else files[0].assign({n: files[0][n] * np.nan for n in names})
    dataset = read_files(met)
    assert (dataset.attrs["canopy_height"], dataset.attrs["reference_height"]) == (0.4, 2.4)
    assert "Canopy height 0.4 m assumed from the class GRA" in dataset.attrs["assumptions"]


def test_a_file_without_a_class_asks_for_one(read_files, files):
    met = files[0].drop_vars("IGBP_veg_short")
    with pytest.raises(DataError, match=r"igbp of XX-Syn is neither in the file nor in a table"):
        read_files(met)
    assert read_files(met, site={"igbp": "CRO"}).attrs["igbp"] == "CRO"


def renamed(old, new):
    return lambda met: met.rename({old: new})


def rescaled(name, factor):
    return lambda met: met.assign({name: (met[name] * factor).assign_attrs(met[name].attrs)})


BAD = {
    "missing variable": (renamed("SWdown", "SW_dn"), r"(?s)no variable for shortwave_down.*nearest: .*SW_dn"),
    "no humidity": (lambda met: met.drop_vars(["VPD", "RH", "Qair"]), r"no variable for vapor_pressure_deficit"),
    "empty required variable": (rescaled("Wind", np.nan), r"wind_speed is missing at all 768 steps"),
    "deficit in kPa": (rescaled("VPD", 0.1), r"vapor_pressure_deficit .* it were in kPa instead of hPa"),
    "pressure in hPa": (rescaled("Psurf", 0.01), r"air_pressure .* it were in hPa instead of Pa"),
    "pressure in kPa": (rescaled("Psurf", 0.001), r"air_pressure .* it were in kPa instead of Pa"),
    "rain per step": (rescaled("Precip", 1800.0), r"precipitation sums to .* it were in mm per interval instead of"),
    "unknown unit": (
        lambda met: met.assign(Tair=met.Tair.assign_attrs(units="degF")),
        r"air_temperature is declared in `degF`, .*\n  fix: convert it to one of K, degC",
    ),
    "latitude out of range": (rescaled("latitude", 2.0), r"latitude is 100.0, and must be between -90 and 90"),
    "duplicated stamps": (lambda met: met.isel(time=[0, 1, 1, 2]), r"duplicated time stamps: 2012-02-20 00:30"),
    "unsorted stamps": (lambda met: met.isel(time=[0, 1, 2, 4, 3, 5]), r"out of order: .* \(rows 4 and 5"),
    "many places": (lambda met: met.isel(x=[0, 0]), r"has more than one place \(\{'x': 2\}\)"),
    "no time": (
        lambda met: met.assign_coords(time=np.arange(met.sizes["time"])),
        r"has no `time` that can be read as dates",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_named(tmp_path, files, spoil, message):
    spoil(files[0]).to_netcdf(tmp_path / MET, engine="scipy")
    with pytest.raises(DataError, match=message) as caught:
        read_plumber2(tmp_path / MET)
    assert str(caught.value).startswith(MET)


def test_files_in_the_wrong_order(tmp_path, files):
    met, flux = write_nc(tmp_path / MET, files[0]), write_nc(tmp_path / FLUX, files[1])
    with pytest.raises(DataError, match=r"(?s)Flux.nc: no variable for shortwave_down.*pass the Met file first"):
        read_plumber2(flux, met)


def test_files_that_do_not_belong_together(read_files, files):
    later = files[1].assign_coords(time=files[1].time + np.timedelta64(365, "D"))
    with pytest.raises(DataError, match=r"Flux.nc: has no fluxes at the times of .*Met.nc \(2012-02-20T00:00 to"):
        read_files(files[0], later)
    with pytest.raises(DataError, match="has another time step"):
        read_files(files[0], plumber2_files(step=3600)[1])


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"], ids=["NetCDF 4", "NetCDF 3"])
@pytest.mark.parametrize("part", [0.0, 0.02, 0.5, 0.98], ids=str)
def test_a_file_cut_in_the_middle_is_refused(tmp_path, files, engine, part):
    path = write_nc(tmp_path / MET, files[0], engine)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(
        DataError, match=r"Met.nc: (is damaged or truncated and cannot be read to its end|is no NetCDF file)"
    ):
        read_plumber2(path)


def test_read_tells_the_kinds_apart(tmp_path, files):
    met, flux = write_nc(tmp_path / MET, files[0]), write_nc(tmp_path / FLUX, files[1])
    assert read(met, flux).attrs["source"] == "PLUMBER2"
    table = write_csv(tmp_path / "FLX_XX-Syn.dat", fluxnet_table())
    assert read(table, site=SITE).attrs["source"] == "FLUXNET (ONEFlux)"
    with pytest.raises(DataError, match=r"is a text table and XX-Syn_2012-2012_FLUXNET2015_Flux.nc is NetCDF"):
        read(table, flux, site=SITE)
    with pytest.raises(
        DataError, match=r"nowhere.nc: cannot be opened \(No such file or directory\).\n  fix: check the path"
    ):
        read(tmp_path / "nowhere.nc")


def test_our_own_files_are_read_back_to_the_bit(read_files, files, tmp_path):
    ours = read_files(*files)
    back = read_plumber2(write_netcdf(to_alma(ours), tmp_path / "back.nc"))
    dropped = ["specific_humidity"]  # computed again
    xr.testing.assert_equal(back.drop_vars(dropped), ours.drop_vars(dropped))
    xr.testing.assert_allclose(back, ours, rtol=1e-14)
    differing = {key for key in ours.attrs if back.attrs.get(key) != ours.attrs[key]}
    assert differing <= {"assumptions"}


def test_a_simulation_becomes_cf_and_alma(tmp_path):
    time = np.datetime64("2012-01-01", "ns") + np.arange(4) * np.timedelta64(1800, "s")
    simulation = xr.Dataset(
        {
            "latent_heat": ("time", np.arange(4.0)),
            "sensible_heat": ("time", np.arange(4.0)),
            "snow_water": ("time", np.arange(4.0)),
            "soil_temperature": (("time", "layer"), np.full((4, 5), 280.0)),
            "energy_residual": ("time", np.zeros(4)),
            "parameter_albedo": ("time", np.full(4, 0.2), {"units": "1", "log_scale": 0}),
        },
        {"time": time, "layer_depth": ("layer", np.arange(5.0), {"units": "m"})},
        {"site": "XX-Syn", "model": "hybrid"},
    )
    file = to_alma(simulation)
    assert set(file.data_vars) == {"Qle", "Qh", "SWE", "SoilTemp", "energy_residual", "parameter_albedo"}
    assert file.SWE.attrs["units"] == "kg m-2" and file.SWE.attrs["cell_methods"] == "time: point"
    assert file.Qle.attrs["standard_name"] == "surface_upward_latent_heat_flux"
    assert file.attrs["Conventions"].startswith("CF-") and file.attrs["title"] == "XX-Syn hybrid"
    path = write_netcdf(file, tmp_path / "simulation.nc")
    xr.testing.assert_equal(read_simulation(path), simulation)
    assert read_simulation(path).attrs == simulation.attrs
    assert read_simulation(path).parameter_albedo.attrs["log_scale"] == 0


def test_a_file_says_what_made_it_and_has_the_bounds_of_its_steps(tmp_path):
    time = np.datetime64("2014-07-01T03:00", "ns") + np.timedelta64(1800, "s") * np.arange(4)
    fluxes = {name: ("time", np.arange(4.0)) for name in ("latent_heat", "sensible_heat")}
    attributes = {"site": "XX-Syn", "model": "hybrid", "timestep_s": 1800}
    simulation = xr.Dataset(fluxes, {"time": time}, attributes)
    path = write_netcdf(to_alma(simulation), tmp_path / "simulation.nc")
    with xr.open_dataset(path) as file:
        assert file.time.attrs["bounds"] == "time_bnds"
        np.testing.assert_array_equal(file.time_bnds.values[:, 0], time)
        np.testing.assert_array_equal(file.time_bnds.values[:, 1], time + np.timedelta64(1800, "s"))
        assert file.attrs["model"] == "hybrid" and file.attrs["bowen_version"] == version("bowen")
        assert file.attrs["source"] == f"bowen {version('bowen')}, hybrid"
        assert file.attrs["history"].endswith(f"written by bowen {version('bowen')}")
    xr.testing.assert_identical(read_simulation(path).drop_attrs(), simulation.drop_attrs())
    assert read_simulation(path).attrs == simulation.attrs
    days = simulation.isel(time=[0, 2])
    assert "time_bnds" not in to_alma(days)


def test_what_is_no_simulation_is_refused(tmp_path, files):
    path = write_nc(tmp_path / MET, files[0])
    with pytest.raises(
        DataError, match=r"Met.nc: has no simulated fluxes, Qle and Qh.\n  fix: pass a file written by `bowen sim"
    ):
        read_simulation(path)


def test_a_record_survives_alma(read_files, files):
    record = read_files(*files)
    xr.testing.assert_identical(undo_alma(to_alma(record)).drop_attrs(), record.drop_attrs())
    assert undo_alma(to_alma(record)).attrs == record.attrs


def test_latitude_and_longitude_as_dimensions(read_files, files):
    met, flux = (
        file.drop_vars(["latitude", "longitude"]).rename(y="lat", x="lon").assign_coords(lat=[51.5], lon=[-3.25])
        for file in files
    )
    record = read_files(met, flux)
    assert (record.attrs["latitude"], record.attrs["longitude"]) == (51.5, -3.25)
    assert np.isfinite(record.latent_heat.values).all()


@pytest.mark.parametrize("name", ["Time", "TIME", "date"])
def test_stamps_by_another_name_or_along_another_dimension(tmp_path, files, name):
    truth = read_plumber2(write_nc(tmp_path / MET, files[0]))
    along = files[0].rename(time="tstep").reset_index("tstep").reset_coords("tstep").rename_vars(tstep=name)
    along.to_netcdf(tmp_path / FLUX, engine="scipy")
    xr.testing.assert_identical(read_plumber2(tmp_path / FLUX), truth)


@pytest.mark.parametrize(
    "said", [{"coordinate": "GMT"}, {"time_zone": "UTC"}, {"units": "hours since 2012-01-01 00:00 UTC"}]
)
def test_stamps_that_the_file_says_are_in_utc(tmp_path, files, said):
    met = files[0].assign_coords(time=(files[0].time.values - np.datetime64("2012-01-01T01")) / np.timedelta64(1, "h"))
    met.time.attrs = {"units": "hours since 2012-01-01 00:00:00", **said}
    met.attrs["utc_offset_h"] = 1.0
    met.to_netcdf(tmp_path / MET, engine="scipy")
    record = read_plumber2(tmp_path / MET)
    assert record.attrs["utc_offset_hours"] == 0.0 and str(record.time.values[0])[:16] == "2012-02-19T23:00"
    assert "The stamps are in UTC, as the file says." in record.attrs["assumptions"]


def test_missing_pressure_is_estimated_from_the_elevation(read_files, files):
    record = read_files(files[0].drop_vars(["Psurf", "Psurf_qc"]))
    expected = 101325.0 * (1.0 - 400.0 / 44331.0) ** (1.0 / 0.1903)
    np.testing.assert_allclose(record.air_pressure.values, expected, rtol=1e-9)
    assert (record.air_pressure_qc.values == 5).all()


def test_without_pressure_and_elevation_both_are_asked_for(read_files, files):
    with pytest.raises(DataError, match=r"no air_pressure, and no elevation to estimate it from"):
        read_files(files[0].drop_vars(["Psurf", "Psurf_qc", "elevation"]))

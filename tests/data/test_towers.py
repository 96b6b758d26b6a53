"""Real towers: what the readers make of them, against the numbers written down when the files were made."""

import lzma

import numpy as np
import pytest

from bowen.data import check, fill_forcing, measured, read, read_plumber2, read_table, summary
from bowen.data.clock import offset_by_light
from bowen.data.schema import FORCING
from bowen.errors import DataError

# file: mean annual P and ET [mm], energy balance ratio, measured half-hours of LE and of H
CATALOGUE = {
    "BE-Vie_2014-2014": (776, 360, 0.77, 7349, 8625),
    "DK-Fou_2005-2005": (644, 101, 0.31, 9031, 9952),
    "DK-Sor_2010-2010": (864, 405, 0.58, 14797, 14956),
    "FR-Hes_2016-2016": (1010, 640, 0.64, 10393, 15218),
    "FR-Pue_2005-2005": (706, 343, 0.62, 14371, 13119),
    "FR-Pue_2014-2014": (1265, 269, 0.26, 14347, 12162),
    "IT-Amp_2003-2004": (690, 540, None, 17520, 17520),
    "IT-Lav_2011-2013": (1161, None, None, None, None),
    "IT-MBo_2011-2013": (920, None, None, None, None),
    "SE-Svb_2019-2019": (592, 302, 0.61, 8453, 9641),
    "US-Bi1_2018-2021": (327, 903, 0.77, 61392, 61392),
    "US-CMW_2011-2014": (275, 619, 0.82, 48462, 51128),
    "US-CRT_2011-2011": (1042, 1144, 0.75, 9221, 11403),
    "US-Hn1_2016-2017": (197, 347, 0.96, 27742, 27743),
    "US-Hn1_2019-2019": (107, 223, 0.86, 7292, 7296),
    "US-Me2_2019-2020": (353, 516, 0.83, 17568, 17568),
    "US-Me6_2022-2022": (107, 648, 0.90, 2905, 2946),
    "US-NR1_2008-2013": (773, None, None, None, None),
    "US-SRM_2005-2013": (335, 323, 0.91, 126445, 133584),
    "US-Wi7_2005-2005": (875, 455, 0.64, 6080, 6436),
    "US-Wkg_2004-2004": (292, 303, 0.93, 10433, 10919),
}


def tower(folder, name):
    met = next(folder.glob(f"{name}_*_Met.nc"))
    flux = met.with_name(met.name.replace("_Met", "_Flux"))
    return read(met, flux if flux.exists() else None)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_tower_reads_and_adds_up(shared_data, name):
    dataset = tower(shared_data / "towers", name)
    rain, evaporation, closure, latent, sensible = CATALOGUE[name]
    told = summary(dataset)
    assert round(told["precipitation"]) == rain
    if evaporation is not None:
        assert round(told["evapotranspiration"]) == evaporation
        assert measured(dataset, "latent_heat").sum() == latent
        assert measured(dataset, "sensible_heat").sum() == sensible
    assert (told["closure"] is None) == (closure is None)
    if closure is not None:
        assert abs(told["closure"] - closure) < 0.0051
    assert offset_by_light(dataset) == dataset.attrs["utc_offset_hours"]
    filled = fill_forcing(dataset)
    check(filled)
    assert all(np.isfinite(filled[variable].values).all() for variable in FORCING)


@pytest.fixture(scope="module")
def vielsalm(shared_data):
    return read_table(shared_data / "raw" / "fluxnet" / "FLX_BE-Vie_2014.csv.xz")


def test_the_two_readers_give_one_vielsalm(shared_data, vielsalm):
    other = tower(shared_data / "towers", "BE-Vie_2014-2014")
    np.testing.assert_array_equal(vielsalm.time.values, other.time.values)
    for name in [name for name in other.data_vars if not name.endswith("_qc")]:
        theirs, ours = other[name].values, vielsalm[name].values
        if name == "relative_humidity":  # the other file has it filled
            theirs = np.where(np.isnan(ours), np.nan, theirs)
            np.testing.assert_allclose(ours, theirs, atol=0.05)
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-4 * np.nanstd(theirs), err_msg=name)
    for name in ("latent_heat", "sensible_heat", "net_radiation"):
        np.testing.assert_array_equal(vielsalm[f"{name}_qc"].values, other[f"{name}_qc"].values, err_msg=name)
    for key in ("site", "latitude", "longitude", "elevation", "igbp", "reference_height", "canopy_height"):
        assert vielsalm.attrs[key] == other.attrs[key]


def test_vielsalm_s_flags_tell_reanalysis_from_measurement(vielsalm):
    assert (vielsalm.longwave_down_qc.values == 4).all()
    assert (vielsalm.wind_speed_qc.values == 4).sum() == 1911
    assert np.isnan(vielsalm.net_radiation.values).sum() == 1371
    assert "Longwave down was not measured at 100%" in vielsalm.attrs["assumptions"]


def test_a_file_of_the_network_cut_in_the_middle(shared_data, tmp_path):
    with lzma.open(shared_data / "raw" / "fluxnet" / "FLX_BE-Vie_2014.csv.xz") as file:
        (tmp_path / "FLX_BE-Vie_2014.csv").write_bytes(file.read(1_000_100))
    with pytest.raises(DataError, match="was cut in the middle of its last row"):
        read_table(tmp_path / "FLX_BE-Vie_2014.csv")


@pytest.mark.parametrize(("site", "canopy", "offset"), [("DK-Fou", 1.0, 1.0), ("US-Wi7", 2.0, -6.0)])
def test_files_as_plumber2_ships_them(shared_data, site, canopy, offset):
    """NetCDF 4 and 3, metadata partly missing, no clock, specific humidity that contradicts the deficit."""
    stem = shared_data / "raw" / "plumber2" / f"{site}_2005-2005_FLUXNET2015"
    raw = read_plumber2(f"{stem}_Met.nc", f"{stem}_Flux.nc")
    ours = tower(shared_data / "towers", f"{site}_2005-2005")
    for name in ("shortwave_down", "air_temperature", "vapor_pressure_deficit", "precipitation", "latent_heat"):
        np.testing.assert_allclose(raw[name].values, ours[name].values, rtol=1e-5, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(raw.specific_humidity.values, ours.specific_humidity.values, rtol=1e-5)
    assert (raw.attrs["canopy_height"], raw.attrs["utc_offset_hours"]) == (canopy, offset)
    assert (raw.longwave_down_qc.values == 4).all()
    assert "Longwave down was not measured at 100%" in raw.attrs["assumptions"]

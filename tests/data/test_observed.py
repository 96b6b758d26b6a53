"""Days of what was observed: whole ones only, from whatever file has it."""

import numpy as np
import pytest
import xarray as xr

from bowen.data import add_daily_file, aggregate_observations, find_daily_files, has_daily_fluxes, read_plumber2
from bowen.data.schema import QC
from bowen.errors import DataError
from tests.data.files import plumber2_files, write_nc

FLUXES = ["latent_heat", "latent_heat_qc", "sensible_heat", "sensible_heat_qc"]


@pytest.fixture
def tower(tmp_path):
    met, flux = plumber2_files(days=6)
    flux["SoilTemp"] = flux.Qle * 0.0 + 12.0
    flux["SoilTemp"].attrs["units"] = "degC"
    flux["SoilMoist"] = flux.Qle * 0.0 + 31.0
    paths = write_nc(tmp_path / "XX-Obs_Met.nc", met), write_nc(tmp_path / "XX-Obs_Flux.nc", flux)
    return read_plumber2(*paths), paths[1]


def test_days_that_lack_a_step_or_were_mostly_filled_do_not_count(tower):
    record, flux = tower
    record["latent_heat"][48 + 3] = np.nan
    record["latent_heat_qc"][2 * 48 : 2 * 48 + 13] = 1
    record["latent_heat_qc"][3 * 48 : 3 * 48 + 12] = 1
    days = aggregate_observations(record, flux)
    assert np.isfinite(days.latent_heat.values).tolist() == [True, False, False, True, True, True]
    np.testing.assert_allclose(days.latent_heat[0], record.latent_heat.values[:48].mean())
    np.testing.assert_allclose(days.soil_temperature, 285.15)
    np.testing.assert_allclose(days.soil_moisture, 31.0)
    assert days.attrs["site"] == record.attrs["site"]


def test_daily_fluxes_count_where_the_tower_has_none(tower, tmp_path):
    record, _ = tower
    file = xr.Dataset(
        {"Qle_daily": ("time", [50.0, np.nan]), "Qh_daily": ("time", [20.0, 30.0])},
        {"time": record.time.values[[0, 48]], "x": ("x", [1.0])},
    )
    path = write_nc(tmp_path / "daily.nc", file)
    days = aggregate_observations(record.drop_vars(["latent_heat", "latent_heat_qc"]), daily=path)
    np.testing.assert_allclose(days.latent_heat.values[:2], [50.0, np.nan])
    assert days.sizes["time"] == 6 and np.isfinite(days.sensible_heat.values).all(), "the tower's own"


def test_weather_alone_is_trained_on_by_the_daily_fluxes_of_its_site(tower, tmp_path):
    record, _ = tower
    weather = record.drop_vars(FLUXES)
    assert add_daily_file(weather, {}) is weather
    noon = record.time.values[[24, 48 + 24]]  # a file may stamp its days at noon
    file = xr.Dataset({"Qle_daily": ("time", [50.0, np.nan]), "Qh_daily": ("time", [20.0, 30.0])}, {"time": noon})
    write_nc(tmp_path / f"{record.attrs['site']}_daily_2012_Flux.nc", file)
    assert add_daily_file(record, find_daily_files(tmp_path)) is record, "it has its own"
    days = add_daily_file(weather, find_daily_files(tmp_path))
    assert has_daily_fluxes(days) and days.latent_heat.attrs["units"] == "W m-2"
    np.testing.assert_array_equal(days.latent_heat[:48], 50.0)
    np.testing.assert_array_equal(days.sensible_heat[48:96], 30.0)
    assert (days.latent_heat_qc[48:] == QC.MISSING).all() and (days.sensible_heat_qc[:96] == QC.MEASURED).all()
    np.testing.assert_array_equal(days.air_temperature, record.air_temperature)


def test_a_file_without_daily_fluxes_is_refused(tower, tmp_path):
    record, _ = tower
    file = xr.Dataset({"NEE_daily": ("time", [1.0])}, {"time": record.time.values[:1]})
    path = write_nc(tmp_path / f"{record.attrs['site']}_daily_2012_Flux.nc", file)
    with pytest.raises(DataError, match=f"{path.name}: has neither Qle_daily nor Qh_daily"):
        add_daily_file(record.drop_vars(FLUXES), find_daily_files(tmp_path))
    with pytest.raises(DataError, match="has no daily fluxes named SITE_daily"):
        find_daily_files(tmp_path / "nowhere")


def test_a_tower_that_gives_weather_alone_has_nothing_observed(tower):
    record, _ = tower
    fluxes = [name for name in record if str(name).startswith(("latent_heat", "sensible_heat", "ground_heat"))]
    days = aggregate_observations(record.drop_vars(fluxes))
    assert not days and days.attrs["site"] == record.attrs["site"]

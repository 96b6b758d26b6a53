"""Xarray datasets of a user's own: they become records, or all that they lack is said at once."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bowen as bw
from bowen.data import check_canonical, check_record
from bowen.data.quality_flags import is_measured, list_assumptions
from bowen.training.site_data import require_site_data
from tests.data.files import SITE, plumber2_files, write_nc

SITE_METADATA = {**SITE, "site": "XX-Own", "reference_height": 10.0, "canopy_height": 0.5}


@pytest.fixture
def own():
    """Series in memory without flags and metadata, in units that differ from ours."""
    met, flux = (file.squeeze(drop=True) for file in plumber2_files())
    names = ["SWdown", "LWdown", "Tair", "RH", "Psurf", "Wind", "Precip"]
    return xr.merge([met[names], flux[["Qle", "Qh"]]]).drop_attrs(deep=False)


@pytest.fixture
def truth(tmp_path):
    met, flux = plumber2_files()
    return bw.read(write_nc(tmp_path / "XX-Own_2012_Met.nc", met), write_nc(tmp_path / "XX-Own_2012_Flux.nc", flux))


def test_a_dataset_becomes_the_record_that_a_file_gives(own, truth):
    record = bw.from_dataset(own, site=SITE_METADATA)
    for name in ("air_temperature", "air_pressure", "precipitation", "specific_humidity", "latent_heat"):
        np.testing.assert_allclose(record[name].values, truth[name].values, rtol=1e-3, err_msg=name)
    np.testing.assert_allclose(record.vapor_pressure_deficit, truth.vapor_pressure_deficit, atol=2.0)
    assert record.attrs["timestep_s"] == 1800 and record.attrs["site"] == "XX-Own"
    assert record.attrs["source"] == "own dataset"
    assert is_measured(record, "latent_heat").all()
    (note,) = [line for line in list_assumptions(record) if line.startswith("Without flags, and counted as measured")]
    assert "Qle" in note and "Tair" in note
    check_record(bw.fill_forcing(record))


def test_a_record_stays_itself(truth):
    again = bw.from_dataset(truth)
    for name in truth.data_vars:
        np.testing.assert_allclose(again[name].values, truth[name].values, rtol=1e-9, err_msg=str(name))
    assert {key: again.attrs[key] for key in ("site", "latitude", "igbp", "timestep_s")} == {
        key: truth.attrs[key] for key in ("site", "latitude", "igbp", "timestep_s")
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda own: own.rename(time="Time"),
        lambda own: own.assign_coords(time=pd.DatetimeIndex(own.time.values).as_unit("s")),
        lambda own: own.expand_dims(lat=[50.0], lon=[15.0]),
        lambda own: own.expand_dims(latitude=[50.0], longitude=[15.0]).transpose("time", ...),
        lambda own: own.rename(Tair="air_temperature", Qle="latent_heat"),
        lambda own: own.assign(Tair=(own.Tair - 273.15).assign_attrs(units="degrees_C")),
        lambda own: own.assign(SWdown=own.SWdown.assign_attrs(units="W m**-2")),
        lambda own: own.assign_attrs(latitude=50.0, longitude=15.0),
    ],
)
def test_forms_of_a_dataset(own, change):
    record = bw.from_dataset(own, site=SITE_METADATA)
    other = bw.from_dataset(change(own), site=SITE_METADATA)
    np.testing.assert_array_equal(other.time.values, record.time.values)
    for name in record.data_vars:
        np.testing.assert_allclose(other[name].values, record[name].values, rtol=1e-4, atol=1e-4, err_msg=str(name))


def test_flags_of_a_dataset_are_kept(own):
    own["Qle_qc"] = "time", np.where(np.arange(768) < 300, 0, np.nan)
    own["latent_heat_corrected"] = own["Qle"].copy()
    record = bw.from_dataset(own, site=SITE_METADATA)
    assert is_measured(record, "latent_heat").sum() == 300 == is_measured(record, "latent_heat_corrected").sum()
    assert not is_measured(record, "sensible_heat").any()


def test_all_that_is_missing_is_said_at_once(own):
    poor = own.drop_vars(["Wind", "RH"]).assign_coords(time=np.arange(768))
    del poor.Tair.attrs["units"]
    with pytest.raises(bw.DataError) as caught:
        bw.from_dataset(poor, site={"latitude": 50.0})
    message = str(caught.value)
    for word in (
        "stamps: `time`",
        "wind_speed (Wind)",
        "vapor_pressure_deficit (VPD)",
        "units of: Tair",
        "longitude, igbp",
    ):
        assert word in message
    assert "\n  fix: " in message


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda own: own.isel(time=[0]), "1 time steps"),
        (lambda own: own.assign(Tair=own.Tair.astype(str)), "Tair holds no numbers"),
        (lambda own: xr.concat([own, own], "lat"), "more than one place"),
        (lambda own: own.assign(Tair=own.Tair.expand_dims(level=2)), "Tair has the dimensions level, time"),
        (lambda own: own.assign(Tair=own.Tair.assign_attrs(units="degF")), "declared in `degF`"),
        (lambda own: own.to_dataframe(), "needs an xarray.Dataset"),
        (lambda own: own.isel(time=[0, 1, 1, 2]), "duplicated time stamps"),
        (lambda own: own.assign(Tair=own.Tair.assign_attrs(units="degC")), "outside|as if it were in"),
    ],
)
def test_what_cannot_be_a_record_is_refused_in_a_sentence(own, spoil, message):
    with pytest.raises(bw.DataError, match=rf"(?s){message}.*\n  fix: "):
        bw.from_dataset(spoil(own), site=SITE_METADATA)


SPOILED = {
    "own": lambda record: record.drop_vars([name for name in record.data_vars if str(name).endswith("_qc")]),
    "one step": lambda record: record.isel(time=[0]),
    "Time": lambda record: record.rename(time="Time"),
}
FUNCTIONS = {
    "fill_forcing": bw.fill_forcing,
    "inspect": bw.inspect,
    "check_record": check_record,
    "SiteData": lambda record: bw.SiteData(record),
    "score": lambda record: bw.score(xr.Dataset(), record, np.empty(0)),
    "report": lambda record: bw.report(xr.Dataset(), record, np.empty(0)),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_functions_refuse_what_is_not_canonical_and_name_the_way(truth, function, spoil):
    with pytest.raises(bw.DataError, match=r"canonical dataset(.|\n)*\n  fix: .*bowen\.from_dataset"):
        function(spoil(truth))


@pytest.mark.parametrize("function", [bw.inspect, bw.SiteData])
def test_functions_that_need_the_site_name_what_is_missing(truth, function):
    bare = truth.drop_attrs(deep=False)
    with pytest.raises(bw.DataError, match=r"no attribute timestep_s, attribute latitude, (.|\n)*from_dataset"):
        function(bare.assign_attrs(site="XX-Own"))


def test_a_table_is_no_record(truth):
    with pytest.raises(bw.DataError, match=r"record: is of the type DataFrame, no canonical dataset\.\n  fix: "):
        check_canonical(truth.to_dataframe())


def test_splits_refuse_a_dataset_without_stamps(truth):
    with pytest.raises(bw.DataError, match="from_dataset"):
        bw.block_split(truth.rename(time="Time"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("latitude", 200.0),
        ("elevation", 1e7),
        ("utc_offset_hours", 1e6),
        ("reference_height", 0.0),
        ("canopy_height", 50.0),
    ],
)
def test_impossible_sites_are_refused_by_every_function(truth, name, value):
    with pytest.raises(bw.DataError, match=r"must be (between|above)"):
        bw.SiteData(truth.assign_attrs({name: value}))


def test_models_are_given_site_data(truth):
    """Simulation and training begin with it; here their types are checked before."""
    with pytest.raises(bw.DataError, match=r"of the type Dataset, and not SiteData\.\n  fix: pass `bowen\.SiteData"):
        require_site_data(truth)

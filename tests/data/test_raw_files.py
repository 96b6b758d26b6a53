"""The networks' own files, against an independent reading with pandas and xarray alone."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bowen.data import read

FLUXNET = {
    "shortwave_down": ("SW_IN_F", 1.0, 0.0),
    "longwave_down": ("LW_IN_F", 1.0, 0.0),
    "net_radiation": ("NETRAD", 1.0, 0.0),
    "air_temperature": ("TA_F", 1.0, 273.15),
    "vapor_pressure_deficit": ("VPD_F", 100.0, 0.0),
    "air_pressure": ("PA_F", 1000.0, 0.0),
    "wind_speed": ("WS_F", 1.0, 0.0),
    "precipitation": ("P_F", 1.0 / 1800.0, 0.0),
    "latent_heat": ("LE_F_MDS", 1.0, 0.0),
    "sensible_heat": ("H_F_MDS", 1.0, 0.0),
    "ground_heat": ("G_F_MDS", 1.0, 0.0),
    "latent_heat_corrected": ("LE_CORR", 1.0, 0.0),
    "latent_heat_uncertainty": ("LE_RANDUNC", 1.0, 0.0),
}
BASE = {
    "shortwave_down": ("SW_IN", 1.0, 0.0),
    "longwave_down": ("LW_IN", 1.0, 0.0),
    "net_radiation": ("NETRAD", 1.0, 0.0),
    "air_temperature": ("TA", 1.0, 273.15),
    "relative_humidity": ("RH", 0.01, 0.0),
    "air_pressure": ("PA", 1000.0, 0.0),
    "wind_speed": ("WS", 1.0, 0.0),
    "precipitation": ("P", 1.0 / 1800.0, 0.0),
    "latent_heat": ("LE", 1.0, 0.0),
    "sensible_heat": ("H", 1.0, 0.0),
    "ground_heat": ("G_1_1_1", 1.0, 0.0),
}
EUROPE = {
    **{name: (f"{column}_1_1_1", *rest) for name, (column, *rest) in BASE.items() if name != "ground_heat"},
    "ground_heat": ("G_1_1_1", 1.0, 0.0),
    "vapor_pressure_deficit": ("VPD_PI_1_1_1", 100.0, 0.0),
}
CANVEG = {
    "shortwave_down": ("SW_IN_F", 1.0, 0.0),
    "net_radiation": ("NETRAD", 1.0, 0.0),
    "air_temperature": ("TA_F", 1.0, 273.15),
    "vapor_pressure": ("eair", 1000.0, 0.0),
    "air_pressure": ("PA_F", 1000.0, 0.0),
    "wind_speed": ("WS_F", 1.0, 0.0),
    "precipitation": ("P_F", 1.0 / 1800.0, 0.0),
    "leaf_area_index": ("LAI", 1.0, 0.0),
    "latent_heat": ("LE_F_MDS", 1.0, 0.0),
    "sensible_heat": ("H_F_MDS", 1.0, 0.0),
    "ground_heat": ("G_F_MDS", 1.0, 0.0),
}
HN1 = {"SW_IN_F": "Rg", "TA_F": "Tair", "PA_F": "PA", "WS_F": "WS_x", "P_F": "P_mm", "LE_F_MDS": "LE"}
HN1 |= {"H_F_MDS": "H", "G_F_MDS": "G_5cm"}
CANVEG_HN1 = {name: (HN1.get(column, column), *rest) for name, (column, *rest) in CANVEG.items()}

TABLES = {  # file: stamps, their format, minutes from the stamp back to the start of the interval, columns
    "fluxnet/FLX_BE-Vie_2014.csv.xz": ("TIMESTAMP_START", "%Y%m%d%H%M", 0, FLUXNET),
    "ameriflux_base/AMF_US-CRT_BASE_HH_3-5.csv.xz": ("TIMESTAMP_START", "%Y%m%d%H%M", 0, BASE),
    "europe_fluxdata/FR-Hes_europe-fluxdata_2016.txt.xz": ("TIMESTAMP_END", "%Y%m%d%H%M", 30, EUROPE),
    "jax-canveg/US-Bi1-forcings.csv.xz": ("TIMESTAMP_END", "%Y-%m-%d %H:%M:%S", 30, CANVEG),
    "jax-canveg/US-Bi1-forcings-test.csv.xz": ("TIMESTAMP_END", "%Y-%m-%d %H:%M:%S", 30, CANVEG),
    "jax-canveg/US-Me2-forcings-test.csv.xz": ("TIMESTAMP_END", "%Y-%m-%d %H:%M:%S", 30, CANVEG),
    "jax-canveg/US-Hn1-forcings.csv.xz": ("TIMESTAMP_END", "%Y-%m-%d %H:%M:%S", 30, CANVEG_HN1),
    "jax-canveg/US-Hn1-forcings-test.csv.xz": ("TIMESTAMP_END", "%Y-%m-%d %H:%M:%S", 30, CANVEG_HN1),
}


def plain(path):
    """The file, and its partner if it has one, as pandas reads it."""
    frame = pd.read_csv(path, comment="#", dtype={"TIMESTAMP_START": str, "TIMESTAMP_END": str})
    if "forcings" in path.name:
        before, after = path.name.split("forcings")
        partners = path.parent.glob(f"{before}fluxes*{after}")
        fluxes = pd.read_csv(min(partners, key=lambda file: len(file.name)), dtype={"TIMESTAMP_END": str})
        frame = frame.merge(fluxes, on="TIMESTAMP_END", how="left", validate="one_to_one")
    return frame


def successor_of(frame, column):
    """The values of the next sensor at the same place, if there is one."""
    values = frame.get(column.removesuffix("_1") + "_2" if column.endswith("_1_1_1") else "", pd.Series(dtype=float))
    return values.where(values > -9990)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_reads_as_pandas_reads_it(shared_data, name):
    path = shared_data / "raw" / name
    stamps, form, back, columns = TABLES[name]
    frame, dataset = plain(path), read(path)
    starts = pd.to_datetime(frame[stamps], format=form) - pd.Timedelta(minutes=back)
    assert dataset.sizes["time"] == len(frame)
    np.testing.assert_array_equal(dataset.time.values, starts.to_numpy().astype("datetime64[ns]"))
    for ours, (column, factor, offset) in columns.items():
        known = frame[column].where(frame[column] > -9990)
        theirs = known.fillna(successor_of(frame, column)).to_numpy() * factor + offset
        np.testing.assert_allclose(dataset[ours].values, theirs, rtol=1e-6, atol=1e-9, err_msg=ours)


@pytest.mark.parametrize("name", ["DK-Fou", "US-Wi7"])
def test_plumber2_reads_as_xarray_reads_it(shared_data, name):
    met = next((shared_data / "raw" / "plumber2").glob(f"{name}_*_Met.nc"))
    dataset = read(met)
    with xr.open_dataset(met) as weather, xr.open_dataset(met.with_name(met.name.replace("_Met", "_Flux"))) as fluxes:
        np.testing.assert_array_equal(dataset.time.values, weather.time.values)
        for ours, theirs, factor in [
            ("shortwave_down", weather.SWdown, 1.0),
            ("air_temperature", weather.Tair, 1.0),
            ("vapor_pressure_deficit", weather.VPD, 100.0),
            ("precipitation", weather.Precip, 1.0),
            ("latent_heat", fluxes.Qle, 1.0),
            ("sensible_heat", fluxes.Qh, 1.0),
            ("net_radiation", fluxes.Rnet, 1.0),
        ]:
            values = theirs.values.ravel().astype(float) * factor
            np.testing.assert_allclose(dataset[ours].values, np.where(values > -9990, values, np.nan), rtol=1e-6)


@pytest.mark.parametrize("name", ["US-Ton_2001-2009", "AU-How_2005-2013"])
def test_a_daily_tower_reads_as_half_hours(shared_data, name):
    dataset = read(shared_data / "daily_towers" / f"{name}_daily.nc")
    with xr.open_dataset(shared_data / "daily_towers" / f"{name}_daily.nc") as daily:
        days = dataset.shortwave_down.values.reshape(-1, 48)
        np.testing.assert_allclose(days.mean(axis=1), daily.SWdown.values, rtol=1e-6, atol=1e-4)
        warmth = dataset.air_temperature.values.reshape(-1, 48)
        np.testing.assert_allclose(warmth.max(axis=1), daily.Tair_max.values, rtol=1e-6)

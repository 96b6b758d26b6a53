"""Several columns of one variable: replaced sensors, sensors at other places, and products without flags."""

import numpy as np
import pytest

from bowen.data import QC, fill_forcing, read
from tests.data.files import SITE, fluxnet_table, write_csv

BASE = {"SW_IN_F": "SW_IN", "LW_IN_F": "LW_IN", "TA_F": "TA", "VPD_F": "VPD", "PA_F": "PA", "WS_F": "WS", "P_F": "P"}
END = 400  # row at which a sensor ends


@pytest.fixture
def table():
    table = fluxnet_table().rename(columns={**BASE, "LE_F_MDS": "LE", "H_F_MDS": "H", "G_F_MDS": "G"})
    return table[[name for name in table.columns if not name.endswith("_QC")]]


def read_replaced(folder, table, column, first, second, missing=-9999):
    """Read a table in which one sensor ends and another goes on."""
    table[first], table[second] = table[column], table[column]
    table.loc[END:, first], table.loc[: END - 1, second] = missing, missing
    return read(write_csv(folder / "AMF_XX-Syn_BASE_HH_1-5.csv", table.drop(columns=column)), site=SITE)


@pytest.mark.parametrize("missing", [-9999, -999])
@pytest.mark.parametrize(
    ("column", "name"), [("P", "precipitation"), ("LE", "latent_heat"), ("H", "sensible_heat"), ("WS", "wind_speed")]
)
def test_the_successor_of_a_sensor_fills(tmp_path, table, column, name, missing):
    whole = read(write_csv(tmp_path / "AMF_XX-Syn_BASE_HH_1-5.csv", table), site=SITE)
    dataset = read_replaced(tmp_path, table, column, f"{column}_1_1_1", f"{column}_1_1_2", missing)
    np.testing.assert_array_equal(dataset[name], whole[name])
    assert (dataset[f"{name}_qc"] == QC.MEASURED).all()
    assert f"{column}_1_1_2 fills 368 steps without {column}_1_1_1." in dataset.attrs["assumptions"]


@pytest.mark.parametrize("second", ["P_1_1_2", "P_1_1_A", "P_1_2_1", "P_2_1_1", "P_2"])
def test_rain_of_any_gauge_is_not_taken_as_dry(tmp_path, table, second):
    total = table.P.sum()
    filled = fill_forcing(read_replaced(tmp_path, table, "P", "P_1_1_1", second))
    np.testing.assert_allclose(float(filled.precipitation.sum()) * 1800.0, total)
    assert "assumed dry" not in filled.attrs["assumptions"]


@pytest.mark.parametrize("second", ["TA_1_2_1", "TA_2_1_1"])
def test_a_sensor_at_another_place_is_named_and_not_mixed_in(tmp_path, table, second):
    dataset = read_replaced(tmp_path, table, "TA", "TA_1_1_1", second)
    assert np.isnan(dataset.air_temperature.values[END:]).all()
    note = f"Not used where TA_1_1_1 has no value, because they stand elsewhere: {second}."
    assert note in dataset.attrs["assumptions"]


def test_flags_follow_the_sensor(tmp_path, table):
    table["H_SSITC_TEST_1_1_1"], table["H_SSITC_TEST_1_1_2"] = 0, 0
    table.loc[:9, "H_SSITC_TEST_1_1_1"] = 2
    table.loc[END : END + 9, "H_SSITC_TEST_1_1_2"] = 2
    table["H_1_1_1"], table["H_1_1_2"] = table.H, table.H
    table.loc[END:, "H_1_1_1"] = -9999
    path = write_csv(tmp_path / "XX-Syn.csv", table.drop(columns=["H", "TIMESTAMP_START"]))
    dataset = read(path, site=SITE, kind="europe_fluxdata")
    assert np.flatnonzero(np.isnan(dataset.sensible_heat.values)).tolist() == list(range(END, END + 10))
    np.testing.assert_array_equal(dataset.sensible_heat.values[:10], table.H_1_1_2[:10])


def test_gap_filled_products_without_flags_are_named(tmp_path):
    table = fluxnet_table()
    name = "FLX_XX-Syn_FLUXNET2015_FULLSET_HH_2012-2012_1-4.csv"
    assert "no flags" not in read(write_csv(tmp_path / name, table), site=SITE).attrs["assumptions"]
    bare = table.drop(columns=["LE_F_MDS_QC", "H_F_MDS_QC"])
    said = read(write_csv(tmp_path / name, bare), site=SITE).attrs["assumptions"]
    assert "LE_F_MDS, H_F_MDS, LE_CORR, H_CORR are gap-filled and have no flags, so all values count as filled" in said

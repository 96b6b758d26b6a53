"""Undeclared codes of missing values, in text tables and NetCDF: found because they stand out, and said."""

import numpy as np
import pytest

from bowen.data import QC, fill_forcing, read, read_table
from bowen.data.checks.missing_codes import find_missing_codes
from bowen.errors import DataError
from tests.data.files import SITE, fluxnet_table, plumber2_files, write_csv, write_nc

NAME = "FLX_XX-Syn_FLUXNET2015_FULLSET_HH_2012-2012_1-4.csv"
ROWS = np.arange(300, 340)  # 40 rows, and as many for each further variable
VARIABLES = {  # the column of a text table, of NetCDF, and the canonical name
    "SW_IN_F": ("SWdown", "shortwave_down"),
    "LW_IN_F": ("LWdown", "longwave_down"),
    "TA_F": ("Tair", "air_temperature"),
    "VPD_F": ("VPD", "vapor_pressure_deficit"),
    "PA_F": ("Psurf", "air_pressure"),
    "WS_F": ("Wind", "wind_speed"),
    "P_F": ("Precip", "precipitation"),
    "NETRAD": ("Rnet", "net_radiation"),
    "LE_F_MDS": ("Qle", "latent_heat"),
    "H_F_MDS": ("Qh", "sensible_heat"),
    "G_F_MDS": ("Qg", "ground_heat"),
}
CODES = (-999.0, -999.9, -6999.0, -9999.9, -8888.0, -7777.0, 9999.0, 32767.0, -32768.0, 1e20, 9.96921e36, -4321.0)


@pytest.fixture
def table():
    random = np.random.default_rng(1)
    table = fluxnet_table().drop(columns="RH")
    for column in ("SW_IN_F", "LW_IN_F", "WS_F", "VPD_F", "TA_F", "NETRAD", "LE_F_MDS", "H_F_MDS", "G_F_MDS"):
        table[column] = (table[column] * random.uniform(0.9, 1.1, len(table))).round(3)
    table["P_F"] = np.where(random.random(len(table)) < 0.05, random.gamma(1.0, 1.0, len(table)).round(1), 0.0)
    return table


@pytest.mark.parametrize("code", CODES)
def test_a_code_in_a_text_table_is_missing_and_said(tmp_path, table, code):
    untouched = read(write_csv(tmp_path / NAME, table), site=SITE)
    for k, column in enumerate(VARIABLES):
        table.loc[ROWS + 40 * k, column] = code
    dataset = read(write_csv(tmp_path / NAME, table), site=SITE)
    for k, (column, (_, name)) in enumerate(VARIABLES.items()):
        found = ROWS + 40 * k
        assert (dataset[f"{name}_qc"].values[found] == QC.MISSING).all(), name
        assert f"{column}: 40 values of {code:.7g} count as missing" in dataset.attrs["assumptions"]
        if name not in ("air_temperature", "vapor_pressure_deficit"):
            expected = untouched[name].values.copy()
            expected[found] = np.nan
            np.testing.assert_array_equal(dataset[name].values, expected)


@pytest.mark.parametrize("code", CODES)
def test_a_code_in_netcdf_is_missing_and_said(tmp_path, code):
    met, flux = plumber2_files()
    met = met.drop_vars(["RH", "RH_qc", "Qair", "Qair_qc"])
    for k, (variable, _) in enumerate(VARIABLES.values()):
        (met if variable in met else flux)[variable].values[ROWS + 40 * k] = code
    write_nc(tmp_path / "XX-Syn_2012-2012_Flux.nc", flux)
    dataset = read(write_nc(tmp_path / "XX-Syn_2012-2012_Met.nc", met))
    for k, (_, name) in enumerate(VARIABLES.values()):
        assert np.flatnonzero(np.isnan(dataset[name].values)).tolist() == (ROWS + 40 * k).tolist(), name
        said = f"{name.replace('_', ' ').capitalize()}: 40 values of "
        assert code <= -9990.0 or said in dataset.attrs["assumptions"]


@pytest.mark.parametrize("column", ["LE_F_MDS", "H_F_MDS", "WS_F", "TA_F"])
def test_a_single_usual_code_is_enough(tmp_path, table, column):
    table.loc[300, column] = -999.0
    dataset = read(write_csv(tmp_path / NAME, table), site=SITE)
    assert np.isnan(dataset[VARIABLES[column][1]].values[300])
    assert f"{column}: 1 value of -999 counts" in dataset.attrs["assumptions"]


@pytest.mark.parametrize("code", [-99.0, -99.9, 99.9, 999.0])
def test_a_code_within_the_values_of_a_flux_is_found_by_its_number(tmp_path, table, code):
    table["H_F_MDS"] -= 90.0  # so that single values are near the code
    table.loc[ROWS, "H_F_MDS"] = code
    dataset = read(write_csv(tmp_path / NAME, table), site=SITE)
    assert np.isnan(dataset.sensible_heat.values[ROWS]).all()
    assert np.isnan(dataset.sensible_heat.values).sum() == len(ROWS)


def test_an_unusual_code_near_the_values_is_found(tmp_path, table):
    table.loc[ROWS, "H_F_MDS"] = -612.5
    assert np.isnan(read(write_csv(tmp_path / NAME, table), site=SITE).sensible_heat.values).sum() == len(ROWS)


def test_whole_numbers_that_look_like_a_code_stay(tmp_path):
    table = fluxnet_table(days=200)
    random = np.random.default_rng(2)
    for column in ("SW_IN_F", "H_F_MDS", "NETRAD"):
        table[column] = (table[column] * random.uniform(0.5, 1.5, len(table))).round()
        assert (table[column] == 99.0).sum() >= 5
    dataset = read(write_csv(tmp_path / NAME, table), site=SITE)
    assert np.isfinite(dataset.sensible_heat.values).all() and "count as missing" not in dataset.attrs["assumptions"]


def test_two_codes_and_spikes_beyond_them_are_told_apart(tmp_path, table):
    table.loc[ROWS, "H_F_MDS"] = -999.0
    table.loc[ROWS + 40, "H_F_MDS"] = -6999.0
    table.loc[:2, "H_F_MDS"] = [-950.0, -890.3, 912.0]
    dataset = read(write_csv(tmp_path / NAME, table), site=SITE)
    assert np.isnan(dataset.sensible_heat.values).sum() == 80
    np.testing.assert_array_equal(dataset.sensible_heat.values[:3], [-950.0, -890.3, 912.0])


def test_a_code_is_missing_before_the_next_column_is_asked(tmp_path, table):
    table["LE_1_1_1"], table["LE_1_1_2"] = table.LE_F_MDS, 77.0
    table.loc[ROWS, "LE_1_1_1"] = -999.0
    names = {"SW_IN_F": "SW_IN", "LW_IN_F": "LW_IN", "TA_F": "TA", "VPD_F": "VPD", "PA_F": "PA", "WS_F": "WS"}
    base = table.rename(columns={**names, "P_F": "P", "H_F_MDS": "H"}).filter(regex="^(?!.*_QC$)(?!LE_F)")
    dataset = read(write_csv(tmp_path / "AMF_XX-Syn_BASE_HH_1-5.csv", base), site=SITE)
    np.testing.assert_array_equal(dataset.latent_heat.values[ROWS], 77.0)


LEGITIMATE = {  # values that resemble codes: column, value, how often
    "a flux of -6.999": ("H_F_MDS", -6.999, 40),
    "a flux of -9.99": ("LE_F_MDS", -9.99, 40),
    "a single flux of -99.9": ("H_F_MDS", -99.9, 1),
    "light of 999": ("SW_IN_F", 999.0, 5),
    "pressure of 99.9 kPa": ("PA_F", 99.9, 40),
    "calm": ("WS_F", 0.0, 40),
    "a deficit of 9.99 hPa": ("VPD_F", 5.5, 40),
    "the heaviest rain": ("P_F", 25.4, 3),
    "a temperature of -40": ("TA_F", -40.0, 3),
}


@pytest.mark.parametrize(("column", "value", "times"), LEGITIMATE.values(), ids=LEGITIMATE)
def test_a_legitimate_value_stays(tmp_path, table, column, value, times):
    table.loc[::20, "SW_IN_F"] = 1000.0 - np.arange(len(table[::20]))  # a bright place
    table.loc[ROWS[:times], column] = value
    dataset = read(write_csv(tmp_path / NAME, table), site=SITE)
    assert np.isfinite(dataset[VARIABLES[column][1]].values).all()
    assert "count as missing" not in dataset.attrs["assumptions"]


@pytest.mark.parametrize(
    ("name", "factor", "offset"),
    [
        ("air_pressure", 10.0, 0.0),
        ("air_temperature", 1.0, 273.15),
        ("precipitation", 1800.0, 0.0),
        ("wind_speed", 100, 0),
    ],
)
def test_a_wrong_unit_is_no_code(tmp_path, table, name, factor, offset):
    values = read(write_csv(tmp_path / NAME, table), site=SITE)[name].values.round(1 if name != "precipitation" else 6)
    assert not find_missing_codes(values * factor + offset, name, 1800).any()


def test_the_sum_of_rain_is_that_of_the_measured_steps(tmp_path, table):
    wet = table.P_F.drop(ROWS).sum()
    table.loc[ROWS, "P_F"] = -999.0
    dataset = fill_forcing(read(write_csv(tmp_path / NAME, table), site=SITE))
    np.testing.assert_allclose(float(dataset.precipitation.sum()) * 1800.0, wet, rtol=1e-9)


def test_a_column_of_nothing_but_codes_is_empty(tmp_path, table):
    table["WS_F"] = -999.0
    with pytest.raises(DataError, match="wind_speed is missing at all 768 steps"):
        read_table(write_csv(tmp_path / NAME, table), site=SITE)

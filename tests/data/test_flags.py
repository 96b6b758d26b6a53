"""Only what a source flags as measured counts as measured; what has no flag is said in a note."""

import numpy as np
import pytest

from bowen.data import is_measured, read_plumber2, read_table
from bowen.data.quality_flags import list_assumptions
from tests.data.files import SITE, fluxnet_table, plumber2_files, write_csv, write_nc


@pytest.fixture
def read_files(tmp_path):
    def read_files(met, flux):
        return read_plumber2(
            write_nc(tmp_path / "XX-Syn_2012-2012_Met.nc", met), write_nc(tmp_path / "XX-Syn_2012-2012_Flux.nc", flux)
        )

    return read_files


@pytest.fixture
def files():
    return plumber2_files()


def count_measured(record, name):
    return int(is_measured(record, name).sum())


@pytest.mark.parametrize("flag", [np.nan, -9999.0, -127.0, 255.0, 0.5])
def test_a_value_without_a_known_flag_counts_as_filled(read_files, files, flag):
    met, flux = files
    flux["Qle_qc"][100:350] = flag
    record = read_files(met, flux)
    assert count_measured(record, "latent_heat") == 768 - 250 and count_measured(record, "sensible_heat") == 768
    assert "250 values of Qle without a known flag count as filled." in list_assumptions(record)


def test_a_missing_value_needs_no_flag(read_files, files):
    met, flux = files
    flux["Qle"][5:9], flux["Qle_qc"][5:9] = np.nan, np.nan
    assert not [line for line in list_assumptions(read_files(met, flux)) if "without a known flag" in line]


def test_a_flux_without_flags_next_to_one_with_flags_counts_as_filled(read_files, files):
    met, flux = files
    record = read_files(met, flux.drop_vars("Qle_qc"))
    assert count_measured(record, "latent_heat") == 0 and count_measured(record, "sensible_heat") == 768
    assert "Qle has no flags, unlike Qh, and counts as filled." in list_assumptions(record)


def test_a_file_without_flags_counts_as_measured_and_the_record_says_so(read_files, files):
    met, flux = files
    record = read_files(met, flux.drop_vars(["Qle_qc", "Qh_qc"]))
    assert count_measured(record, "latent_heat") == 768
    (note,) = [line for line in list_assumptions(record) if line.startswith("Without flags, and counted as measured: ")]
    assert {"Qle", "Qh"} <= set(note.split(": ")[1].rstrip(".").split(", "))


def test_corrected_fluxes_have_the_flags_of_the_measured_ones(read_files, files):
    met, flux = files
    flux["Qle_qc"][40:90] = 2
    flux["Qle_cor"] = flux["Qle"].assign_attrs(units="W/m2") * 1.1
    flux["Qle_cor"].attrs["units"] = "W/m2"
    assert count_measured(read_files(met, flux), "latent_heat_corrected") == 768 - 50


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"Precip": "Rainf", "Precip_qc": "Rainf_qc"}, "precipitation"),
        ({"Precip_qc": "Rainf_qc"}, "precipitation"),
        ({"Psurf_qc": "PSurf_qc"}, "air_pressure"),
        ({"Psurf": "PSurf"}, "air_pressure"),
        ({"Wind_qc": "Wind_QC"}, "wind_speed"),
        ({"Tair": "air_temperature", "Tair_qc": "air_temperature_qc"}, "air_temperature"),
    ],
)
def test_flags_by_another_name_of_the_variable(read_files, files, change, name):
    met, flux = files
    old = next(old for old in change if old.endswith("_qc")) if any(o.endswith("_qc") for o in change) else "Psurf_qc"
    met[old][300:500] = 1
    assert count_measured(read_files(met.rename(change), flux), name) == 768 - 200


def test_the_sum_of_rain_and_snow_was_measured_where_both_were(read_files, files):
    met, flux = files
    met = met.rename(Precip="Rainf", Precip_qc="Rainf_qc")
    met["Snowf"], met["Snowf_qc"] = met["Rainf"].copy(), met["Rainf_qc"].copy()
    met["Rainf_qc"][10:30] = 1
    met["Snowf_qc"][20:60] = 4
    record = read_files(met, flux)
    assert count_measured(record, "precipitation") == 768 - 50
    np.testing.assert_allclose(record.precipitation.values, 2.0 * met["Rainf"].values.ravel(), rtol=1e-6)


def test_what_is_missing_in_rain_is_so_before_its_unit_is_converted(read_files, files):
    met, flux = files
    met = met.rename(Precip="Rainf", Precip_qc="Rainf_qc")
    met["Rainf"] = (met["Rainf"] * 3600.0).assign_attrs(units="mm/h")
    met["Rainf"][70:100] = -9999.0
    assert np.isnan(read_files(met, flux).precipitation.values).sum() == 30


@pytest.mark.parametrize("flux", ["LE", "H"])
def test_a_gap_filled_column_without_its_flags_counts_as_filled(tmp_path, flux):
    name = {"LE": "latent_heat", "H": "sensible_heat"}[flux]
    table = fluxnet_table().drop(columns=f"{flux}_F_MDS_QC")
    record = read_table(write_csv(tmp_path / "FLX_XX-Syn_FULLSET_HH_2012.csv", table), site=SITE)
    assert count_measured(record, name) == 0 and count_measured(record, f"{name}_corrected") == 0
    label = name.replace("_", " ").capitalize()
    assert f"{label} is not flagged as measured at any step, so all its values count as filled." in list_assumptions(
        record
    )

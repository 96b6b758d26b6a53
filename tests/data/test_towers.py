"""Real towers: what the readers make of them, against the numbers written down when the files were made."""

import lzma
import re

import numpy as np
import pytest

from bowen.data import check_record, fill_forcing, is_measured, read, read_plumber2, read_table, summarize_record
from bowen.data.checks.clock import compute_clock_lag, estimate_utc_offset, find_clock_changes
from bowen.data.checks.plausibility import find_implausible_values
from bowen.data.schema import FORCING
from bowen.errors import DataError
from tests.data.thresholds import CHECKS, list_records, measure

TOWERS = (
    "BE-Vie_2014-2014",
    "DK-Fou_2005-2005",
    "DK-Sor_2010-2010",
    "FR-Hes_2016-2016",
    "FR-Pue_2005-2005",
    "FR-Pue_2014-2014",
    "IT-Amp_2003-2004",
    "IT-Lav_2011-2013",
    "IT-MBo_2011-2013",
    "SE-Svb_2019-2019",
    "US-Bi1_2018-2021",
    "US-CMW_2011-2014",
    "US-CRT_2011-2011",
    "US-Hn1_2016-2017",
    "US-Hn1_2019-2019",
    "US-Me2_2019-2020",
    "US-Me6_2022-2022",
    "US-NR1_2008-2013",
    "US-SRM_2005-2013",
    "US-Wi7_2005-2005",
    "US-Wkg_2004-2004",
)


@pytest.fixture(scope="module")
def catalogue(shared_data):
    """The table that was made with the files: annual P and ET, closure, measured steps of LE and of H; None for "-"."""
    lines = (shared_data / "CATALOGUE.md").read_text(encoding="utf-8").splitlines()
    start = lines.index("| file | P | ET | closure | n LE qc 0 | n H qc 0 |")
    table = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        table[name] = [None if cell == "-" else float(cell) for cell in cells]
    return table


def tower(folder, name):
    met = max(folder.glob(f"{name}_*_Met.nc"))
    flux = met.with_name(met.name.replace("_Met", "_Flux"))
    return read(met, flux if flux.exists() else None)


def test_the_catalogue_lists_every_tower(catalogue):
    assert tuple(catalogue) == TOWERS


@pytest.mark.parametrize("name", TOWERS)
def test_every_tower_reads_and_adds_up(shared_data, catalogue, name):
    dataset = tower(shared_data / "towers", name)
    rain, evaporation, closure, latent, sensible = catalogue[name]
    told = summarize_record(dataset)
    assert told["precipitation"] == pytest.approx(rain, rel=0.01)
    if evaporation is not None:
        assert told["evapotranspiration"] == pytest.approx(evaporation, rel=0.01)
        assert is_measured(dataset, "latent_heat").sum() == latent
        assert is_measured(dataset, "sensible_heat").sum() == sensible
    if name == "FR-Pue_2014-2014":  # ground heat is known in winter alone, and left out
        closure = 0.50
    assert told["closure"] == (closure and pytest.approx(closure, abs=0.02))
    assert estimate_utc_offset(dataset) == dataset.attrs["utc_offset_hours"]
    filled = fill_forcing(dataset)
    check_record(filled)
    assert all(np.isfinite(filled[variable].values).all() for variable in FORCING)


@pytest.mark.parametrize(
    ("name", "correction"),
    [
        ("US-Me2", "precipitation_factor"),
        ("US-CMW", "external_supply"),
        ("US-Bi1", "external_supply"),
        ("US-SRM", None),
        ("SE-Svb", None),
        ("BE-Vie", None),
    ],
)
def test_water_from_elsewhere_is_noticed(shared_data, name, correction):
    """Most rain falls at US-SRM and US-CMW while LE is missing: sums over common steps would accuse the former.

    The gauge of US-Me2 records nothing on overcast freezing days.
    """
    found = summarize_record(tower(shared_data / "towers", name))["water_balance"]
    assert found["exceeds"] is (correction is not None)
    assert found["correction"] == correction


def test_a_bridged_gap_is_noticed(shared_data):
    """Net radiation of US-Me2 is a straight line for 471 hours, flagged as measured; without them LE + H is 95 %."""
    found = summarize_record(tower(shared_data / "towers", "US-Me2"))
    assert {stretch["name"] for stretch in found["stuck"]} == {"net_radiation"}
    assert sum(stretch["hours"] for stretch in found["stuck"]) == 471.0
    parts = found["energy_balance"]["parts"]
    assert parts["record"]["ratio"] == pytest.approx(0.835, abs=0.002)
    assert parts["moving"]["ratio"] == pytest.approx(0.950, abs=0.002)
    assert "it is 95%" in found["energy"]


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
    with pytest.raises(DataError, match="is truncated in its last row"):
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


@pytest.mark.parametrize("hours", [-1, 1, 12])
@pytest.mark.parametrize("name", TOWERS)
def test_stamps_that_are_hours_off_are_noticed_at_every_tower(shared_data, name, hours):
    dataset = tower(shared_data / "towers", name).isel(time=slice(366 * 48))
    usual = compute_clock_lag(dataset)
    off = summarize_record(dataset.assign_coords(time=dataset.time + np.timedelta64(hours, "h")))
    assert (off["clock_lag"] - usual - 60.0 * hours + 720.0) % 1440.0 - 720.0 == pytest.approx(0.0, abs=10.0)
    assert "doubt" in [verdict["mark"] for verdict in off["verdicts"] if verdict["about"] == "clock"]
    told = r"min (before|after) the sun"
    assert re.search(told, off["clock"])


LATE = {"SE-Svb_2019-2019": 30.0, "US-Hn1_2019-2019": 30.0, "US-Wi7_2005-2005": 20.0, "IT-Amp_2003-2004": 20.0}


@pytest.mark.parametrize("name", TOWERS)
def test_clocks_and_values_of_real_towers_are_not_doubted_but_where_they_are_off(shared_data, name):
    """At US-Hn1 the clock goes an hour wrong from September to November 2017, and negative latent heat was taken out;
    convection clouds US-NR1's afternoons.
    """
    dataset = tower(shared_data / "towers", name)
    lag, known = compute_clock_lag(dataset), {**LATE, "US-NR1_2008-2013": -20.0}.get(name)
    assert lag == known if known else abs(lag) < 20.0
    changes = find_clock_changes(dataset)
    assert [(c["start"][:7], c["end"][:7], c["lag"]) for c in changes] == (
        [("2017-09", "2017-11", -60.0)] if name == "US-Hn1_2016-2017" else []
    )
    doubts = find_implausible_values(dataset)
    known = {"US-Hn1": "never negative", "IT-Amp": "0.76 times a clear sky on the clearest days"}.get(name[:6])
    assert len(doubts) == (known is not None) and all(known in doubt for doubt in doubts)


FREEZING, NIGHT = "precipitation on overcast freezing days", "night with a measured flux"
ODD_YEAR = "precipitation of the oddest year over the others"
UNSOUND = {
    "DK-Fou_2005-2005": {"available energy per sensible heat"},
    "DK-Sor_2010-2010": {FREEZING},
    "IT-Amp_2003-2004": {"clear days over clear sky", NIGHT},
    "US-Bi1_2018-2021": {NIGHT},
    "US-Hn1_2016-2017": {NIGHT},
    "US-Hn1_2019-2019": {NIGHT},
    "US-Me2_2002-2002": {"precipitation of one or two years over the station's mean"},
    "US-Me2_2006-2007": {FREEZING},
    "US-Me2_2019-2020": {FREEZING, NIGHT},
    "US-xNG_2017-2021 daily": {FREEZING, ODD_YEAR},
    "US-xRM_2017-2021 daily": {ODD_YEAR},
    **{
        f"{name} daily": {FREEZING}
        for name in (
            *("BE-Vie_2010-2018", "DE-Seh_2007-2010", "NL-Loo_2002-2010", "US-ARM_2003-2012", "US-Atq_2003-2008"),
            *("US-CRT_2011-2013", "US-MMS_1999-2014", "US-MMS_2002-2010", "US-xUK_2017-2021"),
        )
    },
}


@pytest.mark.slow
def test_the_numbers_of_sound_records_are_within_the_ranges_of_the_checks(shared_data):
    ranges = {check.name: check.usual for check in CHECKS}
    outside = {}
    for name, met, flux in list_records(shared_data):
        numbers = measure(read(met, flux))
        odd = {check for check, value in numbers.items() if not ranges[check][0] <= value <= ranges[check][1]}
        outside |= {name: odd} if odd else {}
    assert outside == UNSOUND

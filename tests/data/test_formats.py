import json
import zipfile

import numpy as np
import pandas as pd
import pytest

from bowen.data import QC, read, read_table
from bowen.data.formats import choose_format, load_formats, read_format_text
from bowen.errors import ConfigError, DataError
from tests.data.files import SITE, fluxnet_table, weather, write_csv

NAME = "FLX_XX-Syn_FLUXNET2015_FULLSET_HH_2012-2012_1-4.csv"

MINE = """
title = "Our own logger"
units_lines = 1

[time]
start = ["date", "clock"]
format = "%d.%m.%Y %H:%M"

[columns]
shortwave_down = ["Rg"]
longwave_down = ["Ld"]
air_temperature = ["T"]
relative_humidity = ["rH"]
wind_speed = ["u"]
precipitation = ["rain"]
latent_heat = ["LvE"]
sensible_heat = ["Hs"]

[units]
air_temperature = "degC"
relative_humidity = "%"
precipitation = "mm"

[flags]
Hs = "q_{name}"

[codes]
Hs = { 1 = "measured", 7 = "filled_poor", 9 = "missing" }
rain = { "*" = "reanalysis" }
"""


def own_table():
    table = weather()
    return pd.DataFrame(
        {
            "date": table.index.strftime("%d.%m.%Y"),
            "clock": table.index.strftime("%H:%M"),
            "Rg": table.SW_IN_F,
            "Ld": table.LW_IN_F,
            "T": table.TA_F,
            "rH": table.RH,
            "u": table.WS_F,
            "rain": table.P_F,
            "LvE": table.LE_F_MDS,
            "Hs": table.H_F_MDS,
            "q_Hs": np.resize([0, 1, 7, 9, 5], len(table)),
        }
    )


@pytest.fixture
def mine(tmp_path):
    """A table of one's own: stamps in two columns, a line of units, semicolons, flags of its own."""
    lines = own_table().to_csv(index=False, sep=";").splitlines()
    units = ";".join(["-"] * len(lines[0].split(";")))
    (tmp_path / "logger.txt").write_text("\n".join(["# made by hand", lines[0], units, *lines[1:]]))
    (tmp_path / "mine.toml").write_text(MINE)
    return tmp_path / "logger.txt", tmp_path / "mine.toml"


def test_a_table_of_ones_own_is_described_in_toml(mine):
    path, kind = mine
    dataset = read(path, kind=kind, site=SITE)
    table = own_table()
    assert dataset.attrs["source"] == "Our own logger"
    assert dataset.time.values[1] == np.datetime64("2012-02-20T00:30")
    np.testing.assert_allclose(dataset.air_temperature, table["T"] + 273.15, rtol=1e-12)
    np.testing.assert_allclose(dataset.precipitation, table.rain / 1800.0, rtol=1e-12)
    np.testing.assert_array_equal(dataset.sensible_heat_qc[:5], [0, 0, 3, QC.MISSING, 3])
    assert np.isnan(dataset.sensible_heat.values[3])
    assert (dataset.precipitation_qc == QC.REANALYSIS).all() and (dataset.latent_heat_qc == QC.MEASURED).all()


def test_units_of_the_file_that_contradict_the_description_are_refused(mine):
    path, kind = mine
    lines = path.read_text().splitlines()
    units = dict.fromkeys(lines[1].split(";"), "-") | {"T": "[degC]", "rain": "[m]", "rH": "%", "Rg": "W+1m-2"}
    lines[2] = ";".join(units.values())
    path.write_text("\n".join(lines))
    message = (
        r"rain is in m by the file's line of units, and in mm by .*\n.* line 2\n  units: line 3\n  fix: write precip"
    )
    with pytest.raises(DataError, match=message):
        read(path, kind=kind, site=SITE)
    kind.write_text(MINE.replace('precipitation = "mm"', 'precipitation = "m"'))
    path.write_text(path.read_text().replace(";0.9;", ";0.0009;"))
    np.testing.assert_allclose(read(path, kind=kind, site=SITE).precipitation, own_table().rain / 1800.0, rtol=1e-9)


def test_an_unknown_table_says_what_to_do(mine):
    with pytest.raises(
        DataError, match=r"(?s)none of the known formats .*fluxnet.*its columns: date, clock.*--format mine"
    ):
        read(mine[0], site=SITE)


BAD_KINDS = {
    "unknown key": ("title =", "heading =", r"mine.toml: (unknown key `heading`|`title` is missing)"),
    "unknown variable": (
        "wind_speed =",
        "wind =",
        r"no variable is called `wind`.\n  nearest: wind_speed",
    ),
    "unknown flag": ('"filled_poor"', '"bad"', r"mine.toml: `bad` is no flag.\n  available: measured"),
    "no stamps": ('start = ["date", "clock"]', "", r"mine.toml: `time` has neither `start` nor `end`"),
    "no TOML": ("[time]", "[time", r"mine.toml: cannot be read as TOML"),
    "wrong type": ('["Rg"]', "7", r"mine.toml: `columns.shortwave_down`: "),
}


@pytest.mark.parametrize(("old", "new", "message"), BAD_KINDS.values(), ids=BAD_KINDS.keys())
def test_a_wrong_description_is_named(mine, old, new, message):
    path, kind = mine
    assert old in MINE
    kind.write_text(MINE.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        read(path, kind=kind, site=SITE)


def test_a_kind_that_is_nowhere_is_named(mine, tmp_path):
    with pytest.raises(ConfigError, match=r"nothing.toml: is neither a format \(.*fluxnet.*\) nor a file"):
        read(mine[0], kind=tmp_path / "nothing.toml", site=SITE)
    with pytest.raises(ConfigError, match=r"none is called `fluxnett`.\n  nearest: fluxnet"):
        read_format_text("fluxnett")


def test_a_printed_kind_is_one(tmp_path):
    for name, kind in load_formats().items():
        (tmp_path / f"{name}.toml").write_text(read_format_text(name))
        assert choose_format(tmp_path / f"{name}.toml", (), "") == kind


HEADERS = {
    "fluxnet": "TIMESTAMP_START,TIMESTAMP_END,TA_F,SW_IN_F,VPD_F,LE_F_MDS",
    "ameriflux_base": "TIMESTAMP_START,TIMESTAMP_END,TA_1_1_1,SW_IN_1_1_1,LE_1_1_1",
    "europe_fluxdata": "TIMESTAMP_END,TA_1_1_1,SW_IN_1_1_1,H_1_1_1,H_SSITC_TEST_1_1_1",
    "jax_canveg": "TIMESTAMP_END,DoY,TA_F,SW_IN_F,eair,WS_F,veg_ht,LAI",
}


@pytest.mark.parametrize("name", HEADERS)
def test_the_columns_tell_the_kind(name):
    assert choose_format(None, HEADERS[name].split(","), "x.csv") == load_formats()[name]
    assert choose_format("fluxnet", HEADERS[name].split(","), "x.csv") == load_formats()["fluxnet"]  # overruled


def test_the_first_sensor_with_values_is_used(tmp_path):
    table = fluxnet_table().rename(columns={"SW_IN_F": "SW_IN", "P_F": "P", "WS_F": "WS", "PA_F": "PA", "VPD_F": "VPD"})
    table = table.rename(columns={"LE_F_MDS": "LE_1_1_1", "H_F_MDS": "H", "LW_IN_F": "LW_IN"})
    table = table[[name for name in table.columns if not name.endswith("_QC")]]
    table["TA_1_2_1"], table["TA_1_10_1"], table["TA_1_1_1"] = table.TA_F, table.TA_F - 5.0, -9999
    dataset = read(write_csv(tmp_path / "AMF_XX-Syn_BASE_HH_1-5.csv", table.drop(columns="TA_F")), site=SITE)
    assert dataset.attrs["source"] == "AmeriFlux BASE"
    np.testing.assert_allclose(dataset.air_temperature, table.TA_1_2_1 + 273.15, rtol=1e-12)


@pytest.fixture
def archive(tmp_path):
    """What the networks ship: one .zip with many resolutions and the site's metadata."""
    rows = [
        ("XX-Syn", 1, "GRP_LOCATION", "LOCATION_LAT", "50.0"),
        ("XX-Syn", 1, "GRP_LOCATION", "LOCATION_LONG", "15.0"),
        ("XX-Syn", 2, "GRP_IGBP", "IGBP", "DBF"),
        ("XX-Syn", 3, "GRP_UTC_OFFSET", "UTC_OFFSET", "1"),
        ("XX-Syn", 4, "GRP_HEIGHTC", "HEIGHTC", "17"),
        ("XX-Syn", 5, "GRP_HEIGHTC", "HEIGHTC", "19.5"),
        ("XX-Syn", 6, "GRP_VAR_INFO", "VAR_INFO_VARNAME", "LE"),
        ("XX-Syn", 6, "GRP_VAR_INFO", "VAR_INFO_HEIGHT", "33"),
        ("XX-Syn", 7, "GRP_VAR_INFO", "VAR_INFO_VARNAME", "TS_1_1_1"),
        ("XX-Syn", 7, "GRP_VAR_INFO", "VAR_INFO_HEIGHT", "-0.05"),
        ("XX-Syn", 8, "GRP_SITE_DESC", "SITE_DESC", 'A tower,\nin two lines, and\n\n"quoted"'),
        ("YY-Oth", 9, "GRP_IGBP", "IGBP", "ENF"),
        ("YY-Oth", 10, "GRP_HEADER", "SITE_NAME", ""),
    ]
    bif = pd.DataFrame(rows, columns=["SITE_ID", "GROUP_ID", "VARIABLE_GROUP", "VARIABLE", "DATAVALUE"])
    folder = tmp_path / "unpacked"
    folder.mkdir()
    write_csv(folder / "AMF_XX-Syn_FLUXNET_FLUXMET_HH_2012-2012_v1.3_r1.csv", fluxnet_table())
    write_csv(folder / "AMF_XX-Syn_FLUXNET_BIF_2012-2012_v1.3_r1.csv", bif)
    for other in ("FLUXMET_DD", "ERA5_HH", "BIFVARINFO_HH"):
        (folder / f"AMF_XX-Syn_FLUXNET_{other}_2012-2012_v1.3_r1.csv").write_text("a,b\n1,2\n")
    with zipfile.ZipFile(tmp_path / "AMF_XX-Syn_FLUXNET_2012-2012_v1.3_r1.zip", "w") as packed:
        for file in sorted(folder.iterdir()):
            packed.write(file, file.name)
    return tmp_path / "AMF_XX-Syn_FLUXNET_2012-2012_v1.3_r1.zip"


@pytest.mark.parametrize("how", ["zip", "folder", "file", "folder of one zip"])
def test_an_archive_tells_all_it_knows(archive, how):
    places = {"zip": archive, "folder": archive.parent / "unpacked"}
    places["file"] = places["folder"] / "AMF_XX-Syn_FLUXNET_FLUXMET_HH_2012-2012_v1.3_r1.csv"
    places["folder of one zip"] = archive.parent / "downloads"
    places["folder of one zip"].mkdir()
    (places["folder of one zip"] / archive.name).write_bytes(archive.read_bytes())
    dataset = read(places[how])
    site = {key: dataset.attrs[key] for key in ("site", "latitude", "igbp", "canopy_height", "reference_height")}
    assert site == {
        "site": "XX-Syn",
        "latitude": 50.0,
        "igbp": "DBF",
        "canopy_height": 19.5,
        "reference_height": 33.0,
    }
    np.testing.assert_allclose(dataset.air_temperature, fluxnet_table().TA_F + 273.15, rtol=1e-12)
    json.dumps(dataset.attrs, default=float)


def test_two_towers_in_a_folder_are_one_too_many(archive):
    folder = archive.parent / "unpacked"
    write_csv(folder / "AMF_YY-Oth_FLUXNET_FLUXMET_HH_2012-2012_v1.3_r1.csv", fluxnet_table())
    with pytest.raises(DataError, match=r"unpacked: has 2 possible files \(AMF_XX-Syn.*AMF_YY-Oth"):
        read(folder)
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"unpacked: has 0 possible files \(no table\)"):
        read(folder)


def test_fluxes_in_a_second_table(tmp_path):
    table = fluxnet_table()
    fluxes = [
        "TIMESTAMP_START",
        "LE_F_MDS",
        "H_F_MDS",
        "LE_F_MDS_QC",
        "H_F_MDS_QC",
        "LE_CORR",
        "H_CORR",
        "G_F_MDS",
        "G_F_MDS_QC",
    ]
    weather_file = write_csv(tmp_path / "XX-Syn_met.csv", table.drop(columns=fluxes[1:]))
    flux_file = write_csv(tmp_path / "XX-Syn_flux.csv", table[fluxes].iloc[10:])
    both = read(weather_file, flux_file, site=SITE)
    whole = read_table(write_csv(tmp_path / NAME, table), site=SITE)
    assert np.isnan(both.latent_heat.values[:10]).all() and (both.latent_heat_qc.values[:10] == QC.MISSING).all()
    assert both.isel(time=slice(10, None)).equals(whole.isel(time=slice(10, None)))
    table["TIMESTAMP_START"] = "1992" + table.TIMESTAMP_START.str[4:]
    with pytest.raises(DataError, match=r"XX-Syn_flux.csv: has no stamp in common with XX-Syn_met.csv"):
        read(weather_file, write_csv(flux_file, table[fluxes]), site=SITE)

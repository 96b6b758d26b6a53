import tomllib

import pytest

from bowen.data import add_sites, get_user_sites_path, list_sites, read
from bowen.data.site_metadata import complete_site_metadata, load_known_sites
from bowen.errors import ConfigError, DataError
from tests.data.files import fluxnet_table, plumber2_files, write_csv, write_nc

WIDE = """\
site,name,country,lat,lon,elev,IGBP,MAT,MAP,tier1,canopy_height_FluxnetLSM
ZZ-Aaa,"Grove, the",Nowhere,50.5,6.0,500.0,ENF,6.85,1000.0,2001-2004,20.0
ZZ-Bbb,Two,Nowhere,-33.0,-66.0,,GRA,,-9999,,
BE-Vie,Vielsalm,Belgium,50.3049,5.9981,493.0,MF,7.8,1062.0,,
"""
LONG = """\
SITE_ID,GROUP_ID,VARIABLE_GROUP,VARIABLE,DATAVALUE
ZZ-Ccc,1,GRP_LOCATION,LOCATION_LAT,10.0
ZZ-Ccc,2,GRP_LOCATION,LOCATION_LAT,10.5
ZZ-Ccc,2,GRP_LOCATION,LOCATION_LONG,20.5
ZZ-Ccc,2,GRP_LOCATION,LOCATION_ELEV,30
ZZ-Ccc,3,GRP_IGBP,IGBP,SAV
ZZ-Ccc,4,GRP_CLIM_AVG,MAT,26.85
ZZ-Ccc,4,GRP_CLIM_AVG,MAP,800
ZZ-Ccc,5,GRP_HEIGHTC,HEIGHTC,6
ZZ-Ccc,6,GRP_HEIGHTC,HEIGHTC,7
ZZ-Ccc,7,GRP_HEIGHTC,HEIGHTC,0.4
ZZ-Ccc,8,GRP_UTC_OFFSET,UTC_OFFSET,-7
ZZ-Ccc,9,GRP_TEAM,TEAM_MEMBER_NAME,"Doe, J."
"""


@pytest.fixture(autouse=True)
def own(monkeypatch, tmp_path):
    monkeypatch.setenv("BOWEN_CACHE", str(tmp_path / "own"))


@pytest.fixture
def lines():
    return []


def file(folder, text, name="table.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_table_of_sites(tmp_path, lines):
    assert add_sites(file(tmp_path, WIDE), lines.append) == ["BE-Vie", "ZZ-Aaa", "ZZ-Bbb"]
    assert lines == []
    known = load_known_sites()
    assert known["ZZ-Aaa"] == {
        "name": "Grove, the",
        "country": "Nowhere",
        "igbp": "ENF",
        "latitude": 50.5,
        "longitude": 6.0,
        "elevation": 500.0,
        "canopy_height": 20.0,
        "mean_annual_temperature": 280.0,
        "annual_precipitation": 1000.0,
    }
    assert "annual_precipitation" not in known["ZZ-Bbb"]
    assert known["BE-Vie"]["reference_height"] == 40.0 and known["BE-Vie"]["latitude"] == 50.3049


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_of_sites_as_fluxdatakit_and_spreadsheets_write_it(tmp_path, lines, separator):
    text = "sitename,lon,lat,elv,name,canopy_height,reference_height,igbp_land_use\n"
    text = text.replace(
        ",", separator
    ) + "ZZ-Ddd,8.25,-47.5,510.5,Far,12.5,18,MF\nZZ-Eee,-3.4,40.2,NA,Dry,0.3,3,GRA\n".replace(",", separator)
    text = text.replace(".", ",") if separator == ";" else text
    assert add_sites(file(tmp_path, text), lines.append) == ["ZZ-Ddd", "ZZ-Eee"]
    known = load_known_sites()
    assert (known["ZZ-Ddd"]["latitude"], known["ZZ-Ddd"]["elevation"], known["ZZ-Ddd"]["igbp"]) == (-47.5, 510.5, "MF")
    assert "elevation" not in known["ZZ-Eee"] and lines == []


@pytest.mark.parametrize("header", ["place,lat,lon,igbp", "tower,where,biome"])
def test_a_table_without_sites_is_named(tmp_path, header):
    with pytest.raises(
        DataError, match=r"has no column for site.*\n  looked for: site, site_id, .*\n.*\n  fix: rename"
    ):
        add_sites(file(tmp_path, f"{header}\nZZ-Ddd,1,2,MF\n"))


def test_a_table_in_rows_of_values(tmp_path, lines):
    assert add_sites(file(tmp_path, "\ufeff" + LONG), lines.append) == ["ZZ-Ccc"]
    assert load_known_sites()["ZZ-Ccc"] == {
        "igbp": "SAV",
        "latitude": 10.5,
        "longitude": 20.5,
        "elevation": 30.0,
        "canopy_height": 7.0,
        "utc_offset_hours": -7.0,
        "mean_annual_temperature": 300.0,
        "annual_precipitation": 800.0,
    }


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (",50.5,", ",95,", "latitude `95`"),
        (",ENF,", ",PINE,", "igbp `PINE`"),
        (",6.85,", ",cold,", "temperature `cold`"),
    ],
)
def test_what_cannot_be_is_told_and_left_out(tmp_path, lines, old, new, told):
    add_sites(file(tmp_path, WIDE.replace(old, new)), lines.append)
    assert len(lines) == 1 and f"{told} is impossible and left out" in lines[0]


def test_a_tower_file_tells_of_its_site_but_not_what_was_assumed(tmp_path, lines):
    path = write_nc(tmp_path / "XX-Syn_Met.nc", plumber2_files()[0])
    assert add_sites(path, lines.append) == ["XX-Syn"]
    told = load_known_sites()["XX-Syn"]
    assert told["latitude"] == 50.0 and told["reference_height"] == 10.0 and "utc_offset_hours" not in told
    add_sites(file(tmp_path, "site,lat,lon,IGBP\nXX-Abc,50,15,GRA\n"), lines.append)
    record = write_csv(tmp_path / "FLX_XX-Abc_HH.csv", fluxnet_table())
    add_sites(record, lines.append)
    assert load_known_sites()["XX-Abc"] == {"igbp": "GRA", "latitude": 50.0, "longitude": 15.0}


def test_a_record_takes_its_place_from_the_users_table(tmp_path, lines):
    record = write_csv(tmp_path / "FLX_XX-Abc_HH.csv", fluxnet_table())
    with pytest.raises(DataError, match="bowen sites --add"):
        read(record)
    add_sites(file(tmp_path, "site,name,lat,lon,IGBP,MAT\nXX-Abc,Here,50,15,GRA,9\n"), lines.append)
    attrs = read(record).attrs
    assert (attrs["latitude"], attrs["igbp"]) == (50.0, "GRA")
    assert not {"name", "mean_annual_temperature"} & set(attrs), "what chooses sites is not in records"


def test_the_caller_rules_over_the_file_the_users_table_and_the_packages(tmp_path, lines):
    add_sites(file(tmp_path, "site,lat,lon,elev,canopy_height\nBE-Vie,51,6,500,30\n"), lines.append)
    site, _ = complete_site_metadata({"site": "BE-Vie", "elevation": 490.0}, {"latitude": 52.0}, "file")
    assert (site["latitude"], site["elevation"], site["longitude"], site["canopy_height"]) == (52.0, 490.0, 6.0, 30.0)
    assert (site["igbp"], site["reference_height"]) == ("MF", 40.0)


def test_what_was_known_stays(tmp_path, lines):
    add_sites(file(tmp_path, WIDE), lines.append)
    add_sites(file(tmp_path, "site,lat,lon\nZZ-Aaa,51,6\n"), lines.append)
    known = load_known_sites()
    assert known["ZZ-Aaa"]["latitude"] == 51.0 and known["ZZ-Aaa"]["canopy_height"] == 20.0 and "ZZ-Bbb" in known


def test_a_spoiled_table_is_told_and_not_overwritten(tmp_path, lines):
    get_user_sites_path().parent.mkdir()
    get_user_sites_path().write_text("[towers\n")
    with pytest.raises(ConfigError, match=r"sites.toml: cannot be read as TOML"):
        add_sites(file(tmp_path, WIDE), lines.append)
    assert get_user_sites_path().read_text() == "[towers\n"
    get_user_sites_path().write_text("[towers]\nZZ-Aaa = { latitudes = 3.0 }\n")
    with pytest.raises(ConfigError, match=r"sites.toml, ZZ-Aaa: unknown key `latitudes` .*\n  nearest: latitude"):
        list_sites()
    get_user_sites_path().write_text("towers = 3\n")
    with pytest.raises(ConfigError, match=r"must be a table \[towers\]"):
        list_sites()


def test_any_name_can_be_written(tmp_path, lines):
    name = 'a "b" \\ \x7f \u00e9 \U0001f332'
    add_sites(file(tmp_path, 'site,name,lat,lon\nZZ-Aaa,"' + name.replace('"', '""') + '",1,2\n'), lines.append)
    assert tomllib.loads(get_user_sites_path().read_text(encoding="utf-8"))["towers"]["ZZ-Aaa"]["name"] == name


@pytest.mark.parametrize("text", ["site,lat,lon\n", "SITE_ID,VARIABLE,DATAVALUE\n"])
def test_a_table_without_sites(tmp_path, lines, text):
    with pytest.raises(DataError, match="has no metadata of any site"):
        add_sites(file(tmp_path, text), lines.append)


def test_a_file_that_is_not_there(tmp_path, lines):
    with pytest.raises(DataError, match="cannot be opened"):
        add_sites(tmp_path / "nowhere.csv", lines.append)


def test_sites_by_class_and_distance(tmp_path, lines):
    assert {entry["igbp"] for entry in list_sites("EBF")} == {"EBF"}
    near = list_sites(near=(50.3, 6.0, 300.0))
    assert [entry["site"] for entry in near] == ["BE-Vie", "FR-Hes"]
    assert near[0]["distance"] < 1.0 and near[1]["distance"] == pytest.approx(196.0, abs=2.0)
    assert [entry["site"] for entry in list_sites("MF", (50.3, 6.0, 300.0))] == ["BE-Vie"]
    add_sites(file(tmp_path, "site,lat,lon\nZZ-Aaa,0,179.9\n"), lines.append)
    assert [entry["site"] for entry in list_sites(near=(0.0, -179.9, 50.0))] == ["ZZ-Aaa"]


def test_a_class_or_a_place_that_is_not(tmp_path):
    with pytest.raises(ConfigError, match="`PINE` is not an IGBP"):
        list_sites("PINE")
    with pytest.raises(ConfigError, match="no place has latitude 95"):
        list_sites(near=(95.0, 0.0, 10.0))

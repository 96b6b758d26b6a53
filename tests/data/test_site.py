from pathlib import Path

import numpy as np
import pytest

from bowen.config.schema import parse
from bowen.data import read_site_file
from bowen.data.site_metadata import complete_site_metadata, find_site_identifier
from bowen.data.time_axis import make_regular_axis
from bowen.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("name", "site"),
    [
        ("FLX_BE-Vie_FLUXNET2015_FULLSET_HH_1996-2014_1-4.csv", "BE-Vie"),
        ("AMF_US-Me2_FLUXNET_FULLSET_HH_2002-2021_3-5.csv.xz", "US-Me2"),
        ("DK-Fou_2005-2005_FLUXNET2015_Met.nc", "DK-Fou"),
        ("my_tower.csv.gz", "my_tower"),
        ("AVIS-Data.csv", "AVIS-Data"),
    ],
)
def test_the_site_in_a_file_name(name, site):
    assert find_site_identifier(Path(name)) == site


def test_the_caller_rules_over_the_file_and_the_file_over_the_table():
    site, _ = complete_site_metadata(
        {"site": "BE-Vie", "elevation": 490.0, "igbp": "DBF"}, {"igbp": "MF", "latitude": 50}, "file"
    )
    assert (site["igbp"], site["elevation"], site["latitude"], site["longitude"]) == ("MF", 490.0, 50.0, 5.9981)


def test_a_site_file(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text('site = "XX-Syn"\nlatitude = 50\nigbp = "GRA"\n')
    assert read_site_file(path) == {"site": "XX-Syn", "latitude": 50.0, "igbp": "GRA"}
    path.write_text("latitude 50")
    with pytest.raises(ConfigError, match=r"site.toml: cannot be read as TOML"):
        read_site_file(path)
    path.write_text("refrence_height = 50.0")
    with pytest.raises(
        ConfigError, match=r"site.toml: unknown key `refrence_height` for a site.\n  nearest: reference_height"
    ):
        read_site_file(path)
    with pytest.raises(ConfigError, match=r"nowhere.toml: cannot be read"):
        read_site_file(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("start", "first"),
    [
        ("2012-02-20T00:00:12", "2012-02-20T00:00"),
        ("2012-02-19T23:59:40", "2012-02-20T00:00"),
        ("2012-02-20T00:07", "2012-02-20T00:07"),
    ],
)
def test_only_rounding_is_undone(start, first):
    assert make_regular_axis(np.datetime64(start), 1800, 3)[0] == np.datetime64(first)


PLACE = {"site": "XX-Abc", "latitude": 50.0, "longitude": 6.0, "igbp": "GRA"}
IMPOSSIBLE = [
    ("latitude", 200.0),
    ("longitude", -181.0),
    ("elevation", 1e7),
    ("elevation", -600.0),
    ("utc_offset_hours", 1e6),
    ("reference_height", 0.0),
    ("canopy_height", 140.0),
    ("canopy_height", float("nan")),
    ("elevation", float("inf")),
]


@pytest.mark.parametrize(("name", "value"), IMPOSSIBLE)
def test_impossible_numbers_of_a_site_are_refused_where_they_enter(tmp_path, monkeypatch, name, value):
    what = rf"{name} is .*, and must be between .*\n  fix: "
    with pytest.raises(DataError, match=rf"a.nc: {what}"):
        complete_site_metadata({**PLACE, name: value}, None, "a.nc")
    with pytest.raises(DataError, match=what):
        complete_site_metadata(PLACE, {name: value}, "a.nc")
    (tmp_path / "site.toml").write_text(f"{name} = {value}\n")
    with pytest.raises(ConfigError, match=rf"site.toml: {what}"):
        read_site_file(tmp_path / "site.toml")
    monkeypatch.setattr("bowen.data.site_metadata.get_user_sites_path", lambda: tmp_path / "sites.toml")
    (tmp_path / "sites.toml").write_text(f"[towers]\nXX-Abc = {{ {name} = {value} }}\n")
    with pytest.raises(ConfigError, match=rf"sites.toml, XX-Abc: {what}"):
        complete_site_metadata(PLACE, None, "a.nc")
    with pytest.raises(ConfigError, match=name):
        parse({"data": {"met": "a.nc", name: value}}, where="run.toml")


def test_a_canopy_above_the_instruments_is_refused_by_a_configuration():
    heights = {"canopy_height": 30.0, "reference_height": 20.0}
    with pytest.raises(ConfigError, match=r"instruments \(20 m\) must be above the canopy \(30 m\)"):
        parse({"data": {"met": "a.nc", **heights}}, where="run.toml")


@pytest.mark.parametrize(
    ("table", "name", "value"),
    [
        ("training", "updates", 10**30),
        ("training", "window_days", 10**30),
        ("training", "spin_up_years", 10**9),
        ("training", "windows_per_site", 10**30),
        ("training", "water_weight", 1e300),
        ("split", "days", 10**30),
    ],
)
def test_counts_without_measure_are_refused(table, name, value):
    settings = {"kind": "blocks", name: value} if table == "split" else {name: value}
    with pytest.raises(ConfigError, match=rf"`{name}` = "):
        parse({"data": {"met": "a.nc"}, table: settings}, where="run.toml")


@pytest.mark.parametrize(
    ("text", "igbp"),
    [
        ("Evergreen Needleleaf Forest", "ENF"),
        ("Deciduous Broadleaf Forests", "DBF"),
        ("cropland/natural vegetation mosaics", "CVM"),
        ("Woody Savannas", "WSA"),
        ("Grasslands (IGBP)", "GRA"),
        ("Urban and Built-Up Lands", "URB"),
        ("Water Bodies", "WAT"),
        ("mf", "MF"),
    ],
)
def test_classes_by_their_names(text, igbp):
    assert complete_site_metadata({**PLACE, "igbp": text}, None, "a.nc")[0]["igbp"] == igbp

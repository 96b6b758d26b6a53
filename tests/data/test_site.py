from pathlib import Path

import numpy as np
import pytest

from bowen.data import read_site_file
from bowen.data.site_metadata import complete_site_metadata, find_site_identifier
from bowen.data.time_axis import make_regular_axis
from bowen.errors import ConfigError


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

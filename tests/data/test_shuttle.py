"""The FLUXNET Shuttle is stood for by a module with its two functions and its known faults."""

import asyncio
import csv
import io
import os
import sys
import time
import types
import zipfile
from pathlib import Path

import pytest

from bowen.data import fetch_fluxnet, list_fluxnet_sites
from bowen.errors import ConfigError, DataError

FIELDS = ("data_hub", "site_id", "site_name", "download_link", "fluxnet_product_name", "product_citation")
ROWS = (
    ("ICOS", "CH-Dav", "Davos", "https://example.org/dav", "ICOSETC_CH-Dav_FLUXNET_1997-2020_v1.3_r1.zip", "Hörtnagl"),
    (
        "AmeriFlux",
        "CA-Gro",
        "Groundhog River, Ontario",
        "https://x.org/a,b",
        "AMF_CA-Gro_FLUXNET_v1.zip",
        "McCaughey, H.",
    ),
)


def archive():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("FLX_FLUXMET_HH.csv", "TIMESTAMP_START\n" * 100)
    return buffer.getvalue()


class Shuttle(types.ModuleType):
    """As the package of December 2025: it splits lines at commas, and wants an idle event loop."""

    def __init__(self):
        super().__init__("fluxnet_shuttle")
        self.content, self.problem, self.listings, self.links = archive(), None, 0, []

    def listall(self, data_hubs=None, output_dir="."):
        self._begin()
        self.listings += 1
        path = os.path.join(output_dir, "fluxnet_shuttle_snapshot_20260101T000000.csv")
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\r\r\n")  # as it comes out on Windows
            writer.writerow(FIELDS)
            writer.writerows(ROWS)
        return path

    def download(self, site_ids=None, snapshot_file="", output_dir="."):
        self._begin()
        lines = [line.strip().split(",") for line in Path(snapshot_file).read_text(encoding="utf-8").splitlines()]
        sites = {line[1]: dict(zip(lines[0], line, strict=True)) for line in lines[1:]}
        made = []
        for site in site_ids or []:
            self.links.append(sites[site]["download_link"])
            made.append(os.path.join(output_dir, sites[site]["fluxnet_product_name"]))
            Path(made[-1]).write_bytes(self.content)
        return made

    def _begin(self):
        if asyncio.get_event_loop().is_running():
            raise RuntimeError("a coroutine came back")
        if self.problem:
            raise RuntimeError(self.problem)


@pytest.fixture
def shuttle(monkeypatch):
    shuttle = Shuttle()
    monkeypatch.setitem(sys.modules, "fluxnet_shuttle", shuttle)
    return shuttle


def test_without_the_package_there_is_a_hint(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "fluxnet_shuttle", None)
    with pytest.raises(ConfigError, match=r"fix: pip install git.https://github.com/fluxnet/shuttle"):
        fetch_fluxnet("CH-Dav", tmp_path, report=lambda line: None)


@pytest.mark.parametrize(("site", "cited"), [("CH-Dav", "Hörtnagl"), ("CA-Gro", "McCaughey, H.")])
def test_a_site_comes_even_with_a_comma_in_its_name(shuttle, tmp_path, site, cited):
    lines = []
    path = fetch_fluxnet(site, tmp_path, lines.append)
    assert path.read_bytes() == shuttle.content and path.parent == tmp_path / "fluxnet" / site
    assert sorted(entry.name for entry in path.parent.iterdir()) == sorted([path.name, "CITATION.txt", "SHA256SUMS"])
    assert cited in (path.parent / "CITATION.txt").read_text(encoding="utf-8")
    assert "," not in shuttle.links[0]
    shuttle.problem = "off-line"
    assert fetch_fluxnet(site, tmp_path, lines.append) == path


def test_the_list_is_kept_for_a_week(shuttle, tmp_path):
    told = list_fluxnet_sites(tmp_path, report=lambda line: None)
    assert told["CA-Gro"]["site_name"] == "Groundhog River, Ontario"
    list_fluxnet_sites(tmp_path)
    assert shuttle.listings == 1
    old = time.time() - 8 * 86400
    os.utime(tmp_path / "fluxnet" / "sites.csv", (old, old))
    list_fluxnet_sites(tmp_path, report=lambda line: None)
    assert shuttle.listings == 2


def test_an_unknown_site_is_looked_for_in_a_new_list(shuttle, tmp_path):
    with pytest.raises(ConfigError, match=r"`CH-Daw` is not one of the 2 sites of the shuttle.\n  nearest: CH-Dav"):
        fetch_fluxnet("CH-Daw", tmp_path, report=lambda line: None)
    assert shuttle.listings == 2


@pytest.mark.parametrize("content", [b"<html>", archive()[:-30], archive().replace(b"TIMESTAMP", b"TIMESTOMP", 1)])
def test_what_is_damaged_is_not_kept(shuttle, tmp_path, content):
    shuttle.content = content
    with pytest.raises(DataError, match=r"(?s)the download is damaged .* and was discarded"):
        fetch_fluxnet("CH-Dav", tmp_path, report=lambda line: None)
    assert list((tmp_path / "fluxnet" / "CH-Dav").iterdir()) == []


def test_its_last_words_are_told(shuttle, tmp_path):
    shuttle.problem = "502 from the hub"
    with pytest.raises(DataError, match=r"(?s)could not list the sites.*502 from the hub.*fix"):
        fetch_fluxnet("CH-Dav", tmp_path, report=lambda line: None)


def test_it_works_where_an_event_loop_is_busy(shuttle, tmp_path):
    async def notebook():
        return fetch_fluxnet("CH-Dav", tmp_path, report=lambda line: None)

    assert asyncio.run(notebook()).exists()


def test_a_file_that_changed_is_fetched_anew_if_it_is_the_first_again(shuttle, tmp_path):
    path = fetch_fluxnet("CH-Dav", tmp_path, report=lambda line: None)
    path.write_bytes(b"changed")
    assert fetch_fluxnet("CH-Dav", tmp_path, report=lambda line: None).read_bytes() == shuttle.content
    path.unlink()
    shuttle.content = archive().replace(b"FLX", b"FLY")
    with pytest.raises(DataError, match="not that of the first download"):
        fetch_fluxnet("CH-Dav", tmp_path, report=lambda line: None)
    assert not path.exists()


def test_an_address_of_a_file_is_not_passed_on(shuttle, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROWS", [(*ROWS[0][:3], "file:///etc/hostname", *ROWS[0][4:])])
    with pytest.raises(DataError, match="no address of a download"):
        fetch_fluxnet("CH-Dav", tmp_path, report=lambda line: None)
    assert shuttle.links == []

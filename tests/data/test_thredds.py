import hashlib

import pytest

from bowen.data import fetch_plumber2, list_plumber2_sites, read
from bowen.errors import ConfigError, DataError
from tests.data.files import plumber2_files, write_nc
from tests.data.server import Server

CATALOG = """<?xml version="1.0" encoding="UTF-8"?>
<catalog xmlns="http://www.unidata.ucar.edu/namespaces/thredds/InvCatalog/v1.0" version="1.2">
  <service name="http" serviceType="HTTPServer" base="/thredds/fileServer/" />
  <dataset name="Met" ID="PLUMBER2/Met">
    <dataset name="AU-Syn_2012-2012_OzFlux_Met.nc" urlPath="PLUMBER2/Met/AU-Syn_2012-2012_OzFlux_Met.nc">
      <dataSize units="Mbytes">5.8</dataSize></dataset>
    <dataset name="XX-Syn_2012-2012_FLUXNET2015_Met.nc" urlPath="PLUMBER2/Met/XX-Syn_2012-2012_FLUXNET2015_Met.nc" />
    <dataset name="readme.txt" urlPath="PLUMBER2/Met/readme.txt" />
  </dataset>
</catalog>
"""


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("contents")
    files = zip(("Met", "Flux"), plumber2_files(), strict=True)
    return {kind: write_nc(folder / f"{kind}.nc", file).read_bytes() for kind, file in files}


@pytest.fixture
def server(contents):
    server = Server()
    stem = "AU-Syn_2012-2012_OzFlux"
    server.files = {f"/thredds/fileServer/P2/{kind}/{stem}_{kind}.nc": contents[kind] for kind in contents}
    server.files["/thredds/catalog/P2/Met/catalog.xml"] = CATALOG.encode()
    yield server
    server.close()


@pytest.fixture
def options(server, tmp_path):
    lines = []
    return {"cache": tmp_path, "server": f"{server.url}/thredds/fileServer/P2/", "report": lines.append, "pause": 0.0}


def test_the_sites_are_asked_for_once(server, options):
    expected = {"AU-Syn": "AU-Syn_2012-2012_OzFlux", "XX-Syn": "XX-Syn_2012-2012_FLUXNET2015"}
    assert list_plumber2_sites(**options) == list_plumber2_sites(**options) == expected
    assert len(server.requests) == 1


def test_both_files_come_and_can_be_read(server, options, contents):
    server.faults = [None, ("drop", 9_000), None, ("status", 503), ("drop", 5_000)]
    seen = []
    met, flux = fetch_plumber2("AU-Syn", **options, watch=lambda *what: seen.append(what))
    assert (met.read_bytes(), flux.read_bytes()) == (contents["Met"], contents["Flux"])
    assert "latent_heat" in read(met, flux)
    assert {name for name, *_ in seen} == {met.name, flux.name}
    assert {path.name for path in met.parent.iterdir()} == {met.name, flux.name, "CITATION.txt", "SHA256SUMS"}
    told = (met.parent / "CITATION.txt").read_text()
    for word in ("AU-Syn", "10.25914/5fdb0902607e1", "Ukkola", "10.5194/essd-14-449-2022", "OzFlux", "Beringer"):
        assert word in told


def test_what_is_there_is_not_fetched_again_and_needs_no_network(server, options):
    first = fetch_plumber2("AU-Syn", **options)
    server.close()
    assert fetch_plumber2("AU-Syn", **options) == first


def test_a_damaged_file_is_fetched_anew(server, options, contents):
    met, _ = fetch_plumber2("AU-Syn", **options)
    met.write_bytes(met.read_bytes()[:-1])
    before = len(server.requests)
    fetch_plumber2("AU-Syn", **options)
    assert met.read_bytes() == contents["Met"] and len(server.requests) == before + 1


def test_the_sums_are_those_that_sha256sum_writes(options, contents):
    met, flux = fetch_plumber2("AU-Syn", **options)
    sums = dict(line.split("  ")[::-1] for line in (met.parent / "SHA256SUMS").read_text().splitlines())
    assert sums == {
        met.name: hashlib.sha256(contents["Met"]).hexdigest(),
        flux.name: hashlib.sha256(contents["Flux"]).hexdigest(),
    }


def test_an_unknown_site(options):
    with pytest.raises(ConfigError, match=r"`AU-Sym` is not one of the 2 sites of PLUMBER2.\n  nearest: AU-Syn"):
        fetch_plumber2("AU-Sym", **options)


def test_a_file_that_the_server_lost(server, options):
    with pytest.raises(DataError, match=r"(?s)XX-Syn_2012-2012_FLUXNET2015_Met.nc.*404.*fix"):
        fetch_plumber2("XX-Syn", **options)


def test_a_page_in_place_of_the_data(server, options):
    server.faults = [None, ("page",)]
    with pytest.raises(DataError, match="a login page"):
        fetch_plumber2("AU-Syn", **options)


@pytest.mark.parametrize("content", [b"<html><br></html>", b"<catalog/>"])
def test_a_server_without_plumber2(server, options, content, tmp_path):
    server.files["/thredds/catalog/P2/Met/catalog.xml"] = content
    with pytest.raises(DataError, match="check that it is a THREDDS server with PLUMBER2"):
        list_plumber2_sites(**options)
    assert not (tmp_path / "plumber2" / "catalog.xml").exists()


def test_the_environment_names_a_mirror(server, options, monkeypatch):
    monkeypatch.setenv("BOWEN_PLUMBER2", options.pop("server"))
    assert "AU-Syn" in list_plumber2_sites(**options)


def test_another_file_than_the_first_is_not_taken(server, options, contents):
    met, _ = fetch_plumber2("AU-Syn", **options)
    met.unlink()
    server.files = {path: content + b"!" for path, content in server.files.items() if "catalog" not in path} | {
        path: content for path, content in server.files.items() if "catalog" in path
    }
    with pytest.raises(DataError, match="its hash differs"):
        fetch_plumber2("AU-Syn", **options)
    assert not met.exists()


def test_a_name_in_the_catalog_that_is_a_path_is_left_out(server, options):
    server.files["/thredds/catalog/P2/Met/catalog.xml"] = CATALOG.replace("AU-Syn", "..").encode()
    assert list(list_plumber2_sites(**options)) == ["XX-Syn"]

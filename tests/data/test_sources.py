"""Files as they come from networks, browsers, spreadsheets and macOS: read, or named for what they are."""

import gzip
import io
import lzma
import tarfile
import zipfile

import pytest

from bowen.data import read
from bowen.data.readers.archive import pair_files
from bowen.errors import DataError
from tests.data.files import SITE, fluxnet_table, plumber2_files, write_csv, write_nc

NAME = "FLX_XX-Syn_FLUXNET2015_FULLSET_HH_2012-2012_1-4.csv"
SITEINFO = (
    "SITE_ID,GROUP_ID,VARIABLE_GROUP,VARIABLE,DATAVALUE\n"
    "XX-Syn,1,GRP_LOCATION,LOCATION_LAT,50.2\n"
    "XX-Syn,1,GRP_LOCATION,LOCATION_LONG,15.1\n"
    "XX-Syn,2,GRP_IGBP,IGBP,DBF\n"
    "XX-Syn,3,GRP_UTC,UTC_OFFSET,1.0\n"
    "XX-Syn,4,GRP_HEIGHTC,HEIGHTC,19.0\n"
    "XX-Syn,5,GRP_VAR_INFO,VAR_INFO_VARNAME,WS\n"
    "XX-Syn,5,GRP_VAR_INFO,VAR_INFO_HEIGHT,31.0\n"
)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return write_csv(tmp_path_factory.mktemp("text") / NAME, fluxnet_table()).read_text()


def packed(members):
    """The bytes of a ZIP archive."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return raw.getvalue()


@pytest.mark.parametrize("name", ["FLX_XX-Syn_FULLSET.zip?=fluxnetshuttle", "licence_accept?ids=%5B%22Xy0%22%5D"])
def test_an_archive_with_the_name_of_a_download_is_one(tmp_path, text, name):
    (tmp_path / name).write_bytes(packed({NAME: text}))
    (tmp_path / "README").write_text("nothing")
    (tmp_path / "AMF_XX-Oth_BIF_20240401.xlsx").write_bytes(packed({"xl/workbook.xml": "x"}))
    for path in (tmp_path / name, tmp_path):
        assert read(path, site=SITE).sizes["time"] == 768


@pytest.mark.parametrize("folder", [True, False])
def test_the_metadata_of_icos_are_read(tmp_path, text, folder):
    members = {
        "ICOSETC_XX-Syn_FLUXNET_HH_L2.csv": text,
        "ICOSETC_XX-Syn_METEO_L2.csv": "TIMESTAMP_START,TA\n",
        "ICOSETC_XX-Syn_SITEINFO_L2.csv": SITEINFO,
        "ICOSETC_XX-Syn_VARINFO_FLUXNET_HH_L2.csv": SITEINFO.replace("50.2", "-9999"),
    }
    path = tmp_path / "ICOSETC_XX-Syn_ARCHIVE_L2.zip"
    path.write_bytes(packed(members))
    if folder:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path / "b")
    found = read(tmp_path / "b" if folder else path).attrs
    assert (found["latitude"], found["longitude"], found["igbp"], found["utc_offset_hours"]) == (50.2, 15.1, "DBF", 1.0)
    assert (found["canopy_height"], found["reference_height"]) == (19.0, 31.0)


def test_an_archive_of_archives_is_named(tmp_path):
    (tmp_path / "release.zip").write_bytes(packed({"ICOSETC_XX-Syn_ARCHIVE_L2.zip": packed({"a.csv": "b,c\n"})}))
    with pytest.raises(DataError, match=r"is an archive of archives \(ICOSETC_XX-Syn_ARCHIVE_L2.zip\).\n  fix: unpack"):
        read(tmp_path / "release.zip")


def test_metadata_of_macos_are_no_records(tmp_path, text):
    ghost = b"\0\5\x16\7\0\2\0\0Mac OS X"
    (tmp_path / "XX-Syn.zip").write_bytes(packed({NAME: text, f"__MACOSX/._{NAME}": ghost}))
    assert read(tmp_path / "XX-Syn.zip", site=SITE).sizes["time"] == 768
    tower = tmp_path / "tower"
    tower.mkdir()
    for end, dataset in zip(("Met", "Flux"), plumber2_files(), strict=True):
        write_nc(tower / f"XX-Syn_2012-2012_{end}.nc", dataset)
        (tower / f"._XX-Syn_2012-2012_{end}.nc").write_bytes(ghost)
    assert "latent_heat" in read(tower)
    assert [met.name for met, _ in pair_files([tower])] == ["XX-Syn_2012-2012_Met.nc"]


SPREADSHEETS = {
    "xlsx": packed({"[Content_Types].xml": "x", "xl/workbook.xml": "x", "xl/worksheets/sheet1.xml": "x"}),
    "ods": packed({"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": "x"}),
    "xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
}


@pytest.mark.parametrize("kind", SPREADSHEETS)
def test_a_spreadsheet_is_named(tmp_path, kind):
    (tmp_path / f"tower.{kind}").write_bytes(SPREADSHEETS[kind])
    with pytest.raises(DataError, match=rf"tower.{kind}: is a spreadsheet.\n  fix: save the sheet .* as CSV"):
        read(tmp_path / f"tower.{kind}")


def tar(text):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        member = tarfile.TarInfo(NAME)
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text.encode()))
    return raw.getvalue()


@pytest.mark.parametrize(
    ("suffix", "pack"), [("tar", bytes), ("tar.gz", gzip.compress), ("tgz", gzip.compress), ("tar.xz", lzma.compress)]
)
def test_a_tar_archive_is_named(tmp_path, text, suffix, pack):
    path = tmp_path / f"FLUXNET.{suffix}"
    path.write_bytes(pack(tar(text)))
    with pytest.raises(DataError, match=rf"FLUXNET.{suffix}: is a TAR archive.\n  fix: unpack it first"):
        read(path, site=SITE)

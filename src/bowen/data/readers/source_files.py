"""Search for the files of a tower in a folder or an archive: the record, its flux file, and its site metadata."""

import glob
import re
from pathlib import Path
from typing import Any

from bowen.data.readers.bif import read_bif
from bowen.data.readers.text_files import SourceFile, open_unpacked
from bowen.data.site_metadata import find_site_identifier
from bowen.errors import DataError
from bowen.files import UNREADABLE, open_file, open_zip

_TABLE = re.compile(r"\.(csv|txt|dat)(\.(xz|gz))?$", re.IGNORECASE)
_NOT_THE_RECORD = re.compile(r"(ERA5|ERAI|_BIF|VARINFO|_AUX|SITEINFO|README|_(DD|WW|MM|YY)_)", re.IGNORECASE)
_BEST_FIRST = (r"FULLSET_H[HR]", r"FLUXMET_H[HR]", r"FLUXNET_H[HR]", r"SUBSET_H[HR]", r"BASE_H[HR]", r"_H[HR]_", r"")
_METADATA = re.compile(r"(_BIF_|_SITEINFO_).*\.(csv|xlsx)$", re.IGNORECASE)  # SITEINFO of ICOS has the columns of BIF
_ZIP, _OLD_SPREADSHEET = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_OTHER_ARCHIVES = {b"7z\xbc\xaf": "a 7-Zip archive", b"Rar!": "a RAR archive"}
_TAR_MARK, _TAR_PLACE = b"ustar", 257  # of POSIX archives
_ALL_SITES = "AA-"  # AmeriFlux ships one such file for all of its towers
_FLUX_FILE_NAMES = (("_Met", "_Flux"), ("forcings", "fluxes"))  # difference of names between weather and fluxes


def find_record_file(path: Path) -> SourceFile:
    """Find the file with the record of a tower.

    Args:
        path: The file itself, a network's .zip, or a folder with the files of one tower.

    Returns:
        The half-hourly or hourly record; of several products of one tower the fullest.

    Raises:
        DataError: There is no such file, the archive is damaged, or no file or several files qualify.
    """
    return _record(_held(path), path)


def _held(path: Path) -> list[SourceFile]:
    """List the files in a folder or archive, or the file itself."""
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if file.is_file()]
        return [SourceFile(file) for file in files if not is_macos_metadata(file.relative_to(path))]
    if not _is_zip(SourceFile(path)):
        _refuse_other_kinds(path)
        return [SourceFile(path)]
    try:
        with open_file(path) as file, open_zip(file) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            names = [name for name in names if not is_macos_metadata(Path(name))]
    except UNREADABLE as problem:
        raise DataError(
            path.name,
            f"is damaged, truncated or no archive and cannot be read to its end ({problem})",
            fix="get it again",
        ) from problem
    if any(name.startswith(("xl/", "content.xml")) for name in names):
        raise _spreadsheet_error(path)
    return [SourceFile(path, name) for name in names]


def is_macos_metadata(file: Path) -> bool:
    """Check for a file that macOS adds to archives and folders, such as `__MACOSX/._FLX_XX-Abc.csv`."""
    return any(part.startswith(("__MACOSX", "._")) for part in file.parts)


def _is_zip(source: SourceFile) -> bool:
    return source.name.lower().endswith(".zip") or read_first_bytes(source) == _ZIP


def _refuse_other_kinds(path: Path) -> None:
    """Refuse spreadsheets and archives that are not read, by their first bytes."""
    first = read_first_bytes(SourceFile(path))
    if first == _OLD_SPREADSHEET:
        raise _spreadsheet_error(path)
    kind = _OTHER_ARCHIVES.get(first)
    with open_unpacked(SourceFile(path)) as file:
        if file.read(_TAR_PLACE + len(_TAR_MARK)).endswith(_TAR_MARK):
            kind = "a TAR archive"
    if kind:
        raise DataError(path.name, f"is {kind}", fix=f"unpack it first (`tar -xf {path.name}`), and pass the folder")


def _spreadsheet_error(path: Path) -> DataError:
    return DataError(path.name, "is a spreadsheet", fix="save the sheet with the record as CSV, and pass that file")


def _record(held: list[SourceFile], path: Path) -> SourceFile:
    """Select the file with the record, the best product if there are several of one tower."""
    if held == [SourceFile(path)]:
        return held[0]
    netcdf = [source for source in held if source.name.endswith(("_Met.nc", "_Met.nc4"))]
    tables = [source for source in held if is_text_table(source.name)]
    tables = [source for source in tables if _FLUX_FILE_NAMES[1][1] not in source.name] or tables
    for pattern in _BEST_FIRST:
        fitting = netcdf or [source for source in tables if re.search(pattern, source.name)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            break
    else:
        fitting = []
    inner = [source for source in held if source.member and source.name.lower().endswith(".zip")]
    if inner and not fitting:
        names = ", ".join(source.name for source in inner[:3]) + (", …" if len(inner) > 3 else "")
        raise DataError(path.name, f"is an archive of archives ({names})", fix="unpack it first, and pass one of these")
    others = [source for source in held if not (fitting or source.member or _NOT_THE_RECORD.search(source.name))]
    archives = [source for source in others if ".zip" in source.name.lower()] or [s for s in others if _is_zip(s)]
    if len(archives) == 1:
        return _record(_held(archives[0].path), archives[0].path)
    candidates = [source.name for source in fitting or archives]
    raise DataError(
        path.name,
        f"has {len(candidates)} possible files ({', '.join(candidates) or 'no table'})",
        fix="pass the half-hourly or hourly file of one tower; save spreadsheets as CSV, and unpack other archives",
    )


def is_text_table(name: str) -> bool:
    """Check that a file of this name may be a record as text table."""
    return bool(_TABLE.search(name)) and not _NOT_THE_RECORD.search(name)


def find_flux_file(main: SourceFile) -> Path | None:
    """Find the file with the fluxes next to the weather, under its usual name."""
    for of_weather, of_fluxes in _FLUX_FILE_NAMES:
        before, found, after = main.path.name.partition(of_weather)
        if found and not main.member:
            others = main.path.parent.glob(f"{glob.escape(before)}{of_fluxes}*{glob.escape(after)}")
            return min(others, key=lambda other: (len(other.name), other.name), default=None)
    return None


def find_site_metadata(main: SourceFile) -> dict[str, Any]:
    """Find site metadata in a BIF or SITEINFO file in the same archive or folder."""
    site = find_site_identifier(main.path, main.name)
    beside = (
        _held(main.path)
        if main.member
        else [
            SourceFile(file) for file in sorted(main.path.parent.glob("*.*")) if not is_macos_metadata(Path(file.name))
        ]
    )
    for source in beside:
        if _METADATA.search(source.name) and (site in source.name or _ALL_SITES in source.name):
            return read_bif(source, site)
    return {}


def read_first_bytes(source: SourceFile) -> bytes:
    """Read the first four bytes of a file, which identify its kind."""
    try:
        with open_file(source.path) as handle:
            return handle.read(4)
    except OSError as problem:
        raise DataError(str(source.path), f"cannot be opened ({problem.strerror})", fix="check the path") from problem

"""Search for the files of a tower in a folder or an archive: the record, its flux file, and its site metadata."""

import glob
import re
from pathlib import Path
from typing import Any

from bowen.data.readers.bif import read_bif
from bowen.data.readers.text_files import SourceFile
from bowen.data.site_metadata import find_site_identifier
from bowen.errors import DataError
from bowen.files import UNREADABLE, open_file, open_zip

_TABLE = re.compile(r"\.(csv|txt|dat)(\.(xz|gz))?$", re.IGNORECASE)
_NOT_THE_RECORD = re.compile(r"(ERA5|ERAI|_BIF|VARINFO|_AUX|SITEINFO|README|_(DD|WW|MM|YY)_)", re.IGNORECASE)
_BEST_FIRST = (r"FULLSET_H[HR]", r"FLUXMET_H[HR]", r"FLUXNET_H[HR]", r"SUBSET_H[HR]", r"BASE_H[HR]", r"_H[HR]_", r"")
_METADATA = re.compile(r"_BIF_.*\.(csv|xlsx)$", re.IGNORECASE)
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
    try:
        if path.is_dir():
            return [SourceFile(file) for file in sorted(path.rglob("*")) if file.is_file()]
        if path.suffix.lower() == ".zip" or read_first_bytes(SourceFile(path)) == b"PK\x03\x04":
            with open_file(path) as file, open_zip(file) as archive:
                return [SourceFile(path, name) for name in archive.namelist() if not name.endswith("/")]
    except FileNotFoundError as problem:
        raise DataError(str(path), "no such file or folder", fix="check the path") from problem
    except UNREADABLE as problem:
        raise DataError(
            path.name,
            f"is damaged, truncated or no archive and cannot be read to its end ({problem})",
            fix="get it again",
        ) from problem
    return [SourceFile(path)]


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
    archives = [source for source in held if source.name.lower().endswith(".zip") and not source.member]
    if not fitting and len(archives) == 1:
        return _record(_held(archives[0].path), archives[0].path)
    candidates = [source.name for source in fitting or archives]
    raise DataError(
        path.name,
        f"has {len(candidates)} possible files ({', '.join(candidates) or 'no table'})",
        fix="pass the half-hourly or hourly file of one tower",
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
    """Find site metadata in a BIF file in the same archive or folder."""
    site = find_site_identifier(main.path, main.name)
    beside = (
        _held(main.path) if main.member else [SourceFile(file) for file in sorted(main.path.parent.glob("*_BIF_*"))]
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

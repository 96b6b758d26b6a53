"""Which file is meant: the record of a tower in a folder or an archive, its second file, and what tells of its site."""

import glob
import re
import zipfile
from pathlib import Path
from typing import Any

from bowen.data.readers.bif import read_bif
from bowen.data.readers.csv import Source
from bowen.data.site_metadata import site_of
from bowen.errors import DataError

_TABLE = re.compile(r"\.(csv|txt|dat)(\.(xz|gz))?$", re.IGNORECASE)
_NOT_THE_RECORD = re.compile(r"(ERA5|ERAI|_BIF|VARINFO|_AUX|SITEINFO|README|_(DD|WW|MM|YY)_)", re.IGNORECASE)
_BEST_FIRST = (r"FULLSET_H[HR]", r"FLUXMET_H[HR]", r"FLUXNET_H[HR]", r"SUBSET_H[HR]", r"BASE_H[HR]", r"_H[HR]_", r"")
_METADATA = re.compile(r"_BIF_.*\.(csv|xlsx)$", re.IGNORECASE)
_OF_A_NETWORK = "AA-"  # AmeriFlux ships one such file for all of its towers
_PARTNERS = (("_Met", "_Flux"), ("forcings", "fluxes"))  # of two files of a tower, how the names differ


def find(path: Path) -> Source:
    """The file with the record of a tower.

    Args:
        path: The file itself, a network's .zip, or a folder with the files of one tower.

    Returns:
        The half-hourly or hourly record; of several products of one tower the fullest.

    Raises:
        DataError: There is no such file, the archive is damaged, or none or several files might be meant.
    """
    return _record(_held(path), path)


def _held(path: Path) -> list[Source]:
    """The files that `path` stands for."""
    try:
        if path.is_dir():
            return [Source(file) for file in sorted(path.rglob("*")) if file.is_file()]
        if path.suffix.lower() == ".zip" or magic(Source(path)) == b"PK\x03\x04":
            with zipfile.ZipFile(path) as archive:
                return [Source(path, name) for name in archive.namelist() if not name.endswith("/")]
    except zipfile.BadZipFile as problem:
        raise DataError(
            f"{path.name}: cannot be read to its end ({problem}). It is damaged, cut or no archive: get it again."
        ) from problem
    return [Source(path)]


def _record(held: list[Source], path: Path) -> Source:
    """The one file with the record, the best product if there are several of one tower."""
    if held == [Source(path)]:
        return held[0]
    netcdf = [source for source in held if source.name.endswith(("_Met.nc", "_Met.nc4"))]
    tables = [source for source in held if is_table(source.name)]
    tables = [source for source in tables if _PARTNERS[1][1] not in source.name] or tables
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
        f"{path.name}: holds {len(candidates)} files that might be meant ({', '.join(candidates) or 'no table'}). "
        "Pass the half-hourly or hourly file of one tower."
    )


def is_table(name: str) -> bool:
    """Whether a file of this name may hold a record as text."""
    return bool(_TABLE.search(name)) and not _NOT_THE_RECORD.search(name)


def partner(main: Source) -> Path | None:
    """The file with the fluxes, if it lies beside the weather under its usual name."""
    for of_weather, of_fluxes in _PARTNERS:
        before, found, after = main.path.name.partition(of_weather)
        if found and not main.member:
            others = main.path.parent.glob(f"{glob.escape(before)}{of_fluxes}*{glob.escape(after)}")
            return min(others, key=lambda other: (len(other.name), other.name), default=None)
    return None


def metadata(main: Source) -> dict[str, Any]:
    """What a BIF file in the archive, or beside the file, says of the site."""
    site = site_of(main.path, main.name)
    beside = _held(main.path) if main.member else [Source(file) for file in sorted(main.path.parent.glob("*_BIF_*"))]
    for source in beside:
        if _METADATA.search(source.name) and (site in source.name or _OF_A_NETWORK in source.name):
            return read_bif(source, site)
    return {}


def magic(source: Source) -> bytes:
    """The first four bytes of a file, which tell its kind."""
    try:
        with source.path.open("rb") as handle:
            return handle.read(4)
    except OSError as problem:
        raise DataError(f"{source.path}: cannot be opened ({problem.strerror}). Check the path.") from problem

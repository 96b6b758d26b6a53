"""Archive of many records: a Zarr group for each record, in chunks of a year.

A group is written under a temporary name and renamed when complete, so that all listed records can be read. Replacing
a record takes two renames; if the machine stops between them, the old record is still found.

Beside the files of a group lies `record.json`: the checksum of each, the fingerprint of the record, and the version of
the estimates in it. A record of which a file is missing or not as it was written is refused.
"""

import importlib
import shutil
import warnings
import zlib
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import xarray as xr

from bowen.data.checks.inspection import compute_fingerprint
from bowen.data.readers.source_files import find_flux_file, is_macos_metadata, is_text_table
from bowen.data.readers.text_files import SourceFile
from bowen.data.schema import find_nearest
from bowen.data.site_metadata import SITE_IDENTIFIER
from bowen.errors import ConfigError, DataError, RunError
from bowen.files import file_name, read_json, replace_atomically, temporary_folder, write_json

# Version of the values that readers estimate, as longwave radiation that was not measured: to be raised when they
# change, so that archives made before say so.
ESTIMATES_VERSION = 2  # longwave radiation after Prata (1996)
_FORMAT = 1  # of `record.json`
_INDEX = "record.json"
_GROUP = "zarr.json"  # marks a folder as a group
_ARCHIVE_GROUP = b'{"attributes": {}, "zarr_format": 3, "node_type": "group"}\n'
_MAKE_ANEW = "make the archive anew with `bowen archive`"
_OLD = ".old."
_YEAR = 365 * 86400  # s
_MET, _FLUX, _DAILY = "_Met.nc", "_Flux.nc", "_daily.nc"


def write_record(archive: Path | str, dataset: xr.Dataset) -> str:
    """Write a record to an archive, replacing one of the same site and years.

    Args:
        archive: The folder; made if missing.
        dataset: A canonical dataset.

    Returns:
        Its key, such as "US-Hn1_2016-2017".

    Raises:
        ConfigError: Zarr is not installed.
        RunError: The archive cannot be written; its records are unchanged.
    """
    archive = Path(archive)
    _require_zarr()
    key = _key(dataset)
    plain = dataset.drop_encoding()
    steps = max(_YEAR // int(dataset.attrs["timestep_s"]), 1)
    axes = {str(name): variable.size for name, variable in plain.variables.items() if variable.ndim}
    encoding: dict[str, dict[str, object]] = {name: {"chunks": (min(steps, size),)} for name, size in axes.items()}
    encoding["time"] |= {"units": "seconds since 1970-01-01", "dtype": "int64"}
    try:
        archive.mkdir(parents=True, exist_ok=True)
        _settle(archive, key)
        _write_group(archive)
        with temporary_folder(archive, key) as temporary:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Consolidated metadata")  # Zarr: not a part of its format 3
                plain.to_zarr(
                    temporary / key,
                    mode="w",
                    encoding=encoding,
                    consolidated=True,
                    zarr_format=3,
                    write_empty_chunks=True,
                )
            _write_index(temporary / key, key, dataset)
            final, old = archive / key, archive / f"{_OLD}{key}"
            if final.exists():
                final.rename(old)
            try:
                (temporary / key).rename(final)
            except OSError:
                if old.exists():
                    old.rename(final)
                raise
            shutil.rmtree(old, ignore_errors=True)
    except OSError as problem:
        raise RunError(
            str(archive),
            f"cannot be written ({problem}); existing records are unchanged",
            fix="free some space, or choose another folder",
        ) from problem
    return key


def list_records(archive: Path | str) -> list[str]:
    """List the keys of the records in an archive, sorted.

    Raises:
        DataError: The folder is no archive.
    """
    return sorted(_records(Path(archive)))


def is_archive(path: Path) -> bool:
    """Check that a path is an archive of records."""
    return (path / _GROUP).is_file() and not is_archived_record(path)


def is_archived_record(path: Path) -> bool:
    """Check that a path is a record in an archive: `towers.zarr/US-Me2`, or with its years."""
    return (path.parent / _GROUP).is_file() and not path.is_file()


def open_record(archive: Path | str, site: str) -> xr.Dataset:
    """Open a record of an archive lazily.

    Args:
        archive: The folder.
        site: A key from `list_records`, or a site with a single record.

    Returns:
        The dataset that was written; its encoding has the `source` and the `fingerprint`. Where it holds estimates of
        an earlier version, its assumptions say so.

    Raises:
        ConfigError: Zarr is not installed, or there is no such record, or there are several.
        DataError: The folder is no archive, or the record is damaged, or of an earlier version without checksums.
            Values that are damaged raise it when they are loaded.
    """
    archive = Path(archive)
    keys = _records(archive)
    fitting = [key for key in keys if key == site] or [key for key in keys if key.startswith(f"{site}_")]
    if not fitting:
        raise ConfigError(
            archive.name, f"has no record `{site}`", details=find_nearest([site], keys), fix="choose one of these"
        )
    if len(fitting) > 1:
        raise ConfigError(archive.name, f"has several records of {site}", fix=f"choose one of {', '.join(fitting)}")
    _require_zarr()
    from bowen.data.readers.checked_store import open_checked_store

    path = keys[fitting[0]]
    index = _read_index(path, fitting[0])
    if missing := [name for name in index["files"] if not (path / name).is_file()]:
        raise record_damage(path, f"{missing[0]} is missing")
    try:
        dataset = xr.open_zarr(open_checked_store(path, index["files"]), chunks=None, consolidated=True, zarr_format=3)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise record_damage(path, problem) from problem
    dataset.encoding |= {"source": str(archive / fitting[0]), "fingerprint": index["fingerprint"]}
    if index["estimates"] < ESTIMATES_VERSION:
        note = f"Archived by bowen {index['bowen']} with estimates that have changed since: {_MAKE_ANEW}."
        dataset.attrs["assumptions"] = "\n".join(filter(None, (dataset.attrs.get("assumptions"), note)))
    return dataset


def load_record(dataset: xr.Dataset) -> xr.Dataset:
    """Load the values of a record as opened by `open_record`, and compare its fingerprint with that written.

    Raises:
        DataError: Its values, flags or metadata are not those that were written.
    """
    if compute_fingerprint(dataset.load()) != dataset.encoding["fingerprint"]:
        raise record_damage(Path(dataset.encoding["source"]), "its values are not those that were written")
    return dataset


def read_fingerprint(archive: Path | str, key: str) -> str:
    """Read the fingerprint of a record by its key, without its values.

    Raises:
        DataError: The folder is no archive, or the record is damaged.
    """
    return _read_index(_records(Path(archive))[key], key)["fingerprint"]


def describe_outdated(archive: Path | str) -> str | None:
    """Describe the records of an archive that hold earlier estimates; None if there are none.

    Raises:
        DataError: The folder is no archive, or a record is damaged.
    """
    records = _records(Path(archive))
    old = [key for key, path in sorted(records.items()) if _read_index(path, key)["estimates"] < ESTIMATES_VERSION]
    if not old:
        return None
    return (
        f"{archive}: {len(old)} of {len(records)} records, such as {old[0]}, hold estimates, as of longwave radiation, "
        f"that have changed since: {_MAKE_ANEW}."
    )


def pair_files(paths: Iterable[Path | str]) -> list[tuple[Path, Path | None]]:
    """Pair the files of each record: a Met file with its Flux file, or a table by itself.

    Args:
        paths: Files, next to which their Flux file is searched, or folders with `*_Met.nc`, `*_Flux.nc`,
            `*_daily.nc`, and tables or .zip named after a site.

    Returns:
        Arguments for `read`, sorted by name.

    Raises:
        DataError: A path does not exist, or a Flux file has no Met file.
    """
    files: dict[str, Path] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise DataError(str(path), "no such file or folder", fix="check the path")
        inside = [file for file in sorted(path.rglob("*")) if _is_record(file)] if path.is_dir() else [path]
        files |= {file.name: file for file in inside}
    records = []
    for name, file in sorted(files.items()):
        if name.endswith(_FLUX):
            if name.removesuffix(_FLUX) + _MET not in files:
                raise DataError(
                    str(file), f"has no Met file `{name.removesuffix(_FLUX)}{_MET}`", fix="pass that file too"
                )
            continue
        flux = (
            (files.get(name.removesuffix(_MET) + _FLUX) or find_flux_file(SourceFile(file)))
            if name.endswith(_MET)
            else None
        )
        records.append((file, flux))
    return records


def _is_record(file: Path) -> bool:
    if is_macos_metadata(Path(file.name)):
        return False
    if file.name.endswith((_MET, _FLUX, _DAILY)):
        return True
    return bool(SITE_IDENTIFIER.search(file.name)) and (is_text_table(file.name) or file.suffix == ".zip")


def _key(dataset: xr.Dataset) -> str:
    first, last = (str(dataset.time.values[index])[:4] for index in (0, -1))
    return file_name(f"{dataset.attrs['site']}_{first}-{last}")


def _records(archive: Path) -> dict[str, Path]:
    """Find the folder of each record: its key, or the old name if the machine stopped during a replacement."""
    if not (archive / _GROUP).is_file():
        raise DataError(str(archive), "is no archive of records", fix="make one with `bowen archive`")
    groups = [path for path in archive.iterdir() if path.is_dir()]
    aside = {path.name.removeprefix(_OLD): path for path in groups if path.name.startswith(_OLD)}
    return aside | {path.name: path for path in groups if not path.name.startswith(".")}


def _settle(archive: Path, key: str) -> None:
    """Finish an earlier replacement that was interrupted."""
    final, old = archive / key, archive / f"{_OLD}{key}"
    if old.exists():
        shutil.rmtree(old) if final.exists() else old.rename(final)


def _write_group(archive: Path) -> None:
    """Mark a folder as a Zarr group, whatever has become of an earlier mark."""
    mark = archive / _GROUP
    if not mark.exists() or mark.read_bytes() != _ARCHIVE_GROUP:
        with replace_atomically(mark) as unfinished:
            unfinished.write_bytes(_ARCHIVE_GROUP)


def _write_index(path: Path, key: str, dataset: xr.Dataset) -> None:
    """Write the checksums of the files of a record, and its fingerprint."""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    index = {
        "format": _FORMAT,
        "bowen": version("bowen"),
        "estimates": ESTIMATES_VERSION,
        "record": key,
        "fingerprint": compute_fingerprint(dataset),
        "files": {file.relative_to(path).as_posix(): zlib.crc32(file.read_bytes()) for file in files},
    }
    write_json(path / _INDEX, index)


def _read_index(path: Path, key: str) -> dict[str, Any]:
    """Read the checksums of the files of a record, and its fingerprint.

    Raises:
        DataError: They are damaged, or were written by another version, or are those of another record.
    """
    try:
        index, is_sound = read_json(path / _INDEX)
    except FileNotFoundError as problem:
        raise DataError(str(path), "was archived by an earlier version, without checksums", fix=_MAKE_ANEW) from problem
    except (OSError, ValueError) as problem:
        raise record_damage(path, f"{_INDEX}: {problem}") from problem
    if not is_sound:
        raise record_damage(path, f"{_INDEX} is not as it was written")
    if index["format"] != _FORMAT:
        raise DataError(str(path), f"was archived by bowen {index['bowen']}, in a format of its own", fix=_MAKE_ANEW)
    if index["record"] != key:
        raise DataError(str(path), f"holds the record {index['record']}", fix="give the folder that name again")
    return index


def record_damage(path: Path, what: object) -> DataError:
    """Make the error of a record that is not as it was written."""
    return DataError(str(path), f"is damaged ({what})", fix="write it again with `bowen archive`")


def _require_zarr() -> None:
    try:
        importlib.import_module("zarr")
    except ImportError as problem:
        raise ConfigError(
            "archive of records", "requires Zarr, which is not installed", fix='pip install "bowen[archive]"'
        ) from problem

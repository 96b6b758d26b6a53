"""Archive of many records: a Zarr group for each record, in chunks of a year.

A group is written under a temporary name and renamed when complete, so that all listed records can be read. Replacing
a record takes two renames; if the machine stops between them, the old record is still found.
"""

import importlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import xarray as xr

from bowen.data.readers.source_files import find_flux_file, is_text_table
from bowen.data.readers.text_files import SourceFile
from bowen.data.schema import find_nearest
from bowen.data.site_metadata import SITE_IDENTIFIER
from bowen.errors import ConfigError, DataError, RunError
from bowen.files import file_name, temporary_folder

_GROUP = "zarr.json"  # marks a folder as a group
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
    zarr = _zarr()
    key = _key(dataset)
    plain = dataset.drop_encoding()
    steps = max(_YEAR // int(dataset.attrs["timestep_s"]), 1)
    axes = {str(name): variable.size for name, variable in plain.variables.items() if variable.ndim}
    encoding: dict[str, dict[str, object]] = {name: {"chunks": (min(steps, size),)} for name, size in axes.items()}
    encoding["time"] |= {"units": "seconds since 1970-01-01", "dtype": "int64"}
    try:
        archive.mkdir(parents=True, exist_ok=True)
        _settle(archive, key)
        zarr.open_group(archive, mode="a", zarr_format=3)
        with temporary_folder(archive, key) as temporary:
            plain.to_zarr(temporary / key, mode="w", encoding=encoding, consolidated=False, zarr_format=3)
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
        The dataset that was written.

    Raises:
        ConfigError: Zarr is not installed, or there is no such record, or there are several.
        DataError: The folder is no archive, or the record is damaged.
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
    _zarr()
    path = keys[fitting[0]]
    try:
        dataset = xr.open_zarr(path, chunks=None, consolidated=False, zarr_format=3)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise DataError(str(path), f"is damaged and cannot be opened ({problem})", fix="write it again") from problem
    dataset.encoding["source"] = str(archive / fitting[0])
    return dataset


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
    groups = [path for path in archive.iterdir() if (path / _GROUP).is_file()]
    aside = {path.name.removeprefix(_OLD): path for path in groups if path.name.startswith(_OLD)}
    return aside | {path.name: path for path in groups if not path.name.startswith(".")}


def _settle(archive: Path, key: str) -> None:
    """Finish an earlier replacement that was interrupted."""
    final, old = archive / key, archive / f"{_OLD}{key}"
    if old.exists():
        shutil.rmtree(old) if final.exists() else old.rename(final)


def _zarr() -> ModuleType:
    try:
        return importlib.import_module("zarr")
    except ImportError as problem:
        raise ConfigError(
            "archive of records", "requires Zarr, which is not installed", fix='pip install "bowen[archive]"'
        ) from problem

"""Many towers in one place: a Zarr archive with a group for each record, in chunks of a year, ready to open.

A group is written under another name and given its own when it is whole, so a record that is listed can be read. One
that takes the place of another does so in two renames; if the machine stops between them, the old one is still found.
"""

import importlib
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import xarray as xr

from bowen.data.readers.csv import Source
from bowen.data.readers.source_files import is_table, partner
from bowen.data.schema import nearest
from bowen.data.site_metadata import IDENTIFIER
from bowen.errors import ConfigError, DataError, RunError

_GROUP = "zarr.json"  # what makes a folder a group
_OLD = ".old."
_YEAR = 365 * 86400  # s
_MET, _FLUX, _DAILY = "_Met.nc", "_Flux.nc", "_daily.nc"


def write_tower(archive: Path | str, dataset: xr.Dataset) -> str:
    """Put a record into an archive, in place of one of the same site and years.

    Args:
        archive: The folder; made if there is none.
        dataset: A canonical dataset.

    Returns:
        Its key, such as "US-Hn1_2016-2017".

    Raises:
        ConfigError: Zarr is not installed.
        RunError: The archive cannot be written; what was in it is still there.
    """
    archive = Path(archive)
    zarr = _zarr()
    key = _key(dataset)
    plain = dataset.drop_encoding()
    steps = max(_YEAR // int(dataset.attrs["timestep_s"]), 1)
    axes = {str(name): variable.size for name, variable in plain.variables.items() if variable.ndim}
    encoding: dict[str, dict[str, object]] = {name: {"chunks": (min(steps, size),)} for name, size in axes.items()}
    encoding["time"] |= {"units": "seconds since 1970-01-01", "dtype": "int64"}
    temporary = None
    try:
        archive.mkdir(parents=True, exist_ok=True)
        _settle(archive, key)
        zarr.open_group(archive, mode="a", zarr_format=3)
        temporary = Path(tempfile.mkdtemp(dir=archive, prefix=f".new.{key}."))
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
            f"{archive}: cannot be written ({problem}). Nothing that was there is lost.\n"
            "  fix: free some space, or choose another folder."
        ) from problem
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return key


def towers_in(archive: Path | str) -> list[str]:
    """The keys of the records in an archive, sorted.

    Raises:
        DataError: It is no archive.
    """
    return sorted(_records(Path(archive)))


def is_archive(path: Path) -> bool:
    """Whether a path leads to an archive of records."""
    return (path / _GROUP).is_file() and not is_kept(path)


def is_kept(path: Path) -> bool:
    """Whether a path leads to a record in an archive: `towers.zarr/US-Me2`, or with its years."""
    return (path.parent / _GROUP).is_file() and not path.is_file()


def open_tower(archive: Path | str, site: str) -> xr.Dataset:
    """A record of an archive; its values are read when they are used.

    Args:
        archive: The folder.
        site: A key of `towers_in`, or a site of which there is one record.

    Returns:
        The dataset that was written.

    Raises:
        ConfigError: Zarr is not installed, or there is no such record, or there are several.
        DataError: It is no archive, or the record is damaged.
    """
    archive = Path(archive)
    keys = _records(archive)
    fitting = [key for key in keys if key == site] or [key for key in keys if key.startswith(f"{site}_")]
    if not fitting:
        raise ConfigError(f"{archive.name}: has no record `{site}`. {nearest([site], keys)}")
    if len(fitting) > 1:
        raise ConfigError(f"{archive.name}: has several records of {site}. Choose one: {', '.join(fitting)}.")
    _zarr()
    path = keys[fitting[0]]
    try:
        dataset = xr.open_zarr(path, chunks=None, consolidated=False, zarr_format=3)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise DataError(f"{path}: cannot be opened ({problem}). It is damaged: write it again.") from problem
    dataset.encoding["source"] = str(archive / fitting[0])
    return dataset


def pair(paths: Iterable[Path | str]) -> list[tuple[Path, Path | None]]:
    """The records among files and folders: a Met file with the Flux file of its name, or a table by itself.

    Args:
        paths: Files, beside which their Flux file is found, or folders to look through for `*_Met.nc`, `*_Flux.nc`,
            `*_daily.nc`, and tables or .zip named after a site.

    Returns:
        What `read` takes, sorted by name.

    Raises:
        DataError: A path is not there, or a Flux file has no Met file.
    """
    files: dict[str, Path] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise DataError(f"{path}: no such file or folder. Check the path.")
        inside = [file for file in sorted(path.rglob("*")) if _is_record(file)] if path.is_dir() else [path]
        files |= {file.name: file for file in inside}
    records = []
    for name, file in sorted(files.items()):
        if name.endswith(_FLUX):
            if name.removesuffix(_FLUX) + _MET not in files:
                raise DataError(f"{file}: has no `{name.removesuffix(_FLUX)}{_MET}` to go with. Pass it too.")
            continue
        flux = (files.get(name.removesuffix(_MET) + _FLUX) or partner(Source(file))) if name.endswith(_MET) else None
        records.append((file, flux))
    return records


def _is_record(file: Path) -> bool:
    if file.name.endswith((_MET, _FLUX, _DAILY)):
        return True
    return bool(IDENTIFIER.search(file.name)) and (is_table(file.name) or file.suffix == ".zip")


def _key(dataset: xr.Dataset) -> str:
    first, last = (str(dataset.time.values[index])[:4] for index in (0, -1))
    return re.sub(r"[^\w-]", "-", f"{dataset.attrs['site']}_{first}-{last}")


def _records(archive: Path) -> dict[str, Path]:
    """Where each record is: under its key or, if the machine stopped while it was replaced, where it was put aside."""
    if not (archive / _GROUP).is_file():
        raise DataError(f"{archive}: is no archive of towers. `bowen archive` makes one.")
    groups = [path for path in archive.iterdir() if (path / _GROUP).is_file()]
    aside = {path.name.removeprefix(_OLD): path for path in groups if path.name.startswith(_OLD)}
    return aside | {path.name: path for path in groups if not path.name.startswith(".")}


def _settle(archive: Path, key: str) -> None:
    """Finish what a machine that stopped left of an earlier replacement."""
    final, old = archive / key, archive / f"{_OLD}{key}"
    if old.exists():
        shutil.rmtree(old) if final.exists() else old.rename(final)


def _zarr() -> ModuleType:
    try:
        return importlib.import_module("zarr")
    except ImportError as problem:
        raise ConfigError(
            'An archive of towers takes Zarr, which is not installed.\n  fix: pip install "bowen[archive]"'
        ) from problem

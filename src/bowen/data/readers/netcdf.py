"""NetCDF input and output: files are written atomically, and read completely or refused."""

import contextlib
import importlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

import h5py
import numpy as np
import xarray as xr

from bowen.errors import DataError
from bowen.files import UNREADABLE, check_expansion, open_file, replace_atomically

NetcdfEngine = Literal["h5netcdf", "netcdf4", "scipy"]
NETCDF_ENGINES: dict[bytes, NetcdfEngine] = {
    b"\x89HDF": "h5netcdf",
    b"CDF\x01": "scipy",
    b"CDF\x02": "scipy",
    b"CDF\x05": "netcdf4",
}  # by first bytes
_PACKAGES: dict[NetcdfEngine, str] = {"h5netcdf": "h5netcdf", "netcdf4": "netCDF4", "scipy": "scipy"}
_STANDARD_CALENDARS = ("standard", "gregorian", "proleptic_gregorian")
_NO_LEAP_CALENDARS = ("noleap", "365_day")
_SINCE = re.compile(r"\s*(\w+)\s+since\s+(\d+)-(\d+)-(\d+)(?:[T\s]+(\d+):(\d+)(?::(\d+(?:\.\d*)?))?)?")
_SECONDS = {"s": 1.0, "sec": 1.0, "second": 1.0, "min": 60.0, "minute": 60.0, "h": 3600.0, "hr": 3600.0, "hour": 3600.0}
_SECONDS |= {"d": 86400.0, "day": 86400.0}


def write_netcdf(dataset: xr.Dataset, path: Path | str) -> Path:
    """Write a dataset as compressed NetCDF 4; an old file stays until the new one is complete.

    Args:
        dataset: Any dataset.
        path: The file; missing folders are made.

    Returns:
        The path.

    Raises:
        DataError: The package h5netcdf is missing.
        RunError: The disk is full, or the folder cannot be written.
    """
    _require_package("h5netcdf", Path(path).name)
    encoding = {str(name): _encoding(variable) for name, variable in dataset.variables.items()}
    with replace_atomically(path) as temporary:
        dataset.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)
    return Path(path)


def load_netcdf(path: Path) -> xr.Dataset:
    """Load a whole file into memory, which reveals a truncated one.

    Args:
        path: NetCDF 3 or 4.

    Returns:
        The dataset as read by xarray.

    Raises:
        DataError: There is no such file, it is damaged or of another kind, needs a package that is missing, or has
            dates of a calendar with days that do not exist.
    """
    with _opened(path) as file:
        return file.load()


def list_netcdf_variables(path: Path) -> set[str]:
    """List the variables of a NetCDF file without reading their values.

    Raises:
        DataError: There is no such file, or it is damaged or of another kind.
    """
    with _opened(path) as file:
        return set(map(str, file.variables))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[xr.Dataset]:
    """Open a file with xarray; errors of the libraries on damaged files become one message."""
    try:
        with open_file(path) as handle:
            magic = handle.read(4)
            if magic not in NETCDF_ENGINES:
                raise DataError(path.name, "is no NetCDF file", fix="get it again, or check which file was meant")
            _require_package(NETCDF_ENGINES[magic], path.name)
            if NETCDF_ENGINES[magic] == "h5netcdf":
                _check_hdf5(handle)
            handle.seek(0)  # scipy would not close a damaged file that it opened itself
            source = path if NETCDF_ENGINES[magic] == "netcdf4" else handle
            with xr.open_dataset(source, engine=NETCDF_ENGINES[magic], decode_times=False) as file:
                yield xr.decode_cf(_with_standard_dates(file, path.name), decode_timedelta=False)
    except FileNotFoundError as problem:
        raise DataError(str(path), "no such file", fix="check the path") from problem
    except UNREADABLE as problem:
        if "filter" in str(problem):
            raise DataError(
                path.name,
                f"is compressed by a method that is not installed ({problem})",
                fix=f"compress it by deflate, such as `nccopy -F none -d 4 {path.name} new.nc`",
            ) from problem
        raise DataError(
            path.name, f"is damaged or truncated and cannot be read to its end ({problem})", fix="get it again"
        ) from problem


def _require_package(engine: NetcdfEngine, where: str) -> None:
    """Check that the package that reads and writes a kind of NetCDF is installed."""
    package = _PACKAGES[engine]
    try:
        importlib.import_module(package)
    except ImportError as problem:
        raise DataError(
            where,
            f"this kind of NetCDF needs the package {package}, which is not installed",
            fix=f"run `pip install {package}`",
        ) from problem


def _with_standard_dates(file: xr.Dataset, where: str) -> xr.Dataset:
    """Decode dates of a calendar without leap days, which are standard dates too, and refuse other calendars."""
    for name, variable in file.variables.items():
        units, calendar = str(variable.attrs.get("units", "")), str(variable.attrs.get("calendar", "standard")).lower()
        if " since " not in units or calendar in _STANDARD_CALENDARS:
            continue
        if calendar not in _NO_LEAP_CALENDARS or (dates := _dates_without_leap_days(variable.values, units)) is None:
            raise DataError(
                where,
                f"`{name}` is in the calendar `{calendar}` (`{units}`), whose dates are not those of a tower",
                fix='write it with the calendar "standard", in xarray by '
                '`.convert_calendar("standard", align_on="date")` if its dates are true',
            )
        kept = {key: text for key, text in variable.attrs.items() if key not in ("units", "calendar")}
        decoded = xr.Variable(variable.dims, dates, kept)
        file = file.assign_coords({name: decoded}) if name in file.coords else file.assign({name: decoded})
    return file


def _dates_without_leap_days(values: np.ndarray, units: str) -> np.ndarray | None:
    """Decode times of the calendar `noleap`; None if the unit is none of time."""
    parts = _SINCE.match(units)
    seconds = parts and _SECONDS.get(parts[1].lower().removesuffix("s") or "s")
    if not parts or not seconds:
        return None
    year, month, day, hour, minute, second = (float(part or 0) for part in parts.groups()[1:])
    months = np.cumsum([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30])
    start = (365.0 * year + months[int(month) - 1] + day - 1.0) * 86400.0 + hour * 3600.0 + minute * 60.0 + second
    whole, rest = np.divmod(np.round(start + seconds * values.astype(float), 3), 86400.0)
    years, days = np.divmod(whole, 365.0)
    at = np.searchsorted(months, days, side="right") - 1
    stamps = ((years - 1970) * 12 + at).astype("datetime64[M]").astype("datetime64[D]") + (days - months[at]).astype(
        int
    )
    return stamps.astype("datetime64[ns]") + np.round(rest * 1e3).astype("timedelta64[ms]")


def _check_hdf5(handle: IO[bytes]) -> None:
    """Check that the variables of a file are in the file itself, and are no larger than a file of its size should hold.

    Variables of NetCDF 3 need no such check: they are in the file as they are in memory.
    """
    size = handle.seek(0, os.SEEK_END)
    with h5py.File(handle, "r") as file:
        variables = []
        for name in file:
            if isinstance(file.get(name, getlink=True), h5py.ExternalLink):
                raise ValueError(f"{name} is in another file")
            if isinstance(variable := file[name], h5py.Dataset):
                if variable.external or variable.is_virtual:
                    raise ValueError(f"the values of {name} are in another file")
                variables.append(variable)
        check_expansion(size, sum(max(v.dtype.itemsize, 8) * (v.size or 0) for v in variables))


def _encoding(variable: xr.Variable) -> dict[str, object]:
    if np.issubdtype(variable.dtype, np.datetime64):
        return {"units": "seconds since 1970-01-01", "dtype": "int64"}
    if variable.ndim and np.issubdtype(variable.dtype, np.number):
        return {"zlib": True, "complevel": 4, "shuffle": True}
    return {}

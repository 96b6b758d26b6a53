"""NetCDF input and output: files are written atomically, and read completely or refused."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

import h5py
import numpy as np
import xarray as xr

from bowen.errors import DataError
from bowen.files import UNREADABLE, check_expansion, open_file, replace_atomically

NetcdfEngine = Literal["h5netcdf", "scipy"]
NETCDF_ENGINES: dict[bytes, NetcdfEngine] = {
    b"\x89HDF": "h5netcdf",
    b"CDF\x01": "scipy",
    b"CDF\x02": "scipy",
}  # by first bytes


def write_netcdf(dataset: xr.Dataset, path: Path | str) -> Path:
    """Write a dataset as compressed NetCDF 4; an old file stays until the new one is complete.

    Args:
        dataset: Any dataset.
        path: The file; missing folders are made.

    Returns:
        The path.

    Raises:
        RunError: The disk is full, or the folder cannot be written.
    """
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
        DataError: There is no such file, or it is damaged or of another kind.
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
            if NETCDF_ENGINES[magic] == "h5netcdf":
                _check_hdf5(handle)
            handle.seek(0)  # scipy would not close a damaged file that it opened itself
            with xr.open_dataset(handle, engine=NETCDF_ENGINES[magic]) as file:
                yield file
    except FileNotFoundError as problem:
        raise DataError(str(path), "no such file", fix="check the path") from problem
    except UNREADABLE as problem:
        raise DataError(
            path.name, f"is damaged or truncated and cannot be read to its end ({problem})", fix="get it again"
        ) from problem


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

"""NetCDF input and output: files are written atomically, and read completely or refused."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from bowen.errors import DataError
from bowen.files import replace_atomically

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
        with path.open("rb") as handle:
            magic = handle.read(4)
            if magic not in NETCDF_ENGINES:
                raise DataError(path.name, "is no NetCDF file", fix="get it again, or check which file was meant")
            handle.seek(0)  # scipy would not close a damaged file that it opened itself
            with xr.open_dataset(handle, engine=NETCDF_ENGINES[magic]) as file:
                yield file
    except FileNotFoundError as problem:
        raise DataError(str(path), "no such file", fix="check the path") from problem
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError, RuntimeError) as problem:
        raise DataError(
            path.name, f"is damaged or truncated and cannot be read to its end ({problem})", fix="get it again"
        ) from problem


def _encoding(variable: xr.Variable) -> dict[str, object]:
    if np.issubdtype(variable.dtype, np.datetime64):
        return {"units": "seconds since 1970-01-01", "dtype": "int64"}
    if variable.ndim and np.issubdtype(variable.dtype, np.number):
        return {"zlib": True, "complevel": 4, "shuffle": True}
    return {}

"""NetCDF to and from disk: written whole or not at all, read to the end or refused."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr

from bowen.errors import DataError
from bowen.files import replace_atomically

Engine = Literal["h5netcdf", "scipy"]
ENGINES: dict[bytes, Engine] = {b"\x89HDF": "h5netcdf", b"CDF\x01": "scipy", b"CDF\x02": "scipy"}  # by first bytes


def write_netcdf(dataset: xr.Dataset, path: Path | str) -> Path:
    """Write a dataset as compressed NetCDF 4; until the new file is whole, an old one stays as it is.

    Args:
        dataset: Any dataset.
        path: Where to; folders are made.

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
    """The whole file in memory; one that was cut shows only when it is read to its end.

    Args:
        path: NetCDF 3 or 4.

    Returns:
        What xarray makes of it.

    Raises:
        DataError: There is no such file, or it is damaged or of another kind.
    """
    with _opened(path) as file:
        return file.load()


def netcdf_names(path: Path) -> set[str]:
    """The variables of a NetCDF file, without reading their values.

    Raises:
        DataError: There is no such file, or it is damaged or of another kind.
    """
    with _opened(path) as file:
        return set(map(str, file.variables))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[xr.Dataset]:
    """The file as xarray opens it; whatever a damaged one makes the libraries raise becomes one sentence."""
    try:
        with path.open("rb") as handle:
            magic = handle.read(4)
            if magic not in ENGINES:
                raise DataError(f"{path.name}: is no NetCDF file. Get it again, or check which file was meant.")
            handle.seek(0)  # of a damaged file scipy would leave open what it opened itself
            with xr.open_dataset(handle, engine=ENGINES[magic]) as file:
                yield file
    except FileNotFoundError as problem:
        raise DataError(f"{path}: no such file. Check the path.") from problem
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError, RuntimeError) as problem:
        raise DataError(
            f"{path.name}: cannot be read to its end ({problem}). It is damaged or was cut: get it again."
        ) from problem


def _encoding(variable: xr.Variable) -> dict[str, object]:
    if np.issubdtype(variable.dtype, np.datetime64):
        return {"units": "seconds since 1970-01-01", "dtype": "int64"}
    if variable.ndim and np.issubdtype(variable.dtype, np.number):
        return {"zlib": True, "complevel": 4, "shuffle": True}
    return {}

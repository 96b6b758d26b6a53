"""Any file of a tower, whatever its kind, and the simulations we wrote."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from bowen.data.alma import undo_alma
from bowen.data.fluxnet import read_fluxnet
from bowen.data.plumber2 import read_plumber2
from bowen.data.store import ENGINES, load_netcdf
from bowen.errors import DataError


def read(met: Path | str, flux: Path | str | None = None, site: Mapping[str, Any] | None = None) -> xr.Dataset:
    """Read one tower; the first bytes of the file tell NetCDF in the layout of PLUMBER2 from CSV of FLUXNET.

    Args:
        met: The weather, or all there is.
        flux: The fluxes, where they have a file of their own.
        site: Metadata of the site that are missing or wrong; see `read_fluxnet`.

    Returns:
        The canonical dataset.

    Raises:
        ConfigError: `site` has unknown keys.
        DataError: A file cannot be used; see the readers.
    """
    met = Path(met)
    try:
        with met.open("rb") as handle:
            magic = handle.read(4)
    except OSError as problem:
        raise DataError(f"{met}: cannot be opened ({problem.strerror}). Check the path.") from problem
    if magic in ENGINES or met.suffix in (".nc", ".nc4"):
        return read_plumber2(met, flux, site=site)
    if flux is not None:
        raise DataError(f"{met.name}: a FLUXNET file holds weather and fluxes; leave out {Path(flux).name}.")
    return read_fluxnet(met, site=site)


def read_simulation(path: Path | str) -> xr.Dataset:
    """Read back a simulation that was written as `write_netcdf(to_alma(simulation), path)`.

    Args:
        path: A file of `bowen simulate`.

    Returns:
        The simulation, under our names.

    Raises:
        DataError: The file is damaged, or holds no simulated fluxes.
    """
    path = Path(path)
    simulation = undo_alma(load_netcdf(path))
    if not {"latent_heat", "sensible_heat"} <= set(simulation.data_vars):
        raise DataError(f"{path.name}: holds no simulated fluxes, Qle and Qh. Pass a file that `bowen simulate` wrote.")
    return simulation

"""Reader of tower files, folders and archives of any kind, and of simulations written by bowen."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from bowen.data.forcing.disaggregation import disaggregate_if_daily
from bowen.data.readers.alma import undo_alma
from bowen.data.readers.archive import is_archived_record, load_record, open_record
from bowen.data.readers.daily_towers import read_daily_tower
from bowen.data.readers.netcdf import NETCDF_ENGINES, list_netcdf_variables, load_netcdf
from bowen.data.readers.plumber2 import read_plumber2
from bowen.data.readers.source_files import find_flux_file, find_record_file, read_first_bytes
from bowen.data.readers.text_files import SourceFile
from bowen.data.readers.text_tables import read_table
from bowen.errors import DataError


def read(
    met: Path | str,
    flux: Path | str | None = None,
    site: Mapping[str, Any] | None = None,
    kind: str | Path | None = None,
) -> xr.Dataset:
    """Read one tower from a file, folder or archive of any supported kind.

    The kind is recognized by the content: NetCDF in the layout of PLUMBER2, or a text table with known columns. In a
    folder or an archive the half-hourly or hourly record is read, and the site's metadata (BIF) next to it. Daily
    records of towers or basins are disaggregated to half-hours; see `disaggregate_if_daily`.

    Args:
        met: The weather, or all variables: a file, a network's .zip, a folder with the files of one tower, or a
            record in an archive, such as `towers.zarr/US-Me2_2019-2020`.
        flux: The fluxes, if they have their own file; by default the file with the usual name next to `met`.
        site: Metadata of the site that are missing or wrong; see `read_table`.
        kind: The kind of text table, by name or as a TOML file; recognized if it is not given.

    Returns:
        The canonical dataset; its attribute `source` is the recognized kind.

    Raises:
        ConfigError: `site` or `kind` is invalid.
        DataError: A file cannot be used; see the single readers.
    """
    if is_archived_record(Path(met)):
        return disaggregate_if_daily(load_record(open_record(Path(met).parent, Path(met).name)))
    main = find_record_file(Path(met))
    flux = find_flux_file(main) if flux is None else flux
    if main.name.endswith((".nc", ".nc4")) or read_first_bytes(main) in NETCDF_ENGINES:
        if main.member:
            raise DataError(
                main.path.name, f"{main.name} cannot be read inside an archive", fix="unpack the archive first"
            )
        if "Tair_min" in list_netcdf_variables(main.path):
            return disaggregate_if_daily(read_daily_tower(main.path, site=site))
        return read_plumber2(main.path, flux, site=site)
    if flux is not None and read_first_bytes(SourceFile(Path(flux))) in NETCDF_ENGINES:
        raise DataError(main.name, f"is a text table and {Path(flux).name} is NetCDF", fix="leave out one of the two")
    return read_table(main, flux, kind=kind, site=site)


def read_simulation(path: Path | str) -> xr.Dataset:
    """Read a simulation that was written by `write_netcdf(to_alma(simulation), path)`.

    Args:
        path: A file written by `bowen simulate`.

    Returns:
        The simulation under canonical names.

    Raises:
        DataError: The file is damaged, or has no simulated fluxes.
    """
    path = Path(path)
    simulation = undo_alma(load_netcdf(path))
    if not {"latent_heat", "sensible_heat"} <= set(simulation.data_vars):
        raise DataError(path.name, "has no simulated fluxes, Qle and Qh", fix="pass a file written by `bowen simulate`")
    return simulation

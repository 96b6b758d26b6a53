"""Any file of a tower, folder or archive, whatever its kind, and the simulations we wrote."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from bowen.data.forcing.disaggregation import in_steps
from bowen.data.readers.alma import undo_alma
from bowen.data.readers.archive import is_kept, open_tower
from bowen.data.readers.csv import Source
from bowen.data.readers.daily_towers import read_daily_tower
from bowen.data.readers.netcdf import ENGINES, load_netcdf, netcdf_names
from bowen.data.readers.plumber2 import read_plumber2
from bowen.data.readers.source_files import find, magic, partner
from bowen.data.readers.text_tables import read_table
from bowen.errors import DataError


def read(
    met: Path | str,
    flux: Path | str | None = None,
    site: Mapping[str, Any] | None = None,
    kind: str | Path | None = None,
) -> xr.Dataset:
    """Read one tower from whatever holds it.

    The content tells what it is: NetCDF in the layout of PLUMBER2, or a text table, whose columns tell its kind. Of a
    folder or an archive the half-hourly or hourly record is taken, and the site's metadata (BIF) beside it. Of a tower
    or basin that gives one value a day, half-hours are made; see `in_steps`.

    Args:
        met: The weather, or all there is: a file, a network's .zip, a folder with the files of one tower, or a record
            in an archive, such as `towers.zarr/US-Me2_2019-2020`.
        flux: The fluxes, where they have a file of their own; found if it is named as usual beside `met`.
        site: Metadata of the site that are missing or wrong; see `read_table`.
        kind: The kind of text table, by name or as a TOML file; recognized if it is not given.

    Returns:
        The canonical dataset; its attribute `source` says what was recognized.

    Raises:
        ConfigError: `site` or `kind` are not what they should be.
        DataError: A file cannot be used; see the readers.
    """
    if is_kept(Path(met)):
        return in_steps(open_tower(Path(met).parent, Path(met).name).load())
    main = find(Path(met))
    flux = partner(main) if flux is None else flux
    if main.name.endswith((".nc", ".nc4")) or magic(main) in ENGINES:
        if main.member:
            raise DataError(f"{main.path.name}: unpack this archive first; {main.name} is read from a file of its own.")
        if "Tair_min" in netcdf_names(main.path):
            return in_steps(read_daily_tower(main.path, site=site))
        return read_plumber2(main.path, flux, site=site)
    if flux is not None and magic(Source(Path(flux))) in ENGINES:
        raise DataError(f"{main.name}: is a text table and {Path(flux).name} is NetCDF; leave out one of them.")
    return read_table(main, flux, kind=kind, site=site)


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

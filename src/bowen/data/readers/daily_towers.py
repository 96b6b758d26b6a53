"""Towers that give one value a day: the drivers of DifferLand beside the daily fluxes of CalLMIP, as one NetCDF."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bowen.data.canonical import build_daily
from bowen.data.readers.alma import from_alma
from bowen.data.readers.netcdf import load_netcdf
from bowen.data.schema import SCHEMA, nearest
from bowen.data.site_metadata import site_of
from bowen.errors import DataError

_NEEDED = ("shortwave_down", "air_temperature_min", "air_temperature_max", "vapor_pressure_deficit", "precipitation")
_READ = (*_NEEDED, "air_pressure", "leaf_area_index", "evapotranspiration", "latent_heat", "sensible_heat")
_VAPORIZATION = 2.442e6  # J kg-1, by which these files make evapotranspiration of latent heat
_PRESSURE, _KILOPASCALS = "Psurf_as_delivered", (40.0, 110.0)


def read_daily_tower(path: Path | str, *, site: Mapping[str, Any] | None = None) -> xr.Dataset:
    """Read one tower from a NetCDF with Tair_min, Tair_max, SWdown, VPD and Precip once a day.

    Args:
        path: The file; its pressure, `Psurf_as_delivered`, is in kPa.
        site: Metadata of the site that are missing or wrong; see `read_plumber2`.

    Returns:
        The canonical daily dataset, in SI: `shortwave_down` (mean over 24 h), `air_temperature_min`,
        `air_temperature_max`, `vapor_pressure_deficit`, `precipitation`, and as far as the file has them
        `air_pressure`, `leaf_area_index`, `evapotranspiration`, `latent_heat`, `sensible_heat`; latent heat follows
        from evapotranspiration where it is not there itself. The files have no flags, so what is there counts as
        measured. `disaggregate` makes of it what drives a model.

    Raises:
        ConfigError: `site` has unknown keys.
        DataError: The file is damaged, lacks a variable, or holds what cannot be right; see `check_daily`.
    """
    path = Path(path)
    file = load_netcdf(path)
    record = from_alma(_with_pressure(file, path), path.name)
    if missing := [name for name in _NEEDED if name not in record]:
        looked_for = [alias for name in missing for alias in (SCHEMA[name].alma, *SCHEMA[name].aliases) if alias]
        raise DataError(
            f"{path.name}: no variable for {', '.join(missing)}.\n"
            f"  looked for: {', '.join(looked_for)}\n"
            f"  {nearest(looked_for, map(str, file.data_vars))}\n"
            "  fix: rename the variable in the file, or read a half-hourly file with `bowen.read`"
        )
    series = {name: (record[name].values, record[f"{name}_qc"].values) for name in _READ if name in record}
    if "latent_heat" not in series and "evapotranspiration" in series:
        vapor, flags = series["evapotranspiration"]
        series["latent_heat"] = _VAPORIZATION * vapor, flags
    return build_daily(
        series,
        record.time.values,
        path,
        found={"site": site_of(path), **record.attrs},
        given=site,
        source="daily tower",
    )


def _with_pressure(file: xr.Dataset, path: Path) -> xr.Dataset:
    if _PRESSURE not in file:
        return file
    typical = float(np.nanmedian(file[_PRESSURE].values))
    if not _KILOPASCALS[0] < typical < _KILOPASCALS[1]:
        raise DataError(
            f"{path.name}: {_PRESSURE} has a median of {typical:.4g}, where kPa are due. Convert it, or rename it "
            'to Psurf and say its unit in the attribute "units".'
        )
    return file.assign(Psurf=file[_PRESSURE].assign_attrs(units="kPa"))

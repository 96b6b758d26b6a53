"""Daily tower records in one NetCDF file: weather and fluxes, as of FLUXNET's daily files or DifferLand's drivers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bowen.data.canonical import build_daily_record
from bowen.data.quality_flags import list_assumptions
from bowen.data.readers.alma import from_alma
from bowen.data.readers.netcdf import load_netcdf
from bowen.data.schema import SCHEMA, find_nearest
from bowen.data.site_metadata import find_site_identifier
from bowen.errors import DataError

_NEEDED = ("shortwave_down", "air_temperature_min", "air_temperature_max", "vapor_pressure_deficit", "precipitation")
_WEATHER = ("air_temperature", "longwave_down", "wind_speed", "air_pressure", "leaf_area_index")
_OBSERVED = ("net_radiation", "ground_heat", "evapotranspiration", "latent_heat", "sensible_heat")
_READ = (*_NEEDED, *_WEATHER, *_OBSERVED)
_VAPORIZATION = 2.442e6  # J kg-1, used in these files
_PRESSURE, _KILOPASCALS = "Psurf_as_delivered", (40.0, 110.0)


def read_daily_tower(path: Path | str, *, site: Mapping[str, Any] | None = None) -> xr.Dataset:
    """Read one tower from a NetCDF file with daily Tair_min, Tair_max, SWdown, VPD and Precip.

    Args:
        path: The file; a pressure named `Psurf_as_delivered` is in kPa.
        site: Metadata of the site that are missing or wrong; see `read_plumber2`.

    Returns:
        The canonical daily dataset, in SI: `shortwave_down` (mean over 24 h), `air_temperature_min`,
        `air_temperature_max`, `vapor_pressure_deficit`, `precipitation`, and if present `air_temperature` (mean),
        `longwave_down`, `wind_speed`, `air_pressure`, `leaf_area_index`, `net_radiation`, `ground_heat`,
        `evapotranspiration`, `latent_heat`, `sensible_heat`; missing latent heat is computed from evapotranspiration.
        A day of a variable counts as measured, unless its share of measured half-hours (`NAME_qcfrac`) is below three
        quarters, or the note on the variable says that it is estimated. `disaggregate` makes forcing of them.

    Raises:
        ConfigError: `site` has unknown keys.
        DataError: The file is damaged, lacks a variable, or has impossible values; see `check_daily_record`.
    """
    path = Path(path)
    file = load_netcdf(path)
    record = from_alma(_with_pressure(file, path), path.name)
    if missing := [name for name in _NEEDED if name not in record]:
        looked_for = [alias for name in missing for alias in (SCHEMA[name].alma, *SCHEMA[name].aliases) if alias]
        raise DataError(
            path.name,
            f"no variable for {', '.join(missing)}",
            details={"looked for": ", ".join(looked_for), **find_nearest(looked_for, map(str, file.data_vars))},
            fix="rename the variable in the file, or read a half-hourly file with `bowen.read`",
        )
    series = {name: (record[name].values, record[f"{name}_qc"].values) for name in _READ if name in record}
    if "latent_heat" not in series and "evapotranspiration" in series:
        vapor, flags = series["evapotranspiration"]
        series["latent_heat"] = _VAPORIZATION * vapor, flags
    return build_daily_record(
        series,
        record.time.values,
        path,
        found={"site": find_site_identifier(path), **record.attrs},
        given=site,
        source="daily tower",
        notes=list_assumptions(record),
    )


def _with_pressure(file: xr.Dataset, path: Path) -> xr.Dataset:
    if _PRESSURE not in file:
        return file
    typical = float(np.nanmedian(file[_PRESSURE].values))
    if not _KILOPASCALS[0] < typical < _KILOPASCALS[1]:
        raise DataError(
            path.name,
            f"{_PRESSURE} has a median of {typical:.4g} instead of 40 to 110 kPa",
            fix='convert it, or rename it to Psurf and state its unit in the attribute "units"',
        )
    return file.assign(Psurf=file[_PRESSURE].assign_attrs(units="kPa"))

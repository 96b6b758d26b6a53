"""Daily means of observations at a tower, including soil variables and daily fluxes from separate files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from bowen.data.forcing.disaggregation import add_daily_fluxes
from bowen.data.quality_flags import is_measured, list_measured_targets
from bowen.data.readers.netcdf import load_netcdf
from bowen.data.schema import QC, add_attributes
from bowen.data.units import convert_to_si
from bowen.errors import DataError

_FLUXES = ("latent_heat", "sensible_heat", "ground_heat")
_SOIL = {"SoilTemp": "soil_temperature", "SoilMoist": "soil_moisture"}
_DAILY = {"Qle_daily": "latent_heat", "Qh_daily": "sensible_heat"}
_MIN_MEASURED = 0.75  # of a valid day, as in the daily fluxes of CalLMIP
_DAY = 86400.0  # s


def aggregate_observations(record: xr.Dataset, flux: Path | None = None, daily: Path | None = None) -> xr.Dataset:
    """Aggregate the observations at a tower to daily means.

    A day of a flux is valid if all steps have values and three quarters of them were measured, a day of a soil variable
    if all steps have values.

    Args:
        record: A canonical dataset.
        flux: The NetCDF file of its fluxes, which may hold `SoilTemp` and `SoilMoist` on the same clock.
        daily: A NetCDF file with `Qle_daily` and `Qh_daily`, used for fluxes missing in the record.

    Returns:
        Any of `latent_heat`, `sensible_heat`, `ground_heat` [W m-2], `soil_temperature` [K] and `soil_moisture` (in the
        unit of the file, which is often undeclared), NaN on invalid days; the site is in the attributes.

    Raises:
        DataError: A file is damaged, or has a unit that cannot be converted.
    """
    axis = record.time.values
    known = [name for name in _FLUXES if name in record and is_measured(record, name).any()]
    series = {name: _means(axis, record[name].values, is_measured(record, name), record) for name in known}
    if flux is not None:
        file = load_netcdf(flux)
        for theirs, ours in _SOIL.items():
            if theirs in file:
                values = file[theirs].squeeze(drop=True).reindex(time=axis).values.astype(float)
                if ours == "soil_temperature":
                    values = convert_to_si(values, str(file[theirs].attrs.get("units", "")), ours, flux.name)
                series[ours] = _means(axis, values, np.isfinite(values), record)
    if daily is not None:
        series = {**read_daily_fluxes(daily), **series}
    days = xr.Dataset(series, attrs=record.attrs)
    return days.sortby("time") if series else days


def find_daily_files(folder: Path) -> dict[str, Path]:
    """Find the files of daily fluxes in a folder, by site, named `SITE_daily_*_Flux.nc` as in CalLMIP.

    Raises:
        DataError: There is none.
    """
    files = {file.name.split("_daily_")[0]: file for file in sorted(folder.glob("*_daily_*_Flux.nc"), reverse=True)}
    if not files:
        raise DataError(str(folder), "has no daily fluxes named SITE_daily_*_Flux.nc", fix="check the path")
    return files


def read_daily_fluxes(path: Path) -> dict[str, xr.DataArray]:
    """Read daily latent and sensible heat from a NetCDF file with `Qle_daily` and `Qh_daily` [W m-2].

    Raises:
        DataError: The file is damaged, or has neither flux.
    """
    file = load_netcdf(path)
    if not set(_DAILY) & set(file.data_vars):
        raise DataError(
            path.name, f"has neither {' nor '.join(_DAILY)}", fix="pass daily fluxes in the layout of CalLMIP"
        )
    return {
        ours: file[theirs].isel({dim: 0 for dim in file[theirs].dims if dim != "time"}, drop=True).astype(float)
        for theirs, ours in _DAILY.items()
        if theirs in file
    }


def add_daily_file(record: xr.Dataset, files: Mapping[str, Path]) -> xr.Dataset:
    """Add the daily fluxes of its site to a record that has no measured targets.

    Args:
        record: A canonical dataset.
        files: Files from `find_daily_files`; their values count as measured.

    Returns:
        The record with daily fluxes, or unchanged if there are none for its site or it has measured targets itself.

    Raises:
        DataError: The file is damaged, or has no flux.
    """
    site = record.attrs["site"]
    if site not in files or list_measured_targets(record):
        return record
    daily = xr.Dataset(read_daily_fluxes(files[site]))
    for name in list(daily):
        daily[f"{name}_qc"] = "time", np.where(np.isfinite(daily[name]), QC.MEASURED, QC.MISSING).astype(np.int8)
    return add_daily_fluxes(record, add_attributes(daily.drop_attrs().assign_coords(time=daily.time.dt.floor("D"))))


def _means(time: np.ndarray, values: np.ndarray, good: np.ndarray, record: xr.Dataset) -> xr.DataArray:
    """Average over the valid days."""
    days, position = np.unique(time.astype("datetime64[D]"), return_inverse=True)
    steps = _DAY / record.attrs["timestep_s"]
    finite = np.isfinite(values)
    total, count, known = (np.bincount(position, part) for part in (np.where(finite, values, 0.0), finite, good))
    enough = (count == steps) & (known >= _MIN_MEASURED * steps)
    return xr.DataArray(np.where(enough, total / steps, np.nan), {"time": days.astype("datetime64[ns]")}, "time")

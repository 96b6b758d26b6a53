"""Days of all that was observed at a tower, also of what drives no model and trains none: soil, and daily fluxes."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from bowen.data.forcing.disaggregation import with_daily_fluxes
from bowen.data.quality_flags import measured, targets_measured
from bowen.data.readers.netcdf import load_netcdf
from bowen.data.schema import QC, describe
from bowen.data.units import to_si
from bowen.errors import DataError

_FLUXES = ("latent_heat", "sensible_heat", "ground_heat")
_SOIL = {"SoilTemp": "soil_temperature", "SoilMoist": "soil_moisture"}
_DAILY = {"Qle_daily": "latent_heat", "Qh_daily": "sensible_heat"}
_MEASURED = 0.75  # of a day that counts, as in the daily fluxes of CalLMIP
_DAY = 86400.0  # s


def observed_days(record: xr.Dataset, flux: Path | None = None, daily: Path | None = None) -> xr.Dataset:
    """What was observed at a tower, as means over days.

    A day of a flux counts if every step has a value and three quarters of them were measured; one of the soil if every
    step has a value.

    Args:
        record: A canonical dataset.
        flux: The NetCDF file of its fluxes, which may have `SoilTemp` and `SoilMoist` on the same clock.
        daily: A NetCDF file with `Qle_daily` and `Qh_daily`, which count where the record has no such flux.

    Returns:
        Any of `latent_heat`, `sensible_heat`, `ground_heat` [W m-2], `soil_temperature` [K] and `soil_moisture` (in the
        unit it has, which files seldom say), NaN on days that do not count, or none; the site is in the attributes.

    Raises:
        DataError: A file is damaged, or has a unit that cannot be converted.
    """
    axis = record.time.values
    known = [name for name in _FLUXES if name in record and measured(record, name).any()]
    series = {name: _means(axis, record[name].values, measured(record, name), record) for name in known}
    if flux is not None:
        file = load_netcdf(flux)
        for theirs, ours in _SOIL.items():
            if theirs in file:
                values = file[theirs].squeeze(drop=True).reindex(time=axis).values.astype(float)
                if ours == "soil_temperature":
                    values = to_si(values, str(file[theirs].attrs.get("units", "")), ours, flux.name)
                series[ours] = _means(axis, values, np.isfinite(values), record)
    if daily is not None:
        series = {**read_daily_fluxes(daily), **series}
    days = xr.Dataset(series, attrs=record.attrs)
    return days.sortby("time") if series else days


def daily_files(folder: Path) -> dict[str, Path]:
    """The files of daily fluxes in a folder by their site, named `SITE_daily_*_Flux.nc` as CalLMIP does.

    Raises:
        DataError: There is none.
    """
    files = {file.name.split("_daily_")[0]: file for file in sorted(folder.glob("*_daily_*_Flux.nc"), reverse=True)}
    if not files:
        raise DataError(f"{folder}: holds no daily fluxes, named SITE_daily_*_Flux.nc. Check the path.")
    return files


def read_daily_fluxes(path: Path) -> dict[str, xr.DataArray]:
    """The days of latent and sensible heat in a NetCDF file with `Qle_daily` and `Qh_daily`, by our names. [W m-2].

    Raises:
        DataError: The file is damaged, or has neither.
    """
    file = load_netcdf(path)
    if not set(_DAILY) & set(file.data_vars):
        raise DataError(f"{path.name}: has neither {' nor '.join(_DAILY)}. Pass daily fluxes as CalLMIP has them.")
    return {
        ours: file[theirs].isel({dim: 0 for dim in file[theirs].dims if dim != "time"}, drop=True).astype(float)
        for theirs, ours in _DAILY.items()
        if theirs in file
    }


def with_daily_file(record: xr.Dataset, files: Mapping[str, Path]) -> xr.Dataset:
    """A record with the daily fluxes of its site, to train models by; as it is if there are none, or its own.

    Args:
        record: A canonical dataset.
        files: As `daily_files` finds them; what is in them counts as measured.

    Raises:
        DataError: The file is damaged, or has no flux.
    """
    site = record.attrs["site"]
    if site not in files or targets_measured(record):
        return record
    daily = xr.Dataset(read_daily_fluxes(files[site]))
    for name in list(daily):
        daily[f"{name}_qc"] = "time", np.where(np.isfinite(daily[name]), QC.MEASURED, QC.MISSING).astype(np.int8)
    return with_daily_fluxes(record, describe(daily.drop_attrs().assign_coords(time=daily.time.dt.floor("D"))))


def _means(time: np.ndarray, values: np.ndarray, good: np.ndarray, record: xr.Dataset) -> xr.DataArray:
    """Means over the days of which there is enough."""
    days, place = np.unique(time.astype("datetime64[D]"), return_inverse=True)
    steps = _DAY / record.attrs["timestep_s"]
    there = np.isfinite(values)
    total, count, known = (np.bincount(place, part) for part in (np.where(there, values, 0.0), there, good))
    enough = (count == steps) & (known >= _MEASURED * steps)
    return xr.DataArray(np.where(enough, total / steps, np.nan), {"time": days.astype("datetime64[ns]")}, "time")

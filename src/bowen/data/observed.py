"""Days of all that was observed at a tower, also of what drives no model and trains none: soil, and daily fluxes."""

from pathlib import Path

import numpy as np
import xarray as xr

from bowen.data.quality import measured
from bowen.data.store import load_netcdf
from bowen.data.units import to_si

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
        file = load_netcdf(daily)
        for theirs, ours in _DAILY.items():
            if theirs in file and ours not in series:
                series[ours] = file[theirs].squeeze(drop=True).astype(float).drop_vars(["x", "y"], errors="ignore")
    days = xr.Dataset(series, attrs=record.attrs)
    return days.sortby("time") if series else days


def _means(time: np.ndarray, values: np.ndarray, good: np.ndarray, record: xr.Dataset) -> xr.DataArray:
    """Means over the days of which there is enough."""
    days, place = np.unique(time.astype("datetime64[D]"), return_inverse=True)
    steps = _DAY / record.attrs["timestep_s"]
    there = np.isfinite(values)
    total, count, known = (np.bincount(place, part) for part in (np.where(there, values, 0.0), there, good))
    enough = (count == steps) & (known >= _MEASURED * steps)
    return xr.DataArray(np.where(enough, total / steps, np.nan), {"time": days.astype("datetime64[ns]")}, "time")

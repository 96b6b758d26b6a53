"""PLUMBER2 and similar files: one NetCDF of weather, one of fluxes, ALMA names, a single place."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bowen.data.canonical import build_record
from bowen.data.quality_flags import list_assumptions
from bowen.data.readers.alma import from_alma, list_missing_weather, pair_series
from bowen.data.readers.netcdf import load_netcdf
from bowen.data.schema import SCHEMA, TARGETS, find_nearest
from bowen.data.site_metadata import find_site_identifier
from bowen.data.time_axis import compute_positions, find_time_step
from bowen.errors import DataError


def read_plumber2(
    met: Path | str, flux: Path | str | None = None, *, site: Mapping[str, Any] | None = None
) -> xr.Dataset:
    """Read one tower from a Met file and, for its targets, a Flux file in the layout of PLUMBER2.

    Args:
        met: The weather, possibly with the fluxes.
        flux: The fluxes and net radiation; absent steps count as missing.
        site: Metadata of the site that are missing or wrong: site, latitude, longitude, elevation, igbp,
            reference_height, canopy_height, utc_offset_hours.

    Returns:
        The canonical dataset, in SI; without `flux` it has only the targets in `met`.

    Raises:
        ConfigError: `site` has unknown keys.
        DataError: A file is damaged, lacks a variable, or has impossible values; see `check_record`.
    """
    met = Path(met)
    file = load_netcdf(met)
    weather = from_alma(file, met.name)
    _check_variables(weather, file, met)
    fluxes = xr.Dataset() if flux is None else _aligned(Path(flux), weather, met)
    together = weather.merge(fluxes, compat="override", join="left", combine_attrs="override")
    return build_record(
        pair_series(together),
        weather.time.values,
        met,
        found={"site": find_site_identifier(met), **weather.attrs},
        given=site,
        source="PLUMBER2",
        reading=list_assumptions(weather) + list_assumptions(fluxes),
    )


def _check_variables(weather: xr.Dataset, file: xr.Dataset, met: Path) -> None:
    if missing := list_missing_weather(weather):
        present = [str(name) for name in file.data_vars if not str(name).endswith("_qc")]
        looked_for = [alias for name in missing for alias in (SCHEMA[name].alma, *SCHEMA[name].aliases)]
        raise DataError(
            met.name,
            f"no variable for {', '.join(missing)}",
            details={"looked for": ", ".join(looked_for), **find_nearest(looked_for, present)},
            fix="pass the Met file first and the Flux file second, or rename the variable in the file",
        )


def _aligned(path: Path, weather: xr.Dataset, met: Path) -> xr.Dataset:
    """Read the fluxes and align them with the time axis of the weather."""
    fluxes = from_alma(load_netcdf(path), path.name)
    stamps = fluxes.time.values
    step = find_time_step(stamps, path.name)
    compute_positions(stamps, step, path.name)
    if step != find_time_step(weather.time.values, met.name):
        raise DataError(path.name, f"has another time step than {met.name}", fix="pass files of one resolution")
    near = np.timedelta64(step // 20, "s")
    on_axis = fluxes.reindex(time=weather.time.values, method="nearest", tolerance=near)  # type: ignore[arg-type]  # xarray's annotation knows only numbers
    if not any(np.isfinite(on_axis[name].values).any() for name in TARGETS if name in on_axis):
        raise DataError(
            path.name,
            f"has no fluxes at the times of {met.name} ({weather.time.values[0]:.16} to {weather.time.values[-1]:.16})",
            fix="pass the two files of one tower and period",
        )
    return on_axis

"""Subsets of a record that are scored separately: seasons, day and night, wet and dry."""

import numpy as np
import pandas as pd
import xarray as xr

ALL = "all"
SEASON_SUBSETS = ("winter", "spring", "summer", "autumn")
_DAYLIGHT = 10.0  # W m-2; above, it is day, as in PLUMBER2
_WET_SECONDS = 24 * 3600  # after the last rain


def subsets_of(dataset: xr.Dataset) -> dict[str, np.ndarray]:
    """Find the steps of each subset of a record.

    Args:
        dataset: A canonical record.

    Returns:
        By name, True at the steps of the subset: "all"; "winter" to "autumn", the meteorological seasons of the
        hemisphere; "day", with more than 10 W m-2 of shortwave radiation, and "night"; "wet", with precipitation in
        this step or the 24 hours before, and "dry". Missing radiation counts as night, missing precipitation as none.
    """
    stamps = dataset.time.values
    shift = 0 if dataset.attrs.get("latitude", 0.0) >= 0 else 2
    season = (pd.DatetimeIndex(stamps).month.to_numpy() % 12 // 3 + shift) % 4
    day = dataset.shortwave_down.values > _DAYLIGHT
    back = round(_WET_SECONDS / float((stamps[1] - stamps[0]) / np.timedelta64(1, "s")))
    rains = np.concatenate([np.zeros(back, int), np.cumsum(dataset.precipitation.values > 0.0)])
    wet = rains[back:] > rains[:-back]
    named = {name: season == number for number, name in enumerate(SEASON_SUBSETS)}
    return {ALL: np.full(len(stamps), True), **named, "day": day, "night": ~day, "wet": wet, "dry": ~wet}

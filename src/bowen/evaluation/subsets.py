"""Parts of a record that a model may do well or badly by: seasons, day and night, wet and dry."""

import numpy as np
import pandas as pd
import xarray as xr

ALL = "all"
SEASONS = ("winter", "spring", "summer", "autumn")
_DAYLIGHT = 10.0  # W m-2; above, it is day, as in PLUMBER2
_STAYS_WET = 24 * 3600  # s after the last rain


def subsets_of(dataset: xr.Dataset) -> dict[str, np.ndarray]:
    """Tell where each regime holds.

    Args:
        dataset: A canonical record.

    Returns:
        True at the steps of "all"; of the meteorological seasons of the hemisphere, "winter" to "autumn"; of "day",
        with more than 10 W m-2 of light, and "night"; of "wet", with rain within the last 24 hours, the step itself
        among them, and "dry". Missing light counts as night, missing rain as none.
    """
    stamps = dataset.time.values
    shift = 0 if dataset.attrs.get("latitude", 0.0) >= 0 else 2
    season = (pd.DatetimeIndex(stamps).month.to_numpy() % 12 // 3 + shift) % 4
    day = dataset.shortwave_down.values > _DAYLIGHT
    back = round(_STAYS_WET / float((stamps[1] - stamps[0]) / np.timedelta64(1, "s")))
    rains = np.concatenate([np.zeros(back, int), np.cumsum(dataset.precipitation.values > 0.0)])
    wet = rains[back:] > rains[:-back]
    named = {name: season == number for number, name in enumerate(SEASONS)}
    return {ALL: np.full(len(stamps), True), **named, "day": day, "night": ~day, "wet": wet, "dry": ~wet}

"""What time it is at a tower, judged by its light: the offset from UTC, and stamps that are off."""

import numpy as np
import xarray as xr

from bowen.data.sun import sun_height

_ENOUGH = 2 * 366 * 86400  # s of record; more would not say more
_LAG_STEP = 10  # min
_MAINLAND = 3  # h; clocks of countries stray from their longitude by no more


def offset_by_light(dataset: xr.Dataset) -> float:
    """The offset of a record's clock from UTC under which its light agrees best with the sun.

    Args:
        dataset: A record with `shortwave_down` and the attribute longitude.

    Returns:
        Whole hours. [h]
    """
    middle = round(dataset.attrs["longitude"] / 15.0)
    hours = np.arange(middle - _MAINLAND, middle + _MAINLAND + 1)
    return float(hours[int(np.argmax([_agreement(dataset, 60.0 * hour) for hour in hours]))])


def light_lag(dataset: xr.Dataset) -> float | None:
    """By how much the light of a record comes after the sun that its stamps and its clock promise.

    A lag of half or a whole step tells of stamps at the middle or the end of the averaging interval, a whole hour of
    daylight saving time or another time zone, twelve of a clock without afternoons.

    Args:
        dataset: A canonical dataset.

    Returns:
        Lag, to 10 min, between -11 and 12 h; None where the record has no daylight. [min]
    """

    def best(lags: np.ndarray) -> float:
        scores = [_agreement(dataset, 60.0 * dataset.attrs["utc_offset_hours"] + lag) for lag in lags]
        return float(lags[int(np.argmax(scores))]) if np.isfinite(scores).all() else np.nan

    hour = best(np.arange(-11, 13) * 60.0)
    lag = best(hour + np.arange(-60, 61, _LAG_STEP)) if np.isfinite(hour) else np.nan
    return lag if np.isfinite(lag) else None


def _agreement(dataset: xr.Dataset, offset: float) -> float:
    """Correlation of measured light with the sine of the sun's elevation, for a clock `offset` minutes before UTC."""
    step = dataset.attrs["timestep_s"]
    record = dataset.isel(time=slice(round(_ENOUGH / step)))
    middle = record.time.values + np.timedelta64(round(step / 2), "s")
    height = sun_height(middle, dataset.attrs, offset / 60.0)
    light = record.shortwave_down.values
    known = np.isfinite(light)
    if known.sum() < 2 or np.ptp(light[known]) == 0.0:
        return np.nan
    return float(np.corrcoef(np.maximum(height[known], 0.0), light[known])[0, 1])

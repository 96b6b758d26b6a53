"""Checks of the clock of a tower against the sun: offset from UTC, and stamps that are shifted always or at times."""

from typing import Any

import numpy as np
import xarray as xr

from bowen.data.solar import compute_elevation_sine
from bowen.data.time_axis import find_runs

_MAX_DAYS = 2 * 366  # d of a record used for its overall offset
_PIECE = 10  # d with one diurnal course of light; the sun moves little, and nearly every hour is clear once
_CLEAR = 0.9  # quantile of light at an hour of these days; afternoon clouds would shift the mean
_FINE_LAGS = np.arange(-60.0, 61.0, 10.0)  # min
_MAX_ZONE_SHIFT = 3  # h between legal time and the longitude
_PARTIAL_ZONES = {  # h ahead of UTC: longitudes and latitudes of the zones that are no whole hours
    -9.5: ((-142.0, -137.0), (-12.0, -7.0)),  # Marquesas
    -3.5: ((-60.0, -52.0), (46.0, 56.0)),  # Newfoundland
    3.5: ((44.0, 64.0), (24.0, 40.0)),  # Iran
    4.5: ((60.0, 75.0), (29.0, 39.0)),  # Afghanistan
    5.5: ((68.0, 98.0), (5.0, 36.0)),  # India, Sri Lanka
    5.75: ((80.0, 89.0), (26.0, 31.0)),  # Nepal
    6.5: ((92.0, 102.0), (-13.0, 29.0)),  # Myanmar, Cocos Islands
    8.75: ((125.0, 130.0), (-35.0, -30.0)),  # Eucla
    9.5: ((128.0, 142.0), (-39.0, -10.0)),  # South Australia, Northern Territory
    10.5: ((158.0, 160.0), (-33.0, -30.0)),  # Lord Howe
    12.75: ((-178.0, -175.0), (-46.0, -42.0)),  # Chatham Islands
}
_MIN_LIGHT = 50.0  # W m-2; the time cannot be derived from darker days
_MIN_CHANGE = 50.0  # min between pairs of pieces; clouds cause up to 45, daylight saving time 60


def estimate_utc_offset(dataset: xr.Dataset) -> float:
    """Estimate the offset of a record's clock from UTC at which its light agrees best with the sun.

    Args:
        dataset: A record with `shortwave_down` and the attributes latitude and longitude.

    Returns:
        Hours: whole ones within 3 h of the longitude, those of a zone of half or quarter hours at this place, or 0 for
        stamps in UTC; those of the longitude if there is no daylight. [h]
    """
    place = dataset.attrs["longitude"], dataset.attrs["latitude"]
    middle = round(place[0] / 15.0)
    partial = [
        hours
        for hours, within in _PARTIAL_ZONES.items()
        if all(least <= degrees <= most for degrees, (least, most) in zip(place, within, strict=True))
    ]
    whole = np.arange(middle - _MAX_ZONE_SHIFT, middle + _MAX_ZONE_SHIFT + 1)
    hours = np.unique([*whole, *partial, 0.0])
    course = _whole(dataset)
    scores = np.array([_agreement(*course, dataset, 60.0 * hour)[0] for hour in hours])
    return float(hours[int(np.argmax(scores))] if np.isfinite(scores).all() else middle)


def compute_clock_lag(dataset: xr.Dataset) -> float | None:
    """Compute the lag of the light of a record behind the sun at its stamps.

    A lag of half a step or a whole one means stamps at the middle or the end of the averaging interval, a whole hour
    daylight saving time or another time zone, twelve hours a 12-hour clock.

    Args:
        dataset: A canonical dataset.

    Returns:
        Lag, to 10 min, between -11 and 12 h; None if the record has no daylight. [min]
    """
    course = _whole(dataset)
    (hour,) = _lags(*course, dataset, np.arange(-11, 13) * 60.0)
    if not np.isfinite(hour):
        return None
    (lag,) = _lags(*course, dataset, hour + _FINE_LAGS)
    return float(lag)


def find_clock_changes(dataset: xr.Dataset) -> list[dict[str, Any]]:
    """Find periods whose light comes earlier or later than in the rest, as under daylight saving time.

    The record is compared in pieces of ten days. Two in a row must agree, and differ from the rest by most of an hour.

    Args:
        dataset: A canonical dataset.

    Returns:
        In order of time `start`, `end` (first and last day) and `lag` [min] of each period, and `usual`, the lag of the
        rest.
    """
    if (whole := compute_clock_lag(dataset)) is None:
        return []
    light, middles = _courses(dataset, None, _CLEAR)
    lags = _lags(light, middles, dataset, whole + np.concatenate([_FINE_LAGS - 60.0, _FINE_LAGS[1:] + 60.0]))
    known = np.flatnonzero(np.isfinite(lags))
    if len(known) < 2:
        return []
    pairs = (lags[known][1:] + lags[known][:-1]) / 2.0
    if np.ptp(pairs) < _MIN_CHANGE:
        return []
    late = lags[known] > (pairs.min() + pairs.max()) / 2.0
    odd = late if 2 * late.sum() <= len(known) else ~late
    usual = float(np.median(lags[known][~odd]))
    found = []
    for first, end in find_runs(odd):
        run = known[first:end]
        if len(run) > 1:
            days = middles[run[[0, -1]], 0].astype("datetime64[D]") + np.array([-(_PIECE // 2), _PIECE // 2 - 1])
            lag = float(np.median(lags[run]))
            found.append({"start": str(days[0]), "end": str(days[1]), "lag": lag, "usual": usual})
    return found


def _whole(dataset: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean courses of light and their instants in one row."""
    light, middles = _courses(dataset, _MAX_DAYS)
    return light.reshape(1, -1), middles.reshape(1, -1)


def _courses(dataset: xr.Dataset, most: int | None, quantile: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Compute the diurnal course of light in pieces of the first `most` days, as mean or quantile.

    Returns:
        Light by piece and step of the day [W m-2], and its instants on the day in the middle of the piece.
    """
    step = dataset.attrs["timestep_s"]
    size = round(86400 / step)
    days = len(dataset.time) // size if most is None else min(len(dataset.time) // size, most)
    length = min(_PIECE, max(days, 1))
    pieces = (days + length // 2) // length
    light = np.full(pieces * length * size, np.nan)
    given = dataset.shortwave_down.values[: len(light)]
    light[: len(given)] = given
    light = light.reshape(pieces, length, size)
    light = np.sort(light, axis=1)  # missing values come last
    count = np.isfinite(light).sum(axis=1)
    if quantile is None:
        course = np.where(count > 0, np.nansum(light, axis=1), np.nan) / np.maximum(count, 1)
    else:
        rank = np.round(quantile * np.maximum(count - 1, 0)).astype(int)
        course = np.take_along_axis(light, rank[:, None], axis=1)[:, 0]
    middle = (np.arange(pieces)[:, None] * length + length // 2) * size + np.arange(size)
    return course, dataset.time.values[0] + (middle * step + round(step / 2)).astype("timedelta64[s]")


def _lags(light: np.ndarray, middles: np.ndarray, dataset: xr.Dataset, lags: np.ndarray) -> np.ndarray:
    """Find the lag at which each row of light agrees best with the sun; NaN if there is none."""
    offset = 60.0 * dataset.attrs["utc_offset_hours"]
    scores = np.array([_agreement(light, middles, dataset, offset + lag) for lag in lags])
    known = np.isfinite(scores).all(axis=0)
    return np.where(known, lags[np.argmax(np.where(known, scores, 0.0), axis=0)], np.nan)


def _agreement(light: np.ndarray, middles: np.ndarray, dataset: xr.Dataset, offset: float) -> np.ndarray:
    """Correlate each row of light with the sine of solar elevation, for a clock `offset` min ahead of UTC."""
    known = np.isfinite(light)
    height = compute_elevation_sine(middles.ravel(), dataset.attrs, offset / 60.0).reshape(light.shape)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)

    def centered(values: np.ndarray) -> np.ndarray:
        values = np.where(known, values, 0.0)
        return np.where(known, values - values.sum(axis=1, keepdims=True) / count, 0.0)

    sun, shine = centered(np.maximum(height, 0.0)), centered(light)
    bright = np.where(known, light, 0.0).max(axis=1, initial=0.0) >= _MIN_LIGHT
    spread = np.sqrt((sun**2).sum(axis=1) * (shine**2).sum(axis=1))
    return np.where(bright & (spread > 0.0), (sun * shine).sum(axis=1), np.nan) / np.where(spread > 0.0, spread, 1.0)

"""Checks of the clock of a tower against the sun: offset from UTC, and stamps that are shifted always or at times."""

from typing import Any

import numpy as np
import xarray as xr

from bowen.data.solar import compute_elevation_sine, compute_sunrise_and_noon
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
_FIRST_LIGHT = 10.0  # W m-2 above the night; diffuse light reaches it at sunrise whatever the horizon and the haze
_NEIGHBORHOOD = np.timedelta64(30, "D")  # before and after a change, in which the horizon is the same
_MIN_EDGE_SHIFT = 35.0  # min of sunrise and of sunset; clouds and horizons move one by up to 25, or one alone
_MIN_HALF_DAY, _MAX_HALF_DAY = 3.0, 10.0  # h from sunrise to noon; near polar night and day the sun hardly crosses
MAX_CLOCK_LAG, _MIN_CENTER_LAG = 20.0, 15.0  # min, of the course of light and of the middle of first and last light
_MAX_UNCERTAIN_LAG = 90.0  # min; a larger lag is not caused by clouds or a horizon


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
    First and last light must both move with them: a horizon or haze delays one of them, or neither.

    Args:
        dataset: A canonical dataset.

    Returns:
        In order of time `start`, `end` (first and last day), `lag` [min] of each period, `usual`, the lag of the rest,
        and `sunrise` and `sunset`, by how much first and last light are later than in the 30 days around it [min].
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
    edges = _light_edges(dataset)
    found = []
    for first, end in find_runs(odd):
        run = known[first:end]
        if len(run) > 1:
            start, last = middles[run[[0, -1]], 0].astype("datetime64[D]") + np.array([-(_PIECE // 2), _PIECE // 2 - 1])
            lag = float(np.median(lags[run]))
            rise, fall = _edge_shifts(*edges, start, last)
            direction = np.sign(lag - usual)
            if direction * rise >= _MIN_EDGE_SHIFT and direction * fall >= _MIN_EDGE_SHIFT:
                period = {"start": str(start), "end": str(last), "lag": lag, "usual": usual}
                found.append({**period, "sunrise": float(rise), "sunset": float(fall)})
    return found


def compute_light_center_lag(dataset: xr.Dataset) -> float | None:
    """Compute the lag of the middle between first and last light behind solar noon.

    Clouds in the afternoon and a horizon change the course of light over the day, and with it `compute_clock_lag`, but
    not this.

    Args:
        dataset: A canonical dataset.

    Returns:
        Median over the days; None if first and last light are known on no day. [min]
    """
    _, rise, fall = _light_edges(dataset)
    center = (rise + fall) / 2.0
    return float(np.nanmedian(center)) if np.isfinite(center).any() else None


def is_clock_off(dataset: xr.Dataset, lag: float) -> bool:
    """Check for a lag of the light by most of a half-hour, confirmed by first and last light unless it is large.

    Args:
        dataset: A canonical dataset.
        lag: Its lag by `compute_clock_lag`. [min]
    """
    if abs(lag) < MAX_CLOCK_LAG:
        return False
    center = compute_light_center_lag(dataset) if abs(lag) <= _MAX_UNCERTAIN_LAG else None
    return center is None or abs(center) >= _MIN_CENTER_LAG


def _light_edges(dataset: xr.Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the days, and by how much first and last light of each are later than sunrise and sunset [min]."""
    step, stamps = dataset.attrs["timestep_s"], dataset.time.values
    size, start = round(86400 / step), stamps[0].astype("datetime64[D]")
    before = round(float((stamps[0] - start) / np.timedelta64(1, "s")) / step)
    count = -(-(len(stamps) + before) // size)
    light = np.full(count * size, np.nan)
    light[before : before + len(stamps)] = dataset.shortwave_down.values
    light = light.reshape(count, size)
    whole = np.isfinite(light).all(axis=1)
    lit = light - np.where(whole, light.min(axis=1), 0.0)[:, None] > _FIRST_LIGHT
    days = start + np.arange(count)
    rise, noon = compute_sunrise_and_noon(days, dataset.attrs)
    known = whole & lit.any(axis=1) & (noon - rise > _MIN_HALF_DAY) & (noon - rise < _MAX_HALF_DAY)
    first, last = lit.argmax(axis=1), size - lit[:, ::-1].argmax(axis=1)
    edges = (first * step / 3600.0 - rise, last * step / 3600.0 - (2.0 * noon - rise))
    early, late = (np.where(known, 60.0 * edge, np.nan) for edge in edges)
    return days, early, late


def _edge_shifts(
    days: np.ndarray, rise: np.ndarray, fall: np.ndarray, start: np.datetime64, last: np.datetime64
) -> tuple[float, float]:
    """Compare first and last light from `start` to `last` with the days around: by how much they are later [min]."""
    inside = (days >= start) & (days <= last)
    around = ~inside & (days >= start - _NEIGHBORHOOD) & (days <= last + _NEIGHBORHOOD)

    def shift(edge: np.ndarray) -> float:
        within, beyond = (edge[chosen & np.isfinite(edge)] for chosen in (inside, around))
        return float(np.median(within) - np.median(beyond)) if len(within) and len(beyond) else np.nan

    return shift(rise), shift(fall)


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

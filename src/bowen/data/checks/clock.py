"""What time it is at a tower, judged by its light: the offset from UTC, and stamps that are off, always or at times."""

from typing import Any

import numpy as np
import xarray as xr

from bowen.data.solar import sun_height
from bowen.data.time_axis import spells

_ENOUGH = 2 * 366  # d of record; more would not say more of the whole
_PIECE = 10  # d with one daily course of light; the sun moves little meanwhile, and nearly every hour is clear once
_CLEAR = 0.9  # quantile of the light at an hour of these days; the mean would take the clouds of afternoons for a lag
_NEAR = np.arange(-60.0, 61.0, 10.0)  # min
_MAINLAND = 3  # h; clocks of countries stray from their longitude by no more
_DIM = 50.0  # W m-2; days that are darker tell no time
_CHANGED = 50.0  # min, between pairs of pieces; clouds make 45 of them, daylight saving 60


def offset_by_light(dataset: xr.Dataset) -> float:
    """The offset of a record's clock from UTC under which its light agrees best with the sun.

    Args:
        dataset: A record with `shortwave_down` and the attribute longitude.

    Returns:
        Whole hours, those of the longitude where there is no daylight. [h]
    """
    middle = round(dataset.attrs["longitude"] / 15.0)
    hours = np.arange(middle - _MAINLAND, middle + _MAINLAND + 1)
    scores = np.array([_agreement(*_whole(dataset), dataset, 60.0 * hour)[0] for hour in hours])
    return float(hours[int(np.argmax(scores))] if np.isfinite(scores).all() else middle)


def light_lag(dataset: xr.Dataset) -> float | None:
    """By how much the light of a record comes after the sun that its stamps and its clock promise.

    A lag of half or a whole step tells of stamps at the middle or the end of the averaging interval, a whole hour of
    daylight saving time or another time zone, twelve of a clock without afternoons.

    Args:
        dataset: A canonical dataset.

    Returns:
        Lag, to 10 min, between -11 and 12 h; None where the record has no daylight. [min]
    """
    course = _whole(dataset)
    (hour,) = _lags(*course, dataset, np.arange(-11, 13) * 60.0)
    if not np.isfinite(hour):
        return None
    (lag,) = _lags(*course, dataset, hour + _NEAR)
    return float(lag)


def clock_changes(dataset: xr.Dataset) -> list[dict[str, Any]]:
    """The parts of a record whose light comes earlier or later than in the rest, as under daylight saving time.

    Told apart are parts of ten days, of which two in a row have to agree, with most of an hour between them and the
    rest.

    Args:
        dataset: A canonical dataset.

    Returns:
        By time `start`, `end` (the first and the last day) and `lag` [min] of each part, and `usual`, that of the rest.
    """
    if (whole := light_lag(dataset)) is None:
        return []
    light, middles = _courses(dataset, None, _CLEAR)
    lags = _lags(light, middles, dataset, whole + np.concatenate([_NEAR - 60.0, _NEAR[1:] + 60.0]))
    known = np.flatnonzero(np.isfinite(lags))
    if len(known) < 2:
        return []
    pairs = (lags[known][1:] + lags[known][:-1]) / 2.0
    if np.ptp(pairs) < _CHANGED:
        return []
    late = lags[known] > (pairs.min() + pairs.max()) / 2.0
    odd = late if 2 * late.sum() <= len(known) else ~late
    usual = float(np.median(lags[known][~odd]))
    found = []
    for first, end in spells(odd):
        run = known[first:end]
        if len(run) > 1:
            days = middles[run[[0, -1]], 0].astype("datetime64[D]") + np.array([-(_PIECE // 2), _PIECE // 2 - 1])
            lag = float(np.median(lags[run]))
            found.append({"start": str(days[0]), "end": str(days[1]), "lag": lag, "usual": usual})
    return found


def _whole(dataset: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The mean courses of light and their instants, all in one row."""
    light, middles = _courses(dataset, _ENOUGH)
    return light.reshape(1, -1), middles.reshape(1, -1)


def _courses(dataset: xr.Dataset, most: int | None, quantile: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The daily course of light in pieces of the first `most` days: its mean, or a quantile of it.

    Returns:
        Light by piece and step of the day [W m-2], and the instants it is for, on the day in the middle of the piece.
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
    light = np.sort(light, axis=1)  # what is missing comes last
    count = np.isfinite(light).sum(axis=1)
    if quantile is None:
        course = np.where(count > 0, np.nansum(light, axis=1), np.nan) / np.maximum(count, 1)
    else:
        rank = np.round(quantile * np.maximum(count - 1, 0)).astype(int)
        course = np.take_along_axis(light, rank[:, None], axis=1)[:, 0]
    middle = (np.arange(pieces)[:, None] * length + length // 2) * size + np.arange(size)
    return course, dataset.time.values[0] + (middle * step + round(step / 2)).astype("timedelta64[s]")


def _lags(light: np.ndarray, middles: np.ndarray, dataset: xr.Dataset, lags: np.ndarray) -> np.ndarray:
    """Of some lags, for each row of light that under which it agrees best with the sun, NaN where it tells none."""
    offset = 60.0 * dataset.attrs["utc_offset_hours"]
    scores = np.array([_agreement(light, middles, dataset, offset + lag) for lag in lags])
    told = np.isfinite(scores).all(axis=0)
    return np.where(told, lags[np.argmax(np.where(told, scores, 0.0), axis=0)], np.nan)


def _agreement(light: np.ndarray, middles: np.ndarray, dataset: xr.Dataset, offset: float) -> np.ndarray:
    """Correlation of each row of light with the sine of the sun's elevation, for a clock `offset` min before UTC."""
    known = np.isfinite(light)
    height = sun_height(middles.ravel(), dataset.attrs, offset / 60.0).reshape(light.shape)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)

    def centered(values: np.ndarray) -> np.ndarray:
        values = np.where(known, values, 0.0)
        return np.where(known, values - values.sum(axis=1, keepdims=True) / count, 0.0)

    sun, shine = centered(np.maximum(height, 0.0)), centered(light)
    bright = np.where(known, light, 0.0).max(axis=1, initial=0.0) >= _DIM
    spread = np.sqrt((sun**2).sum(axis=1) * (shine**2).sum(axis=1))
    return np.where(bright & (spread > 0.0), (sun * shine).sum(axis=1), np.nan) / np.where(spread > 0.0, spread, 1.0)

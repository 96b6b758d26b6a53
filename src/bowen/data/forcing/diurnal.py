"""Diurnal courses from daily extremes and means; arrays are days by steps."""

import numpy as np

_MIN_DISTANCE = 1e-3  # of a day's range, between an extreme and all other steps, so that the mean can move them
_MAX_LOG_EXPONENT = 300.0  # moves even the first and last step of a day
_HALVINGS = 70  # of the interval of that logarithm, to the last bit of the mean


def interpolate_extremes(
    low: np.ndarray, high: np.ndarray, low_at: np.ndarray, high_at: np.ndarray, steps: int
) -> np.ndarray:
    """Interpolate the extremes of each day, given at certain steps, by a curve continuous at midnight.

    The curve is monotone between extremes and never outside those of its own day. At midnight it has the value of a
    curve through the extremes alone, or the nearest value that both days allow.

    Args:
        low: Minimum of each day, without gaps.
        high: Maximum of each day.
        low_at: The step of the minimum of each day. [1]
        high_at: The step of the maximum of each day. [1]
        steps: Number of steps in a day. [1]

    Returns:
        The curve, in the unit of the extremes.

    Source:
        The monotone cubic of Fritsch and Butland (1984), SIAM J. Sci. Stat. Comput. 5, 300-304.
    """
    from scipy.interpolate import PchipInterpolator  # imported here because few readers need it

    around = ((1, 1), (0, 0))  # the first and the last day are their own neighbors
    values = np.pad(np.stack([low, high], axis=1), around, mode="edge")
    within = np.pad(np.stack([low_at, high_at], axis=1), around, mode="edge") + 0.5
    positions = within + steps * np.arange(-1, len(low) + 1)[:, None]
    order = np.argsort(positions, axis=None)
    at, knots = positions.ravel()[order], values.ravel()[order]

    midnights = steps * np.arange(len(low) + 1)
    floor = np.maximum(values[:-1, 0], values[1:, 0])
    ceiling = np.maximum(np.minimum(values[:-1, 1], values[1:, 1]), floor)
    at = np.concatenate([at, midnights])
    knots = np.concatenate([knots, np.clip(PchipInterpolator(at[: -len(midnights)], knots)(midnights), floor, ceiling)])
    order = np.argsort(at)
    curve = PchipInterpolator(at[order], knots[order])(np.arange(len(low) * steps) + 0.5).reshape(-1, steps)

    held, day = np.clip(curve, low[:, None], high[:, None]), np.arange(len(low))
    held[day, low_at], held[day, high_at] = low, high
    return held


def bend_to_mean(curve: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Bend a curve to a given mean of each day, with its extremes fixed and midnight nearly so.

    With the curve as a fraction of the day's range, each step is raised to a power whose logarithm follows half a sine
    from midnight to midnight; bisection finds the height of the sine that gives the mean.

    Args:
        curve: Days by steps.
        mean: Required mean of each day; days with NaN stay unchanged.

    Returns:
        The bent curve; the nearest possible one if the mean is too close to an extreme.
    """
    days, steps = curve.shape
    low, high = curve.min(axis=1, keepdims=True), curve.max(axis=1, keepdims=True)
    span = np.where(high > low, high - low, 1.0)
    fraction, day = np.clip((curve - low) / span, _MIN_DISTANCE, 1.0 - _MIN_DISTANCE), np.arange(days)
    fraction[day, curve.argmin(axis=1)], fraction[day, curve.argmax(axis=1)] = 0.0, 1.0
    due = (mean[:, None] - low) / span
    noon = np.sin(np.pi * (np.arange(steps) + 0.5) / steps)
    lower, upper = np.full((days, 1), -_MAX_LOG_EXPONENT), np.full((days, 1), _MAX_LOG_EXPONENT)
    for _ in range(_HALVINGS):
        height = (lower + upper) / 2.0
        above = (fraction ** np.exp(noon * height)).mean(axis=1, keepdims=True) > due
        lower, upper = np.where(above, height, lower), np.where(above, upper, height)
    keep = np.isnan(mean)[:, None] | (high == low)
    return np.where(keep, curve, low + span * fraction ** np.exp(noon * (lower + upper) / 2.0))

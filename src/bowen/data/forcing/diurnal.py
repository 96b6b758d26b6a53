"""The course of a day through what is known of it as a whole; arrays are days by steps."""

import numpy as np

_LEAST = 1e-3  # of a day's range; how near an extreme all other steps come, so that a mean can move them
_STEEPEST = 300.0  # logarithm of the largest exponent; moves even the first and last step of a day
_HALVINGS = 70  # of that logarithm, to the last bit of the mean


def through_extremes(
    low: np.ndarray, high: np.ndarray, low_at: np.ndarray, high_at: np.ndarray, steps: int
) -> np.ndarray:
    """A curve that has the extremes of each day at given steps and is continuous at midnight.

    It is monotone from one extreme to the next and never outside those of its own day. At midnight it is where a
    curve through the extremes alone would be, or at the nearest value that both days allow.

    Args:
        low: Minimum of each day; none is missing.
        high: Maximum of each day.
        low_at: The step of each day that has the minimum. [1]
        high_at: The step of each day that has the maximum. [1]
        steps: Number of steps in a day. [1]

    Returns:
        The curve, in the unit of the extremes.

    Source:
        The monotone cubic of Fritsch and Butland (1984), SIAM J. Sci. Stat. Comput. 5, 300-304.
    """
    from scipy.interpolate import PchipInterpolator  # here, because most who read a record do not need it

    around = ((1, 1), (0, 0))  # the first and the last day have neighbors like themselves
    values = np.pad(np.stack([low, high], axis=1), around, mode="edge")
    within = np.pad(np.stack([low_at, high_at], axis=1), around, mode="edge") + 0.5
    places = within + steps * np.arange(-1, len(low) + 1)[:, None]
    order = np.argsort(places, axis=None)
    at, knots = places.ravel()[order], values.ravel()[order]

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


def with_mean(curve: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """The curve bent to a given mean of each day; its extremes stay, and at midnight it hardly moves.

    With the curve as a share of the day's range, each step is raised to a power whose logarithm follows half a sine
    from midnight to midnight; its height is the one number that gives the mean.

    Args:
        curve: Days by steps.
        mean: Mean due on each day; where it is NaN the day stays as it is.

    Returns:
        The bent curve; where the mean lies so near an extreme that none has it, the nearest.
    """
    days, steps = curve.shape
    low, high = curve.min(axis=1, keepdims=True), curve.max(axis=1, keepdims=True)
    span = np.where(high > low, high - low, 1.0)
    share, day = np.clip((curve - low) / span, _LEAST, 1.0 - _LEAST), np.arange(days)
    share[day, curve.argmin(axis=1)], share[day, curve.argmax(axis=1)] = 0.0, 1.0
    due = (mean[:, None] - low) / span
    noon = np.sin(np.pi * (np.arange(steps) + 0.5) / steps)
    least, most = np.full((days, 1), -_STEEPEST), np.full((days, 1), _STEEPEST)
    for _ in range(_HALVINGS):
        height = (least + most) / 2.0
        above = (share ** np.exp(noon * height)).mean(axis=1, keepdims=True) > due
        least, most = np.where(above, height, least), np.where(above, most, height)
    keep = np.isnan(mean)[:, None] | (high == low)
    return np.where(keep, curve, low + span * share ** np.exp(noon * (least + most) / 2.0))

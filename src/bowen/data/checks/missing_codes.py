"""Undeclared codes of missing values: numbers that stand out from the values of a series, such as -999 or 1e20.

A usual code counts as missing wherever it is implausible; any other number only if it is repeated, implausible and far
from all values. Numbers that a variable may have are codes only if they are usual ones and repeated out of proportion.
"""

import re

import numpy as np

from bowen.data.schema import SCHEMA
from bowen.physics.constants import ICE_POINT

_NINES = re.compile(r"9{2,}(\.9+)?")  # -99, -999.9, 9999
_USUAL = ("6999", "7777", "7999", "8888", "9990", "9996", "9998", "32767", "32768", "65535")
_MIN_ENORMOUS = 1e8  # of any variable in any unit, such as 1e20, 9.96921e36 and 2147483647
_PLAUSIBLE = {  # of half-hours, where the valid range is wider
    "latent_heat": (-500.0, 990.0),
    "sensible_heat": (-500.0, 990.0),
    "ground_heat": (-500.0, 990.0),
    "net_radiation": (-400.0, 1400.0),
    "latent_heat_corrected": (-990.0, 2000.0),
    "sensible_heat_corrected": (-990.0, 2000.0),
    "latent_heat_uncertainty": (0.0, 990.0),
    "sensible_heat_uncertainty": (0.0, 990.0),
    "precipitation": (-1e-9, 0.5),
}
_CONTINUOUS = (  # no value but zero is repeated more often than those next to it
    *("latent_heat", "sensible_heat", "ground_heat", "net_radiation", "shortwave_down", "longwave_down"),
)
_NEAR_CODES = ("air_pressure", "relative_humidity")  # 99.9 kPa and 99.9 % are usual values
_IN_RANGE = (99.0, 99.9, 99.99, 999.0, 999.9, 999.99)
_MIN_EQUAL, _MAX_CODES, _MIN_SHARE = 3, 2, 0.9  # unusual codes: values of each, codes, share of implausible values
_GAP, _WIDE_GAP = 0.5, 2.0  # of the range of the other values
_MIN_REST = 0.05  # fraction of the values that are plausible; else the unit is wrong
_MIN_ATOM, _ATOM, _NEIGHBORHOOD = 10, 5, 0.05  # values; times any other within this fraction of the range


def find_missing_codes(values: np.ndarray, name: str, step: int) -> np.ndarray:
    """Find the values that are undeclared codes of missing values.

    Args:
        values: A series in the unit of the catalog, NaN where it is missing.
        name: Its canonical name.
        step: The averaging interval. [s]

    Returns:
        True at the codes. [1]
    """
    low, high = _PLAUSIBLE.get(name, SCHEMA[name].valid_range)
    extremes = [float(np.fmin.reduce(values)), float(np.fmax.reduce(values))]
    none = np.zeros(values.shape, bool)
    if (
        low <= extremes[0] <= extremes[1] <= high
        and name not in _CONTINUOUS
        and not any(_is_usual(extreme, name, step) for extreme in extremes)
    ):  # nearly always, and fast
        return none
    known = np.isfinite(values)
    inside = known & (values >= low) & (values <= high)
    rest = values[inside]
    codes: list[float] = []
    if known.sum() > len(rest):
        codes += _find_implausible(values[known & ~inside], rest, name, step)
    if len(rest) and name not in _NEAR_CODES:
        codes += _find_repeated(rest, name, step)
    return np.isin(values, codes) if codes else none


def describe_missing_codes(label: str, codes: np.ndarray, units: str = "") -> list[str]:
    """Describe the values that were taken for codes of missing values, a sentence for each code.

    Args:
        label: Name of the column or variable.
        codes: The values that were found.
        units: Their unit, if they are not as written in the file.
    """
    found, counts = np.unique(codes, return_counts=True)
    unit = f" {units}" if units else ""
    return [
        f"{label}: {count} {'values' if count > 1 else 'value'} of {code:.7g}{unit} "
        f"{'count' if count > 1 else 'counts'} as missing."
        for code, count in zip(found, counts, strict=True)
    ]


def _find_implausible(outside: np.ndarray, rest: np.ndarray, name: str, step: int) -> list[float]:
    """Find the codes among implausible values."""
    low, high = SCHEMA[name].valid_range
    floor, ceiling = (float(rest.min()), float(rest.max())) if len(rest) else (np.inf, -np.inf)
    extent = max(ceiling - floor, 0.0)
    found, counts = np.unique(outside, return_counts=True)
    gaps = np.maximum(floor - found, found - ceiling)
    usual = (
        np.array([_is_usual(code, name, step) for code in found]) if len(found) < 1000 else np.zeros(len(found), bool)
    )
    codes = usual & ((counts > 1) | (found < low) | (found > high) | (gaps > _GAP * extent))
    if len(rest) > _MIN_REST * (len(rest) + counts[~usual].sum()) and extent > 0.0:
        spread = float(np.ptp(np.quantile(rest, [0.01, 0.99]))) or extent
        odd = ~usual & (counts >= _MIN_EQUAL) & (gaps > _GAP * spread)
        if 0 < odd.sum() <= _MAX_CODES and counts[odd].sum() >= _MIN_SHARE * counts[~usual].sum():
            codes |= odd
    return [float(code) for code in found[codes]]


def _find_repeated(rest: np.ndarray, name: str, step: int) -> list[float]:
    """Find usual codes that are plausible values, but repeated and far from the others or out of proportion."""
    codes = []
    for extreme in (rest.max(), rest.min()):
        if not _is_usual(extreme, name, step):
            continue
        others = rest[rest != extreme]
        if not len(others) or len(rest) - len(others) < _MIN_EQUAL:
            continue
        extent = float(np.ptp(others))
        if extent > 0.0 and np.abs(others - extreme).min() > _WIDE_GAP * extent:
            codes.append(float(extreme))
    if name in _CONTINUOUS:
        large = rest[np.abs(rest) > 0.9 * _IN_RANGE[0]]
        for code in (sign * number for number in _IN_RANGE for sign in (-1.0, 1.0)):
            equal = np.abs(large - code) <= 1e-6 * abs(code)
            if (count := int(equal.sum())) >= _MIN_ATOM:
                near = large[~equal & (np.abs(large - code) <= _NEIGHBORHOOD * float(np.ptp(rest)))]
                if count > _ATOM * int(np.unique(near, return_counts=True)[1].max(initial=1)):
                    codes += [float(value) for value in np.unique(large[equal])]
    return codes


def _is_usual(value: float, name: str, step: int) -> bool:
    """Check for a usual code, in any unit that the variable may have in a file."""
    written = {
        "K": (value, value - ICE_POINT),
        "Pa": (value, value / 100.0, value / 1000.0),
        "1": (value, value * 100.0),
        "kg kg-1": (value, value * 1000.0),
        "kg m-2 s-1": (value, value * step, value * 3600.0),
    }.get(SCHEMA[name].units, (value,))
    digits = [f"{abs(number):.6g}" for number in written]
    return abs(value) >= _MIN_ENORMOUS or any(_NINES.fullmatch(text) or text in _USUAL for text in digits)

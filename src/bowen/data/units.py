"""Conversion of units declared in files to those of the catalog."""

import re

import numpy as np

from bowen.data.schema import SCHEMA
from bowen.errors import DataError
from bowen.physics.constants import ICE_POINT

_SYMBOLS = {  # lower case: the symbol that the conversions use
    symbol.lower(): symbol
    for symbol in ("W", "m", "mm", "kg", "g", "s", "h", "d", "K", "Pa", "hPa", "kPa", "degC", "%", "1")
} | {
    "-": "1", "none": "1", "dimensionless": "1", "unitless": "1", "fraction": "1",
    "watt": "W", "watts": "W",
    "meter": "m", "meters": "m", "metre": "m", "metres": "m",
    "millimeter": "mm", "millimeters": "mm", "millimetre": "mm", "millimetres": "mm",
    "kilogram": "kg", "kilograms": "kg", "gram": "g", "grams": "g",
    "sec": "s", "second": "s", "seconds": "s", "hr": "h", "hour": "h", "hours": "h", "day": "d", "days": "d",
    "kelvin": "K", "kelvins": "K", "degk": "K", "deg_k": "K", "degree_k": "K", "degrees_k": "K",
    "c": "degC", "°c": "degC", "℃": "degC", "celsius": "degC", "deg_c": "degC", "degree_c": "degC", "degrees_c": "degC",
    "degree_celsius": "degC", "degrees_celsius": "degC",
    "pascal": "Pa", "pascals": "Pa", "hectopascal": "hPa", "hectopascals": "hPa", "kilopascal": "kPa",
    "kilopascals": "kPa", "mb": "hPa", "mbar": "hPa", "millibar": "hPa", "millibars": "hPa",
    "percent": "%", "pct": "%",
}  # fmt: skip
_DEGREES = re.compile(r"\b(deg|degrees?)\.?\s+(?=[a-z])", re.IGNORECASE)  # "deg C" is one symbol
_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³", "-0123")
_FACTOR = re.compile(
    r"[\s.*·]*(?P<divided>/?)\s*(?P<symbol>[^\W\d]+|[%°℃][^\W\d]*|1|-)(?:(?:\*\*|\^)?(?P<power>[+-]?\d+))?\s*"
)
_CONVERSIONS = {  # (from, to): factor and offset
    ("hPa", "Pa"): (100.0, 0.0),
    ("kPa", "Pa"): (1000.0, 0.0),
    ("degC", "K"): (1.0, ICE_POINT),
    ("%", "1"): (0.01, 0.0),
    ("g kg-1", "kg kg-1"): (1e-3, 0.0),
    ("1", "kg kg-1"): (1.0, 0.0),
    ("1", "m2 m-2"): (1.0, 0.0),
    ("mm s-1", "kg m-2 s-1"): (1.0, 0.0),
    ("mm h-1", "kg m-2 s-1"): (1.0 / 3600.0, 0.0),
    ("mm d-1", "kg m-2 s-1"): (1.0 / 86400.0, 0.0),
    ("kg m-2 h-1", "kg m-2 s-1"): (1.0 / 3600.0, 0.0),
    ("kg m-2 d-1", "kg m-2 s-1"): (1.0 / 86400.0, 0.0),
    ("mm", "kg m-2"): (1.0, 0.0),
}


def convert_to_si(values: np.ndarray, units: str, name: str, where: str) -> np.ndarray:
    """Convert values of the variable `name` to the unit of the catalog.

    Args:
        values: The values in the file. [units]
        units: The unit the file declares, in a spelling of UDUNITS such as `W m**-2`, `W/m^2` or `watt m-2`.
        name: The canonical name of the variable.
        where: The file, for the message.

    Returns:
        The values. [the unit of `SCHEMA[name]`]

    Raises:
        DataError: The declared unit cannot be converted.
    """
    due = SCHEMA[name].units
    declared = _factors(units)
    if declared is not None and declared == _factors(due):
        return values
    for (unit, target), (factor, offset) in _CONVERSIONS.items():
        if target == due and declared is not None and declared == _factors(unit):
            return values * factor + offset
    accepted = [known for known, target in _CONVERSIONS if target == due]
    declaration = f"declared in `{units}`, which" if units.strip() else "declared in no unit, which"
    raise DataError(
        where,
        f"{name} is {declaration} cannot be converted to {due}",
        fix=f"convert it to one of {', '.join([due, *accepted])}, and correct its `units`",
    )


def _factors(units: str) -> list[tuple[str, int]] | None:
    """Split a unit into its symbols with their powers, sorted; None if it has an unknown symbol."""
    text = _DEGREES.sub(r"\1_", units.strip().translate(_SUPERSCRIPTS)).replace(" per ", "/")
    factors, end = [], 0
    while end < len(text):
        found = _FACTOR.match(text, end)
        symbol = found and _SYMBOLS.get(found["symbol"].lower())
        if not found or not symbol:
            return None
        power = int(found["power"] or 1)
        factors.append((symbol, -power if found["divided"] else power))
        end = found.end()
    return sorted(factor for factor in factors if factor[0] != "1")

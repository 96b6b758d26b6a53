"""Conversion of units declared in files to those of the catalog."""

import numpy as np

from bowen.data.schema import SCHEMA
from bowen.errors import DataError
from bowen.physics.constants import ICE_POINT

_SPELLINGS = {
    "-": "1",
    "": "1",
    "m2/m2": "m2 m-2",
    "w/m2": "W m-2",
    "w/m^2": "W m-2",
    "w m^-2": "W m-2",
    "kg/kg": "kg kg-1",
    "g/kg": "g kg-1",
    "m/s": "m s-1",
    "m s^-1": "m s-1",
    "mm/s": "kg m-2 s-1",
    "mm s-1": "kg m-2 s-1",
    "kg/m2/s": "kg m-2 s-1",
    "kg/m^2/s": "kg m-2 s-1",
    "kg m^-2 s^-1": "kg m-2 s-1",
    "mm/h": "mm h-1",
    "mm/hr": "mm h-1",
    "percent": "%",
    "c": "degC",
    "celsius": "degC",
    "degrees_celsius": "degC",
    "deg c": "degC",
    "kelvin": "K",
    "mb": "hPa",
    "mbar": "hPa",
}
_CONVERSIONS = {  # (from, to): factor and offset
    ("hPa", "Pa"): (100.0, 0.0),
    ("kPa", "Pa"): (1000.0, 0.0),
    ("degC", "K"): (1.0, ICE_POINT),
    ("%", "1"): (0.01, 0.0),
    ("g kg-1", "kg kg-1"): (1e-3, 0.0),
    ("1", "kg kg-1"): (1.0, 0.0),
    ("1", "m2 m-2"): (1.0, 0.0),
    ("mm h-1", "kg m-2 s-1"): (1.0 / 3600.0, 0.0),
}


def convert_to_si(values: np.ndarray, units: str, name: str, where: str) -> np.ndarray:
    """Convert values of the variable `name` to the unit of the catalog.

    Args:
        values: The values in the file. [units]
        units: The unit the file declares.
        name: The canonical name of the variable.
        where: The file, for the message.

    Returns:
        The values. [the unit of `SCHEMA[name]`]

    Raises:
        DataError: The declared unit cannot be converted.
    """
    due = SCHEMA[name].units
    spelled = units.strip()
    unit = {due.lower(): due, "hpa": "hPa", "kpa": "kPa", "degc": "degC", **_SPELLINGS}.get(spelled.lower(), spelled)
    if unit == due:
        return values
    if (unit, due) not in _CONVERSIONS:
        accepted = [known for known, target in _CONVERSIONS if target == due]
        raise DataError(
            where,
            f"{name} is declared in `{units}`, which cannot be converted to {due}",
            fix=f"convert it to one of {', '.join([due, *accepted])}, and correct its `units`",
        )
    factor, offset = _CONVERSIONS[unit, due]
    return values * factor + offset

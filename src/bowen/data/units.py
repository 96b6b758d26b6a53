"""Units at the door: whatever a file declares becomes the unit of the catalogue, or a sentence says why not."""

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


def to_si(values: np.ndarray, units: str, name: str, where: str) -> np.ndarray:
    """Values of the variable `name` in the unit of the catalogue.

    Args:
        values: The values as the file has them. [units]
        units: The unit the file declares.
        name: The canonical name of the variable.
        where: The file, for the message.

    Returns:
        The values. [the unit of `SCHEMA[name]`]

    Raises:
        DataError: There is no way from the one unit to the other.
    """
    due = SCHEMA[name].units
    spelled = units.strip()
    unit = {due.lower(): due, "hpa": "hPa", "kpa": "kPa", "degc": "degC", **_SPELLINGS}.get(spelled.lower(), spelled)
    if unit == due:
        return values
    if (unit, due) not in _CONVERSIONS:
        accepted = [known for known, target in _CONVERSIONS if target == due]
        raise DataError(
            f"{where}: {name} is declared in `{units}`, which cannot be turned into {due}. "
            f"Convert it to one of: {', '.join([due, *accepted])}, and correct its `units`."
        )
    factor, offset = _CONVERSIONS[unit, due]
    return values * factor + offset

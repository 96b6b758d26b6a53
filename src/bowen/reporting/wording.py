"""Text of numbers, units and names for pages and the terminal."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from bowen.data.schema import SCHEMA

_SECONDS_PER_DAY = 86400.0
DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
VERDICT_MARKS = {"good": "✓", "doubt": "!", "bad": "✗", "unknown": "?"}
FLUX_SYMBOLS = {"latent_heat": "LE", "sensible_heat": "H"}
SEASON_NAMES = {
    "DJF": "December to February",
    "MAM": "March to May",
    "JJA": "June to August",
    "SON": "September to November",
}
DISPLAY_UNITS = {  # SI unit: factor, offset and name of the unit displayed
    "K": (1.0, -273.15, "°C"),
    "Pa": (0.01, 0.0, "hPa"),
    "kg kg-1": (1e3, 0.0, "g kg⁻¹"),
    "1": (100.0, 0.0, "%"),
    "kg m-2 s-1": (3600.0, 0.0, "mm h⁻¹"),
}
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
ASCII_SCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
VEGETATION_NAMES = {  # by IGBP class
    "ENF": "evergreen needleleaf forest",
    "EBF": "evergreen broadleaf forest",
    "DNF": "deciduous needleleaf forest",
    "DBF": "deciduous broadleaf forest",
    "MF": "mixed forest",
    "CSH": "closed shrubland",
    "OSH": "open shrubland",
    "WSA": "woody savanna",
    "SAV": "savanna",
    "GRA": "grassland",
    "WET": "permanent wetland",
    "CRO": "cropland",
    "URB": "urban land",
    "CVM": "cropland and natural vegetation",
    "SNO": "snow and ice",
    "BSV": "barren land",
    "WAT": "water",
}


def format_number(value: float, digits: int) -> str:
    """Format a number with a typographic minus sign; NaN as a dash."""
    return f"{value:,.{digits}f}".replace("-", MINUS) if np.isfinite(value) else DASH


def format_significant(value: float) -> str:
    """Format a number of any magnitude to three significant digits, thousands as integers."""
    if not np.isfinite(value):
        return "not a number"
    written = f"{value:,.0f}" if 1e3 <= abs(value) < 1e5 else f"{value:.3g}".replace("e+0", "e").replace("e-0", "e-")
    return written.replace("-", MINUS)


def format_unit(unit: str) -> str:
    """Format a UDUNITS string: `W m-2` as W m⁻², and that of a pure number as nothing."""
    return (
        "" if unit == "1" else re.sub(r"(?<=[A-Za-z])-?\d+", lambda power: power.group().translate(SUPERSCRIPTS), unit)
    )


def describe_variable(variable: xr.DataArray) -> tuple[str, str]:
    """Return the meaning and the formatted unit of a variable."""
    meaning = variable.attrs.get("long_name") or str(variable.name).removeprefix("parameter_").replace("_", " ")
    return meaning[:1].upper() + meaning[1:], format_unit(variable.attrs.get("units", ""))


def to_display_unit(name: str, values: float | np.ndarray) -> tuple[float | np.ndarray, str]:
    """Convert values of a canonical variable to the unit displayed, and return that unit too."""
    unit = SCHEMA[name].units
    factor, offset, shown = DISPLAY_UNITS.get(unit, (1.0, 0.0, format_unit(unit)))
    return factor * values + offset, shown


def to_display_statistics(entry: Mapping[str, Any]) -> tuple[list[float | None], str]:
    """Convert minimum, mean and maximum of a variable to the unit displayed; precipitation in mm per day.

    Args:
        entry: An item of `variables` of `summarize_record`.

    Returns:
        The three numbers, None where unknown, and their unit; those of precipitation are over days.
    """
    is_rain = entry["name"] == "precipitation"
    bounds = ("daily_minimum", "mean", "daily_maximum") if is_rain else ("minimum", "mean", "maximum")
    values = [entry[bound] for bound in bounds]
    factor, unit = (_SECONDS_PER_DAY, "mm d⁻¹") if is_rain else (None, to_display_unit(entry["name"], 0.0)[1])

    def convert(value: float) -> float:
        return float(to_display_unit(entry["name"], value)[0]) if factor is None else factor * value

    return [None if value is None else convert(value) for value in values], unit


def flux_name(target: str) -> str:
    """Return the name of a target with its symbol."""
    return f"{target.replace('_', ' ').capitalize()} flux {FLUX_SYMBOLS.get(target, '')}".strip()

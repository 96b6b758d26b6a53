"""How quantities, numbers and units are written for reading."""

import re

import numpy as np
import xarray as xr

from bowen.data.schema import SCHEMA

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
MARKS = {"good": "✓", "doubt": "!", "bad": "✗", "unknown": "?"}
SYMBOLS = {"latent_heat": "LE", "sensible_heat": "H"}
SEASON_NAMES = {
    "DJF": "December to February",
    "MAM": "March to May",
    "JJA": "June to August",
    "SON": "September to November",
}
READABLE = {  # SI unit: factor, offset and name of the unit that people read
    "K": (1.0, -273.15, "°C"),
    "Pa": (0.01, 0.0, "hPa"),
    "kg kg-1": (1e3, 0.0, "g kg⁻¹"),
    "1": (100.0, 0.0, "%"),
    "kg m-2 s-1": (3600.0, 0.0, "mm h⁻¹"),
}
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
BIOMES = {
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


def number(value: float, places: int) -> str:
    """Write a number with a true minus sign; a dash where there is none."""
    return f"{value:,.{places}f}".replace("-", MINUS) if np.isfinite(value) else DASH


def small(value: float) -> str:
    """Write a number of any size in three digits, whole thousands in full."""
    if not np.isfinite(value):
        return "not a number"
    written = f"{value:,.0f}" if 1e3 <= abs(value) < 1e5 else f"{value:.3g}".replace("e+0", "e").replace("e-0", "e-")
    return written.replace("-", MINUS)


def written_unit(unit: str) -> str:
    """Write a UDUNITS string for reading: `W m-2` as W m⁻²; a pure number has none."""
    return (
        "" if unit == "1" else re.sub(r"(?<=[A-Za-z])-?\d+", lambda power: power.group().translate(SUPERSCRIPTS), unit)
    )


def described(variable: xr.DataArray) -> tuple[str, str]:
    """Return a variable's meaning and written unit."""
    meaning = variable.attrs.get("long_name") or str(variable.name).removeprefix("parameter_").replace("_", " ")
    return meaning[:1].upper() + meaning[1:], written_unit(variable.attrs.get("units", ""))


def readable(name: str, values: float | np.ndarray) -> tuple[float | np.ndarray, str]:
    """Return values of a variable of the catalogue in the unit people read, and that unit as written."""
    unit = SCHEMA[name].units
    factor, offset, written = READABLE.get(unit, (1.0, 0.0, written_unit(unit)))
    return factor * values + offset, written


def flux_name(target: str) -> str:
    """Return a target's name with its symbol."""
    return f"{target.replace('_', ' ').capitalize()} flux {SYMBOLS.get(target, '')}".strip()

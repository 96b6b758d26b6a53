"""The catalogue of sites: what is known of them, which are near or alike, and how the user's own come to it."""

import csv
import itertools
import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from bowen.data.download.samples import to_stderr
from bowen.data.readers.read import read
from bowen.data.schema import nearest
from bowen.data.site_metadata import MORE_NUMBERS, MORE_WORDS, NUMBERS, classes, own_table, own_towers, towers
from bowen.errors import ConfigError, DataError
from bowen.files import replace_atomically

_COLUMNS = {  # lower case; those of tables and the variables of BIF
    "site": ("site", "site_id", "siteid"),
    "name": ("name", "site_name"),
    "country": ("country",),
    "latitude": ("latitude", "lat", "location_lat"),
    "longitude": ("longitude", "lon", "long", "location_long"),
    "elevation": ("elevation", "elev", "location_elev"),
    "igbp": ("igbp", "igbp_veg_short"),
    "utc_offset_hours": ("utc_offset_hours", "utc_offset"),
    "canopy_height": ("canopy_height", "heightc", "canopy_height_fluxnetlsm"),
    "reference_height": ("reference_height", "tower_height"),
    "mean_annual_temperature": ("mat",),
    "annual_precipitation": ("map",),
}
_OURS = {alias: name for name, aliases in _COLUMNS.items() for alias in aliases}
_LONG = {"site_id", "variable", "datavalue"}  # the columns of BIF, which has a row for each value
_OFFSET = {"mean_annual_temperature": 273.15}  # from degC
_RANGES = {
    "latitude": (-90.0, 90.0),
    "longitude": (-180.0, 180.0),
    "elevation": (-500.0, 9000.0),
    "utc_offset_hours": (-12.0, 14.0),
    "canopy_height": (1e-3, 130.0),
    "reference_height": (0.1, 600.0),
    "mean_annual_temperature": (210.0, 310.0),
    "annual_precipitation": (0.0, 15000.0),
}
_BLANK = ("", "-9999", "NA", "N/A", "NAN", "NONE", "NULL", "TBD", "UNKNOWN")
_ASSUMED = {  # how a record's assumptions begin, for what is then no knowledge of its site
    "canopy_height": "Canopy height",
    "reference_height": "Reference height",
    "elevation": "Elevation",
    "utc_offset_hours": "Local standard time",
}
_HEADER = """\
# The sites that `bowen sites --add` was given, in SI: m, degrees, h, K, kg m-2. They rule over bowen's own table, and
# what a record says of its site rules over them. Values may be changed by hand; comments are lost when sites are added.

[towers]
"""
_EARTH = 6371.0  # km


def sites(igbp: str | None = None, near: tuple[float, float, float] | None = None) -> list[dict[str, Any]]:
    """The sites of the catalogue, by name or by distance.

    Args:
        igbp: Only those of this vegetation class.
        near: Latitude, longitude and radius [km]: only those inside it.

    Returns:
        For each `site` and what is known of it, in SI, under the names of a dataset's attributes, with `name`,
        `country`, `mean_annual_temperature` [K] and `annual_precipitation` [kg m-2]; with `near` also `distance` [km].

    Raises:
        ConfigError: There is no such class or place, or the user's own table cannot be read.
    """
    if igbp is not None and igbp not in classes():
        raise ConfigError(f"`{igbp}` is not an IGBP vegetation class. {nearest((), classes())}")
    found = [{"site": site, **entry} for site, entry in sorted(towers().items())]
    found = [entry for entry in found if igbp in (None, entry.get("igbp"))]
    if near is None:
        return found
    latitude, longitude, radius = near
    if not (abs(latitude) <= 90.0 and abs(longitude) <= 180.0):
        raise ConfigError(f"There is no place at latitude {latitude:g}, longitude {longitude:g}; give them in degrees.")
    placed = [entry for entry in found if {"latitude", "longitude"} <= entry.keys()]
    for entry in placed:
        entry["distance"] = _distance(latitude, longitude, entry["latitude"], entry["longitude"])
    return sorted((e for e in placed if e["distance"] <= radius), key=lambda entry: entry["distance"])


def add_sites(path: Path | str, report: Callable[[str], None] = to_stderr) -> list[str]:
    """Put sites into the user's own table; what it said before of the same site and is not said anew stays.

    Args:
        path: A CSV file with a row for each site (columns such as site, lat, lon, elev, IGBP, MAT [degC], MAP [mm]),
            or with a row for each value as in BIF (SITE_ID, VARIABLE, DATAVALUE), or the record of a tower.
        report: Takes lines for people, on values that cannot be.

    Returns:
        The sites that were added.

    Raises:
        ConfigError: The user's own table cannot be read.
        DataError: The file is neither, or tells nothing.
        RunError: The table cannot be written.
    """
    path = Path(path)
    raw = _rows(path)
    if raw is None:
        found = _of_record(path)
    else:
        found = {site: entry for site, texts in raw.items() if (entry := _entry(site, texts, report))}
    if not found:
        raise DataError(f"{path.name}: tells nothing of any site. Looked for: {', '.join(_OURS)}.")
    table = own_towers()
    for site, entry in found.items():
        table[site] = table.get(site, {}) | entry
    lines = [f"{json.dumps(site)} = {{ {_inline(entry)} }}\n" for site, entry in sorted(table.items()) if entry]
    with replace_atomically(own_table()) as temporary:
        temporary.write_text(_HEADER + "".join(lines), encoding="utf-8")
    return sorted(found)


def _rows(path: Path) -> dict[str, dict[str, list[str]]] | None:
    """The texts of a table, by site and by our names; None if the file is no table of sites."""
    try:
        with path.open("rb") as file:
            if b"\0" in file.read(4096):
                return None
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip().lower() for name in next(reader, [])]
            if header.count("site_id") and _LONG <= set(header):
                return _of_long(header, reader)
            return _of_wide(header, reader)
    except OSError as problem:
        raise DataError(f"{path}: cannot be opened ({problem.strerror}). Check the path.") from problem
    except csv.Error:
        return None


def _of_wide(header: list[str], rows: Iterable[list[str]]) -> dict[str, dict[str, list[str]]] | None:
    ours = [_OURS.get(name) for name in header]
    if not {"site", "latitude", "longitude"} <= set(ours):
        return None
    found: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        texts = {name: [text] for name, text in zip(ours, row, strict=False) if name}
        if site := texts.pop("site", [""])[0].strip():
            found[site] = texts
    return found


def _of_long(header: list[str], rows: Iterable[list[str]]) -> dict[str, dict[str, list[str]]]:
    site, variable, value = (header.index(name) for name in ("site_id", "variable", "datavalue"))
    found: dict[str, dict[str, list[str]]] = {}
    for row in itertools.filterfalse(lambda row: len(row) <= max(site, variable, value), rows):
        if name := _OURS.get(row[variable].strip().lower()):
            found.setdefault(row[site].strip(), {}).setdefault(name, []).append(row[value])
    return found


def _entry(site: str, texts: Mapping[str, list[str]], report: Callable[[str], None]) -> dict[str, Any]:
    """What the texts say, in SI; what cannot be is reported and left out."""
    entry: dict[str, Any] = {}
    for name, several in texts.items():
        given = [text.strip() for text in several if text.strip().upper() not in _BLANK]
        if not given or name == "site":
            continue
        if name in MORE_WORDS:
            entry[name] = given[-1]
        elif name == "igbp":
            entry |= {name: given[-1]} if given[-1] in classes() else {}
        elif (number := _number(given, name)) is not None:
            entry[name] = number
        if name not in entry:
            report(f"{site}: {name} `{given[-1]}` cannot be, and is left out.")
    return entry


def _number(given: list[str], name: str) -> float | None:
    """The latest of several values, and the largest of heights, as in the BIF file of a record."""
    low, high = _RANGES[name]
    try:
        numbers = [float(text) for text in given]
    except ValueError:
        return None
    number = max(numbers) if name == "canopy_height" else numbers[-1]
    number = round(number + _OFFSET.get(name, 0.0), 6)
    return number if low <= number <= high else None


def _of_record(path: Path) -> dict[str, dict[str, Any]]:
    """What a tower's record says of its site, without what was only assumed."""
    said = read(path).attrs
    assumptions = str(said.get("assumptions", "")).split("\n")
    assumed = {key for key, start in _ASSUMED.items() if any(line.startswith(start) for line in assumptions)}
    numbers = {key: float(said[key]) for key in NUMBERS if key in said and key not in assumed}
    return {str(said["site"]): {"igbp": str(said["igbp"]), **numbers}}


def _inline(entry: Mapping[str, Any]) -> str:
    """A table of TOML in a line; its texts are those of JSON, but for the delete character."""
    order = ("name", "country", "igbp", *NUMBERS, *MORE_NUMBERS)
    texts = {key: json.dumps(entry[key], ensure_ascii=False) for key in order if key in entry}
    return ", ".join(f"{key} = {text}" for key, text in texts.items()).replace("\x7f", "\\u007f")


def _distance(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Along the great circle [km]."""
    north, other_north = math.radians(latitude), math.radians(other_latitude)
    east = math.radians(other_longitude - longitude)
    half = math.sin((other_north - north) / 2.0) ** 2
    half += math.cos(north) * math.cos(other_north) * math.sin(east / 2.0) ** 2
    return round(2.0 * _EARTH * math.asin(math.sqrt(min(half, 1.0))), 1)

"""Catalog of sites: metadata, search by class or distance, and additions by the user."""

import csv
import io
import itertools
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from bowen.config.site_ranges import find_impossible_number
from bowen.data.download.samples import print_to_stderr
from bowen.data.formats import count_known_columns
from bowen.data.readers.read import read
from bowen.data.schema import find_nearest
from bowen.data.site_metadata import (
    EXTRA_SITE_NUMBERS,
    EXTRA_SITE_TEXTS,
    SITE_NUMBERS,
    get_user_sites_path,
    identify_igbp,
    load_canopy_heights,
    load_known_sites,
    load_user_sites,
)
from bowen.errors import ConfigError, DataError
from bowen.files import MAX_LINE, bound_stream, open_file, replace_atomically

_COLUMNS = {  # lower case; columns of tables and variables of BIF
    "site": ("site", "site_id", "siteid", "sitename", "site_code", "fluxnet_id"),
    "name": ("name", "site_name"),
    "country": ("country",),
    "latitude": ("latitude", "lat", "location_lat"),
    "longitude": ("longitude", "lon", "long", "location_long"),
    "elevation": ("elevation", "elev", "elv", "altitude", "location_elev"),
    "igbp": ("igbp", "igbp_veg_short", "igbp_land_use"),
    "utc_offset_hours": ("utc_offset_hours", "utc_offset"),
    "canopy_height": ("canopy_height", "heightc", "canopy_height_fluxnetlsm"),
    "reference_height": ("reference_height", "tower_height"),
    "mean_annual_temperature": ("mat",),
    "annual_precipitation": ("map",),
}
_CANONICAL_NAMES = {alias: name for name, aliases in _COLUMNS.items() for alias in aliases}
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
_MIN_RECORD_COLUMNS = 3  # known columns of a record, which no table of sites has
_LONG_COLUMNS = {"site_id", "variable", "datavalue"}  # of BIF, which has a row for each value
_OFFSETS = {"mean_annual_temperature": 273.15}  # from degC
_BLANK = ("", "-9999", "NA", "N/A", "NAN", "NONE", "NULL", "TBD", "UNKNOWN")
_ASSUMED = {  # first words of the assumptions about metadata, which are not added to the catalog
    "canopy_height": "Canopy height",
    "reference_height": "Reference height",
    "elevation": "Elevation",
    "utc_offset_hours": "Local standard time",
}
_HEADER = """\
# Sites added by `bowen sites --add`, in SI: m, degrees, h, K, kg m-2. They take precedence over bowen's own table, and
# the metadata in a record over them. Values may be edited by hand; comments are lost when sites are added.

[towers]
"""
_EARTH_RADIUS = 6371.0  # km


def list_sites(igbp: str | None = None, near: tuple[float, float, float] | None = None) -> list[dict[str, Any]]:
    """List the sites of the catalog, sorted by name or by distance.

    Args:
        igbp: Vegetation class to select.
        near: Latitude, longitude and radius [km] of a circle to select.

    Returns:
        For each `site` its known metadata in SI, named as the attributes of a dataset, with `name`, `country`,
        `mean_annual_temperature` [K] and `annual_precipitation` [kg m-2]; with `near` also `distance` [km].

    Raises:
        ConfigError: There is no such class or place, or the user's table cannot be read.
    """
    if igbp is not None and igbp not in load_canopy_heights():
        raise ConfigError(
            "igbp",
            f"`{igbp}` is not an IGBP vegetation class",
            details=find_nearest((), load_canopy_heights()),
            fix="choose one of these",
        )
    found = [{"site": site, **entry} for site, entry in sorted(load_known_sites().items())]
    found = [entry for entry in found if igbp in (None, entry.get("igbp"))]
    if near is None:
        return found
    latitude, longitude, radius = near
    if not (abs(latitude) <= 90.0 and abs(longitude) <= 180.0):
        raise ConfigError(
            "near", f"no place has latitude {latitude:g}, longitude {longitude:g}", fix="give both in degrees"
        )
    placed = [entry for entry in found if {"latitude", "longitude"} <= entry.keys()]
    for entry in placed:
        entry["distance"] = _distance(latitude, longitude, entry["latitude"], entry["longitude"])
    return sorted((e for e in placed if e["distance"] <= radius), key=lambda entry: entry["distance"])


def add_sites(path: Path | str, report: Callable[[str], None] = print_to_stderr) -> list[str]:
    """Add sites to the user's table; existing values of the same site stay unless the file has new ones.

    Args:
        path: A CSV file with a row for each site (columns such as site, lat, lon, elev, IGBP, MAT [degC], MAP [mm]) or
            for each value as in BIF (SITE_ID, VARIABLE, DATAVALUE), or the record of a tower. With semicolons, numbers
            may have decimal commas.
        report: Called with messages about impossible values.

    Returns:
        The sites that were added.

    Raises:
        ConfigError: The user's table cannot be read.
        DataError: The file is of no such kind, or has no metadata.
        RunError: The table cannot be written.
    """
    path = Path(path)
    raw = _rows(path)
    if raw is None:
        found = _of_record(path)
    else:
        found = {site: entry for site, texts in raw.items() if (entry := _entry(site, texts, report))}
    if not found:
        raise DataError(
            path.name,
            "has no metadata of any site",
            details={"looked for": ", ".join(_CANONICAL_NAMES)},
            fix="name its columns so",
        )
    table = load_user_sites()
    for site, entry in found.items():
        table[site] = table.get(site, {}) | entry
    lines = [f"{json.dumps(site)} = {{ {_inline(entry)} }}\n" for site, entry in sorted(table.items()) if entry]
    with replace_atomically(get_user_sites_path()) as temporary:
        temporary.write_text(_HEADER + "".join(lines), encoding="utf-8")
    return sorted(found)


def _rows(path: Path) -> dict[str, dict[str, list[str]]] | None:
    """Read the texts of a table, by site and canonical name; None if the file is no table of sites."""
    try:
        with open_file(path) as raw:
            if b"\0" in raw.read(4096):
                return None
            raw.seek(0)
            bounded = bound_stream(raw, raw.seek(0, os.SEEK_END), MAX_LINE)
            raw.seek(0)
            file = io.TextIOWrapper(bounded, encoding="utf-8-sig", errors="replace", newline="")
            first = file.readline()
            separator = max(",;\t", key=first.count)
            reader = csv.reader(itertools.chain([first], file), delimiter=separator)
            names = [name.strip() for name in next(reader, [])]
            if first.startswith("#") or count_known_columns(None, names) >= _MIN_RECORD_COLUMNS:
                return None
            header = [name.lower() for name in names]
            rows = (_with_points(row) for row in reader) if separator == ";" else reader
            if header.count("site_id") and _LONG_COLUMNS <= set(header):
                return _of_long(header, rows)
            return _of_wide(header, rows, path)
    except OSError as problem:
        raise DataError(str(path), f"cannot be opened ({problem.strerror})", fix="check the path") from problem
    except (csv.Error, ValueError):
        return None


def _with_points(row: list[str]) -> list[str]:
    """Replace decimal commas by points."""
    return [text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text.strip()) else text for text in row]


def _of_wide(header: list[str], rows: Iterable[list[str]], path: Path) -> dict[str, dict[str, list[str]]]:
    canonical = [_CANONICAL_NAMES.get(name) for name in header]
    if absent := [name for name in ("site", "latitude", "longitude") if name not in canonical]:
        looked_for = [alias for name in absent for alias in _COLUMNS[name]]
        raise DataError(
            path.name,
            f"is no table of sites, as it has no column for {', '.join(absent)}, and no record",
            details={"looked for": ", ".join(looked_for), **find_nearest(looked_for, header)},
            fix="rename the columns of a table of sites, or pass a record that bowen reads",
        )
    found: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        texts = {name: [text] for name, text in zip(canonical, row, strict=False) if name}
        if site := texts.pop("site", [""])[0].strip():
            found[site] = texts
    return found


def _of_long(header: list[str], rows: Iterable[list[str]]) -> dict[str, dict[str, list[str]]]:
    site, variable, value = (header.index(name) for name in ("site_id", "variable", "datavalue"))
    found: dict[str, dict[str, list[str]]] = {}
    for row in itertools.filterfalse(lambda row: len(row) <= max(site, variable, value), rows):
        if name := _CANONICAL_NAMES.get(row[variable].strip().lower()):
            found.setdefault(row[site].strip(), {}).setdefault(name, []).append(row[value])
    return found


def _entry(site: str, texts: Mapping[str, list[str]], report: Callable[[str], None]) -> dict[str, Any]:
    """Convert texts to values in SI; impossible values are reported and left out."""
    entry: dict[str, Any] = {}
    for name, several in texts.items():
        given = [text.strip() for text in several if text.strip().upper() not in _BLANK]
        if not given or name == "site":
            continue
        if name in EXTRA_SITE_TEXTS:
            entry[name] = given[-1]
        elif name == "igbp":
            entry |= {name: known} if (known := identify_igbp(given[-1])) in load_canopy_heights() else {}
        elif (number := _number(given, name)) is not None:
            entry[name] = number
        if name not in entry:
            report(f"{site}: {name} `{given[-1]}` is impossible and left out.")
    return entry


def _number(given: list[str], name: str) -> float | None:
    """Choose the latest of several values, and the largest of heights, as in the BIF file of a record."""
    try:
        numbers = [float(text) for text in given]
    except ValueError:
        return None
    number = max(numbers) if name == "canopy_height" else numbers[-1]
    number = round(number + _OFFSETS.get(name, 0.0), 6)
    return None if find_impossible_number({name: number}) else number


def _of_record(path: Path) -> dict[str, dict[str, Any]]:
    """Read the site metadata of a tower's record, without assumed values."""
    given = read(path).attrs
    assumptions = str(given.get("assumptions", "")).split("\n")
    assumed = {key for key, start in _ASSUMED.items() if any(line.startswith(start) for line in assumptions)}
    numbers = {key: float(given[key]) for key in SITE_NUMBERS if key in given and key not in assumed}
    return {str(given["site"]): {"igbp": str(given["igbp"]), **numbers}}


def _inline(entry: Mapping[str, Any]) -> str:
    """Format an inline table of TOML, whose strings are those of JSON except for the delete character."""
    order = ("name", "country", "igbp", *SITE_NUMBERS, *EXTRA_SITE_NUMBERS)
    texts = {key: json.dumps(entry[key], ensure_ascii=False) for key in order if key in entry}
    return ", ".join(f"{key} = {text}" for key, text in texts.items()).replace("\x7f", "\\u007f")


def _distance(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Compute the great-circle distance [km]."""
    north, other_north = math.radians(latitude), math.radians(other_latitude)
    east = math.radians(other_longitude - longitude)
    half = math.sin((other_north - north) / 2.0) ** 2
    half += math.cos(north) * math.cos(other_north) * math.sin(east / 2.0) ** 2
    return round(2.0 * _EARTH_RADIUS * math.asin(math.sqrt(min(half, 1.0))), 1)

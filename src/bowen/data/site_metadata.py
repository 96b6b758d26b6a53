"""Where a tower stands: from the caller, the file, the user's own table or the package's, in this order."""

import functools
import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from bowen.data.folders import data_folder
from bowen.data.schema import nearest
from bowen.errors import ConfigError, DataError

NUMBERS = ("latitude", "longitude", "elevation", "reference_height", "canopy_height", "utc_offset_hours")
WORDS = ("site", "igbp")
MORE_NUMBERS = ("mean_annual_temperature", "annual_precipitation")  # K, kg m-2: for choosing sites, not in records
MORE_WORDS = ("name", "country")
IDENTIFIER = re.compile(r"(?<![A-Za-z])[A-Z]{2}-[A-Za-z0-9]{3}(?![A-Za-z0-9])")  # of a site, in the name of a file
_NEEDED = ("latitude", "longitude", "igbp")
_LEAST_CLEARANCE = 2.0  # m, between canopy and instruments where nobody says how high they are


def site_of(path: Path, member: str = "") -> str:
    """The site's identifier, e.g. `BE-Vie`, in the name of a file or its member, or else the stem of the name."""
    for name in (member, path.name):
        if match := IDENTIFIER.search(name):
            return match.group()
    return path.name.split(".")[0]


def read_site(path: Path | str) -> dict[str, Any]:
    """The metadata of a site from a TOML file, as `--site` takes it.

    Args:
        path: A file with lines such as `latitude = 50.3`; the keys are those of the attributes of a dataset.

    Returns:
        What it says, checked.

    Raises:
        ConfigError: The file cannot be read, or has a key that is not one of a site or a value of the wrong type.
    """
    path = Path(path)
    return checked(_toml(path), str(path))


def checked(site: Mapping[str, Any], where: str) -> dict[str, Any]:
    """`site` with numbers as floats.

    Args:
        site: Metadata given by hand.
        where: Where they were given, for messages.

    Returns:
        The same, typed.

    Raises:
        ConfigError: A key is unknown, or a value of the wrong type.
    """
    return _typed(site, where, WORDS, NUMBERS)


def locate(found: Mapping[str, Any], given: Mapping[str, Any] | None, where: str) -> tuple[dict[str, Any], list[str]]:
    """All metadata of a site that the models need.

    Args:
        found: What the file says; holds at least `site`.
        given: What the caller says, which wins.
        where: The file, for messages.

    Returns:
        Attributes of the canonical dataset, without those that only the record itself can tell, and the
        assumptions made on the way.

    Raises:
        ConfigError: `given` has an unknown key or a value of the wrong type.
        DataError: Position or vegetation class are unknown, the class is none of the IGBP, or the heights
            contradict each other.
    """
    given = checked(given or {}, "site")
    name = given.get("site", found.get("site"))
    known = {key: value for key, value in towers().get(str(name), {}).items() if key in (*NUMBERS, "igbp")}
    site: dict[str, Any] = {**known, **found, **given}
    if missing := [key for key in _NEEDED if key not in site]:
        example = {"latitude": "50.305", "longitude": "5.998", "igbp": '"MF"'}
        listed = ", ".join(f'"{key}": {example[key]}' for key in missing)
        lines = "; ".join(f"{key} = {example[key]}" for key in missing)
        raise DataError(
            f"{where}: nothing tells {', '.join(missing)} of {name}, neither the file nor a table of towers.\n"
            f"  fix: pass site={{{listed}}} with the true values,\n"
            f"            or on the command line `--site site.toml`, a file with the lines: {lines}\n"
            "            or, once for many towers, `bowen sites --add` a table of them"
        )
    if site["igbp"] not in classes():
        raise DataError(
            f"{where}: `{site['igbp']}` is not an IGBP vegetation class. {nearest((), classes())} "
            'Pass site={"igbp": ...}, or `--site site.toml` on the command line.'
        )
    return _with_heights(site, where)


def towers() -> dict[str, dict[str, Any]]:
    """What is known of all towers: the package's table, and over it the user's own."""
    known = {site: dict(entry) for site, entry in _table()["towers"].items()}
    for site, entry in own_towers().items():
        known[site] = known.get(site, {}) | entry
    return known


def own_towers() -> dict[str, dict[str, Any]]:
    """The user's own table of towers, which `bowen sites --add` writes.

    Raises:
        ConfigError: It cannot be read, or says what is not of a site.
    """
    path = own_table()
    if not path.exists():
        return {}
    table = _toml(path).get("towers")
    if not isinstance(table, dict) or not all(isinstance(entry, dict) for entry in table.values()):
        raise ConfigError(f"{path}: has to be a table [towers] with a line `XX-Abc = {{ latitude = ... }}` for each.")
    words, numbers = (*WORDS, *MORE_WORDS), (*NUMBERS, *MORE_NUMBERS)
    return {site: _typed(entry, f"{path}, {site}", words, numbers) for site, entry in table.items()}


def own_table() -> Path:
    """Where the user's own table is, or would be."""
    return data_folder() / "sites.toml"


def classes() -> dict[str, float]:
    """The height of the canopy by IGBP class [m]."""
    return _table()["canopy_heights"]


def _with_heights(site: dict[str, Any], where: str) -> tuple[dict[str, Any], list[str]]:
    """Fill in the heights nobody gave: the canopy from its class, the instruments a little above it."""
    assumptions = []
    if "canopy_height" not in site:
        site["canopy_height"] = classes()[site["igbp"]]
        assumptions.append(f"Canopy height {site['canopy_height']:g} m assumed from the class {site['igbp']}.")
    canopy = site["canopy_height"]
    if "reference_height" not in site:
        site["reference_height"] = round(canopy + max(_LEAST_CLEARANCE, 0.3 * canopy), 2)
        assumptions.append(f"Reference height {site['reference_height']:g} m assumed from the canopy's.")
    if not 0.0 < canopy < site["reference_height"]:
        raise DataError(
            f"{where}: the instruments ({site['reference_height']:g} m) have to be above the canopy ({canopy:g} m). "
            'Pass site={"reference_height": ..., "canopy_height": ...}, or `--site site.toml` on the command line.'
        )
    return site, assumptions


def _typed(site: Mapping[str, Any], where: str, words: tuple[str, ...], numbers: tuple[str, ...]) -> dict[str, Any]:
    if unknown := [key for key in site if key not in (*numbers, *words)]:
        raise ConfigError(f"{where}: unknown key `{unknown[0]}` for a site. {nearest(unknown[:1], (*words, *numbers))}")
    for key, value in site.items():
        kind, due = (str, "a text in quotes") if key in words else (int | float, "a number")
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ConfigError(f"{where}: `{key}` is {value!r} and has to be {due}.")
    return {key: value if key in words else float(value) for key, value in site.items()}


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise ConfigError(f"{path}: cannot be read as TOML: {problem}") from problem


@functools.cache
def _table() -> dict[str, Any]:
    return tomllib.loads((resources.files("bowen.data") / "sites.toml").read_text(encoding="utf-8"))

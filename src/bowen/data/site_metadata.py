"""Metadata of sites: from the caller, the file, the user's table or the package's table, in this order."""

import functools
import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from bowen.config.site_ranges import find_impossible_number
from bowen.data.folders import get_data_folder
from bowen.data.schema import find_nearest
from bowen.errors import ConfigError, DataError
from bowen.files import parse_toml, read_text

SITE_NUMBERS = ("latitude", "longitude", "elevation", "reference_height", "canopy_height", "utc_offset_hours")
SITE_TEXTS = ("site", "igbp")
EXTRA_SITE_NUMBERS = ("mean_annual_temperature", "annual_precipitation")  # K, kg m-2; not in records
EXTRA_SITE_TEXTS = ("name", "country")
SITE_IDENTIFIER = re.compile(r"(?<![A-Za-z])[A-Z]{2}-[A-Za-z0-9]{3}(?![A-Za-z0-9])")  # in file names
NEEDED_METADATA = ("latitude", "longitude", "igbp")
_IGBP_NAMES = {  # without the plural
    "EVERGREEN NEEDLELEAF FOREST": "ENF",
    "EVERGREEN BROADLEAF FOREST": "EBF",
    "DECIDUOUS NEEDLELEAF FOREST": "DNF",
    "DECIDUOUS BROADLEAF FOREST": "DBF",
    "MIXED FOREST": "MF",
    "CLOSED SHRUBLAND": "CSH",
    "OPEN SHRUBLAND": "OSH",
    "WOODY SAVANNA": "WSA",
    "SAVANNA": "SAV",
    "GRASSLAND": "GRA",
    "PERMANENT WETLAND": "WET",
    "CROPLAND": "CRO",
    "URBAN AND BUILT UP": "URB",
    "URBAN AND BUILT UP LAND": "URB",
    "CROPLAND NATURAL VEGETATION MOSAIC": "CVM",
    "SNOW AND ICE": "SNO",
    "PERMANENT SNOW AND ICE": "SNO",
    "BARREN": "BSV",
    "BARREN OR SPARSELY VEGETATED": "BSV",
    "WATER": "WAT",
    "WATER BODY": "WAT",
    "WATER BODIE": "WAT",
}
_MIN_CLEARANCE = 2.0  # m between canopy and instruments of unknown height


def find_site_identifier(path: Path, member: str = "") -> str:
    """Find the site's identifier, e.g. `BE-Vie`, in the name of a file or its member, or else return its stem."""
    for name in (member, path.name):
        if match := SITE_IDENTIFIER.search(name):
            return match.group()
    return path.name.split(".")[0]


def read_site_file(path: Path | str) -> dict[str, Any]:
    """Read the metadata of a site from a TOML file, as for `--site`.

    Args:
        path: A file with lines such as `latitude = 50.3`; the keys are the attributes of a dataset.

    Returns:
        The metadata, checked.

    Raises:
        ConfigError: The file cannot be read, or has an unknown key or an impossible value.
    """
    path = Path(path)
    return check_site_metadata(_toml(path), str(path))


def check_site_metadata(site: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Check metadata of a site, and convert its numbers to floats.

    Args:
        site: Metadata given by hand.
        where: Their origin, for messages.

    Returns:
        The same metadata with numbers as floats.

    Raises:
        ConfigError: A key is unknown, or a value is of the wrong type or impossible.
    """
    return _possible(_typed(site, where, SITE_TEXTS, SITE_NUMBERS), where)


def identify_igbp(text: str) -> str:
    """Identify an IGBP class by its code or its name, such as "Woody Savannas"; any other text stays."""
    words = [word for word in re.findall("[A-Z]+", text.upper()) if word != "IGBP"]
    return _IGBP_NAMES.get(" ".join(words).removesuffix("S"), text.strip().upper())


def complete_site_metadata(
    found: Mapping[str, Any], given: Mapping[str, Any] | None, where: str
) -> tuple[dict[str, Any], list[str]]:
    """Complete the metadata of a site that models need.

    Args:
        found: Metadata in the file, at least `site`.
        given: Metadata from the caller, which take precedence.
        where: The file, for messages.

    Returns:
        Attributes of the canonical dataset, without those derived from the record itself, and the assumptions made.

    Raises:
        ConfigError: `given` has an unknown key or a value of the wrong type.
        DataError: Position or vegetation class is unknown, the class is not one of IGBP, a number is impossible, or the
            heights contradict each other.
    """
    given = _typed(given or {}, "site", SITE_TEXTS, SITE_NUMBERS)
    name = given.get("site", found.get("site"))
    known = {
        key: value for key, value in load_known_sites().get(str(name), {}).items() if key in (*SITE_NUMBERS, "igbp")
    }
    site: dict[str, Any] = {**known, **found, **given}
    if missing := [key for key in NEEDED_METADATA if key not in site]:
        example = {"latitude": "50.305", "longitude": "5.998", "igbp": '"MF"'}
        listed = ", ".join(f'"{key}": {example[key]}' for key in missing)
        lines = "; ".join(f"{key} = {example[key]}" for key in missing)
        raise DataError(
            where,
            f"{', '.join(missing)} of {name} is neither in the file nor in a table of sites",
            fix=f"pass site={{{listed}}} with the true values,\n"
            f"       or on the command line `--site site.toml`, a file with the lines: {lines}\n"
            "       or, once for many sites, add a table of them by `bowen sites --add`",
        )
    site["igbp"] = identify_igbp(site["igbp"])
    if site["igbp"] not in load_canopy_heights():
        raise DataError(
            where,
            f"`{site['igbp']}` is not an IGBP vegetation class",
            details=find_nearest((), load_canopy_heights()),
            fix='pass site={"igbp": ...}, or `--site site.toml` on the command line',
        )
    assumptions = _complete_heights(site)
    refuse_impossible_site(site, where)
    return site, assumptions


def refuse_impossible_site(site: Mapping[str, Any], where: str) -> None:
    """Refuse metadata of a site that cannot be true.

    Args:
        site: The metadata, or the attributes of a canonical dataset.
        where: Their origin, for messages.

    Raises:
        DataError: A number is impossible, or the heights contradict each other.
    """
    if impossible := find_impossible_number(site):
        name, what = impossible
        raise DataError(
            where,
            what,
            fix=f'correct it in the file, pass site={{"{name}": ...}}, or `--site site.toml` on the command line',
        )


def load_known_sites() -> dict[str, dict[str, Any]]:
    """Load the metadata of all known sites: the package's table, updated by the user's table."""
    known = {site: dict(entry) for site, entry in _table()["towers"].items()}
    for site, entry in load_user_sites().items():
        known[site] = known.get(site, {}) | entry
    return known


def load_user_sites() -> dict[str, dict[str, Any]]:
    """Load the user's table of sites, which `bowen sites --add` writes.

    Raises:
        ConfigError: It cannot be read, or has a key that is not one of a site.
    """
    path = get_user_sites_path()
    if not path.exists():
        return {}
    table = _toml(path).get("towers")
    if not isinstance(table, dict) or not all(isinstance(entry, dict) for entry in table.values()):
        raise ConfigError(
            str(path),
            "must be a table [towers] with a line `XX-Abc = { latitude = ... }` for each site",
            fix="correct the file, or delete it and add the sites again",
        )
    words, numbers = (*SITE_TEXTS, *EXTRA_SITE_TEXTS), (*SITE_NUMBERS, *EXTRA_SITE_NUMBERS)
    checked = {site: _typed(entry, f"{path}, {site}", words, numbers) for site, entry in table.items()}
    return {site: _possible(entry, f"{path}, {site}") for site, entry in checked.items()}


def get_user_sites_path() -> Path:
    """Return the path of the user's table of sites."""
    return get_data_folder() / "sites.toml"


def load_canopy_heights() -> dict[str, float]:
    """Load the default canopy height of each IGBP class [m]."""
    return _table()["canopy_heights"]


def _complete_heights(site: dict[str, Any]) -> list[str]:
    """Fill in missing heights: the canopy from its class, the instruments a little above it."""
    assumptions = []
    if "canopy_height" not in site:
        site["canopy_height"] = load_canopy_heights()[site["igbp"]]
        assumptions.append(f"Canopy height {site['canopy_height']:g} m assumed from the class {site['igbp']}.")
    canopy = site["canopy_height"]
    if "reference_height" not in site:
        site["reference_height"] = round(canopy + max(_MIN_CLEARANCE, 0.3 * canopy), 2)
        assumptions.append(f"Reference height {site['reference_height']:g} m assumed from the canopy height.")
    return assumptions


def _possible(site: dict[str, Any], where: str) -> dict[str, Any]:
    if impossible := find_impossible_number(site):
        raise ConfigError(where, impossible[1], fix="correct it")
    return site


def _typed(site: Mapping[str, Any], where: str, words: tuple[str, ...], numbers: tuple[str, ...]) -> dict[str, Any]:
    if unknown := [key for key in site if key not in (*numbers, *words)]:
        raise ConfigError(
            where,
            f"unknown key `{unknown[0]}` for a site",
            details=find_nearest(unknown[:1], (*words, *numbers)),
            fix="rename or remove it",
        )
    for key, value in site.items():
        kind, due = (str, "text in quotes") if key in words else (int | float, "a number")
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ConfigError(where, f"`{key}` is {value!r}, and must be {due}", fix="correct it")
    return {key: value if key in words else float(value) for key, value in site.items()}


def _toml(path: Path) -> dict[str, Any]:
    try:
        return parse_toml(read_text(path))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise ConfigError(str(path), f"cannot be read as TOML ({problem})", fix="correct the file") from problem


@functools.cache
def _table() -> dict[str, Any]:
    return tomllib.loads((resources.files("bowen.data") / "sites.toml").read_text(encoding="utf-8"))

"""Origin of a result, kept in a file beside it: the records, models and versions it was made of.

A result whose origin has changed is made again. Settings are kept once, in the directory of the results.
"""

from collections.abc import Mapping
from pathlib import Path

from bowen import data
from bowen.files import read_json, write_json

NUMBERS_VERSION = 1  # of the numbers of the models: to be raised when they change by more than round-off
MAX_NAMED_CHANGES = 4

Origin = Mapping[str, Mapping[str, str | int]]  # by kind and name: fingerprint, checksum or version


def describe_origin(**kinds: Mapping[str, str]) -> Origin:
    """Describe the origin of a result made by this version.

    Args:
        kinds: By kind, such as `training_record`, fingerprints or checksums by name.
    """
    return {**kinds, "version_of": {"models": NUMBERS_VERSION, "estimates": data.ESTIMATES_VERSION}}


def write_origin(result: Path, origin: Origin) -> None:
    """Write the origin of a result, after the result itself.

    Raises:
        RunError: The file cannot be written.
    """
    write_json(_origin_path(result), origin)


def has_origin(result: Path) -> bool:
    """Check that the origin of a result was written."""
    return _origin_path(result).exists()


def find_changes(result: Path, origin: Origin) -> str:
    """Say what has changed since a result was made; nothing, if it is current.

    Args:
        result: A file that exists.
        origin: What it would be made of now.
    """
    try:
        there, is_sound = read_json(_origin_path(result))
    except FileNotFoundError:
        return "it does not say what it was made of"
    except (OSError, ValueError):
        is_sound = False
    if not is_sound:
        return "the file of its origin is damaged"
    changes = []
    for kind in dict.fromkeys((*there, *origin)):
        before, now = there.get(kind, {}), origin.get(kind, {})
        for name in dict.fromkeys((*before, *now)):
            if before.get(name) != now.get(name):
                change = "is new" if name not in before else "has changed" if name in now else "is not used any more"
                changes.append(f"{kind.replace('_', ' ')} {name} {change}")
    more = [f"{len(changes) - MAX_NAMED_CHANGES} more"] if len(changes) > MAX_NAMED_CHANGES else []
    return ", ".join(changes[:MAX_NAMED_CHANGES] + more)


def _origin_path(result: Path) -> Path:
    return result.with_name(f"{result.name}.origin.json")

"""Formats of text tables, each a TOML file in this folder: names of columns, units, stamps and flags.

Users can write such a file for their own tables; `bowen formats fluxnet` prints one to copy.
"""

import fnmatch
import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import pydantic

from bowen.config.tables import SettingsTable
from bowen.data.schema import QC, SCHEMA, find_nearest
from bowen.errors import ConfigError, DataError
from bowen.files import parse_toml, read_text

_POSITION = r"(?:_\d+){0,2}(?:_[0-9A])?"  # horizontal, vertical, replicate (A: average of replicates)
_MIN_LIKENESS = 0.6  # part of a signature; a table that lacks one column is recognized and the column reported


class TimeFormat(SettingsTable):
    """Columns of the stamps, joined by a space, and their format as in `strftime`.

    In a column of digits leading zeros may be lost (15 as %H%M is 00:15), and the last column may have decimals if its
    format is %H, %d or %j alone (1.5 as %H is 01:30).
    """

    start: tuple[str, ...] = ()
    end: tuple[str, ...] = ()
    format: str = "%Y%m%d%H%M"


class Format(SettingsTable):
    """Format of a text table.

    `signature` lists the columns that identify the format, with alternatives separated by |. `columns` gives for
    each canonical name the columns in order of preference, `units` their units if they differ from the catalog;
    "mm" and "m" of precipitation are per interval. `flags` and `codes` give for patterns of columns the column of
    the flags, and the meaning of the flags. With `positions`, names may end in the position of a sensor; the first
    with values is used, and where it has none the next one at the same place.
    """

    title: str
    signature: tuple[str, ...] = ()
    positions: bool = False
    partner: str = ""
    units_lines: int = 0
    time: TimeFormat
    columns: dict[str, tuple[str, ...]]
    units: dict[str, str] = pydantic.Field(default_factory=dict)
    flags: dict[str, str] = pydantic.Field(default_factory=dict)
    codes: dict[str, dict[str, str]] = pydantic.Field(default_factory=dict)

    def compute_likeness(self, present: Iterable[str]) -> float:
        """Compute the fraction of the signature present in these columns."""
        found = set(present)
        have = [any(self.list_sensor_columns(name, found) for name in entry.split("|")) for entry in self.signature]
        return sum(have) / max(len(have), 1)

    def count_columns(self, present: Iterable[str]) -> int:
        """Count the columns of the stamps and variables that are among these."""
        found = set(present)
        known = {*self.time.start, *self.time.end, *(name for choice in self.columns.values() for name in choice)}
        return sum(name in found or (self.positions and bool(self.list_sensor_columns(name, found))) for name in known)

    def list_sensor_columns(self, name: str, present: Iterable[str]) -> list[str]:
        """List the columns of this name; with positions those of all sensors, the first sensor first."""
        if not self.positions:
            return [name] if name in present else []
        pattern = re.compile(re.escape(name) + _POSITION)
        found = [column for column in present if pattern.fullmatch(column)]
        return sorted(found, key=lambda column: [int(part) if part.isdigit() else 99 for part in column.split("_")[1:]])

    def get_place(self, name: str, column: str) -> tuple[str, ...]:
        """Return the horizontal and vertical position of a sensor, without the number of its replicate."""
        parts = column.removeprefix(name).split("_")[1:]
        return tuple(parts[:2]) if len(parts) == 3 else tuple(parts) or ("1", "1")

    def get_flag_column(self, name: str, column: str) -> str:
        """Return the column with the flags of `column`, which gives `name`; "" if there is none."""
        template = _first_fitting(self.flags, name, "")
        return template.format(name=name, position=column.removeprefix(name))

    def get_flag_meanings(self, name: str) -> dict[str, QC]:
        """Return the meaning of the flags of the column `name`, by number or by `*` for all; others stay."""
        return {code: QC[word.upper()] for code, word in _first_fitting(self.codes, name, {}).items()}


@functools.cache
def load_formats() -> dict[str, Format]:
    """Load the formats of the package, by name, the longest signature first."""
    files = [file for file in resources.files(__name__).iterdir() if file.name.endswith(".toml")]
    formats = {file.name.removesuffix(".toml"): _parsed(file.read_text(encoding="utf-8"), file.name) for file in files}
    return dict(sorted(formats.items(), key=lambda item: (-len(item[1].signature), item[0])))


def read_format_text(name: str) -> str:
    """Read the TOML text of a format of the package.

    Raises:
        ConfigError: There is no such format.
    """
    if name not in load_formats():
        raise ConfigError(
            "formats",
            f"none is called `{name}`",
            details=find_nearest([name], load_formats()),
            fix="choose one of these",
        )
    return (resources.files(__name__) / f"{name}.toml").read_text(encoding="utf-8")


def choose_format(chosen: str | Path | None, present: Iterable[str], where: str) -> Format:
    """Choose the format of a table: as given, or by its columns.

    Args:
        chosen: The name of a format, or a TOML file like those in this folder; None to recognize it.
        present: The columns of the table.
        where: The file, for messages.

    Returns:
        The format.

    Raises:
        ConfigError: There is no such format, or the file is invalid.
        DataError: No format fits the columns.
    """
    if chosen is not None:
        return load_formats()[str(chosen)] if str(chosen) in load_formats() else _load(Path(chosen))
    columns = list(present)
    likest = max(load_formats().values(), key=lambda kind: kind.compute_likeness(columns))
    if likest.compute_likeness(columns) < _MIN_LIKENESS:
        raise DataError(
            where,
            f"is none of the known formats of tables ({', '.join(load_formats())})",
            details={"its columns": ", ".join(columns[:12]) + (", …" if len(columns) > 12 else "")},
            fix="run `bowen formats fluxnet > mine.toml`, write your columns into that file, and pass it with "
            "`--format mine.toml`",
        )
    return likest


def count_known_columns(chosen: str | Path | None, present: Iterable[str]) -> int:
    """Count the columns that the format of a table names, as given or, if it is None, the best of the package.

    Raises:
        ConfigError: There is no such format, or the file is invalid.
    """
    columns = list(present)
    known = load_formats().values() if chosen is None else [choose_format(chosen, columns, "")]
    return max(kind.count_columns(columns) for kind in known)


def _load(path: Path) -> Format:
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(
            str(path),
            f"is neither a format ({', '.join(load_formats())}) nor a file that can be read ({problem})",
            fix="choose one of these, or check the path",
        ) from problem
    return _parsed(text, str(path))


def _parsed(text: str, where: str) -> Format:
    try:
        table = parse_toml(text)
        kind = Format.model_validate(table)
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(where, f"cannot be read as TOML ({problem})", fix="correct the file") from problem
    except pydantic.ValidationError as problem:
        raise ConfigError("\n".join(str(_error(fault, where)) for fault in problem.errors())) from problem
    _check(kind, where)
    return kind


def _error(fault: Mapping[str, Any], where: str) -> ConfigError:
    path = ".".join(map(str, fault["loc"]))
    if fault["type"] == "extra_forbidden":
        return ConfigError(
            where, f"unknown key `{path}`", details=find_nearest([path], Format.model_fields), fix="rename or remove it"
        )
    if fault["type"] == "missing":
        return ConfigError(where, f"`{path}` is missing", fix="see `bowen formats fluxnet` for a complete example")
    return ConfigError(where, f"`{path}`: {fault['msg']}", fix="correct it")


def _check(kind: Format, where: str) -> None:
    names = [*kind.columns, *kind.units]
    if unknown := [name for name in names if name not in SCHEMA]:
        raise ConfigError(
            where, f"no variable is called `{unknown[0]}`", details=find_nearest(unknown[:1], SCHEMA), fix="rename it"
        )
    words = [word for codes in kind.codes.values() for word in codes.values()]
    if unknown := [word for word in words if word.upper() not in QC.__members__]:
        raise ConfigError(
            where,
            f"`{unknown[0]}` is no flag",
            details=find_nearest((), [code.name.lower() for code in QC]),
            fix="use one of these",
        )
    if not kind.time.start and not kind.time.end:
        raise ConfigError(
            where, "`time` has neither `start` nor `end`, the columns of the stamps", fix="add one of these"
        )


def _first_fitting(patterns: Mapping[str, Any], name: str, otherwise: Any) -> Any:
    return next((value for pattern, value in patterns.items() if fnmatch.fnmatchcase(name, pattern)), otherwise)

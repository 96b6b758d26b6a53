"""Kinds of text tables, each a TOML file beside this one: names of columns, units, stamps and flags.

A kind of one's own is such a file too; `bowen formats fluxnet` prints one to copy.
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
from bowen.data.schema import QC, SCHEMA, nearest
from bowen.errors import ConfigError, DataError

_POSITION = r"(?:_\d+){0,2}(?:_[0-9A])?"  # of a sensor: horizontal, vertical, replicate (A: their average)
_LIKE_ENOUGH = 0.6  # of a signature, so that a table that lacks one column is told so, and not that it is unknown


class Stamps(SettingsTable):
    """The columns of the stamps, several to be joined by a space, and their format as in `strftime`."""

    start: tuple[str, ...] = ()
    end: tuple[str, ...] = ()
    format: str = "%Y%m%d%H%M"


class Format(SettingsTable):
    """One kind of text table.

    `signature` are the columns it is recognized by, with alternatives parted by |. `columns` holds for canonical names
    the columns in order of preference, `units` their units where they are not those of the catalogue; "mm" of
    precipitation is per interval. `flags` and `codes` hold for patterns of columns the column of the flags, and what
    the flags mean. With `positions`, names may end in the position of a sensor; the first with values is used.
    """

    title: str
    signature: tuple[str, ...] = ()
    positions: bool = False
    partner: str = ""
    units_lines: int = 0
    time: Stamps
    columns: dict[str, tuple[str, ...]]
    units: dict[str, str] = pydantic.Field(default_factory=dict)
    flags: dict[str, str] = pydantic.Field(default_factory=dict)
    codes: dict[str, dict[str, str]] = pydantic.Field(default_factory=dict)

    def likeness(self, present: Iterable[str]) -> float:
        """Which share of the signature a table with these columns has."""
        found = set(present)
        have = [any(self.sensors(name, found) for name in entry.split("|")) for entry in self.signature]
        return sum(have) / max(len(have), 1)

    def sensors(self, name: str, present: Iterable[str]) -> list[str]:
        """The columns of this name, with positions those of all sensors, the first sensor first."""
        if not self.positions:
            return [name] if name in present else []
        pattern = re.compile(re.escape(name) + _POSITION)
        found = [column for column in present if pattern.fullmatch(column)]
        return sorted(found, key=lambda column: [int(part) if part.isdigit() else 99 for part in column.split("_")[1:]])

    def flag_column(self, name: str, column: str) -> str:
        """The column with the flags of `column`, which holds `name`; "" where there are none."""
        template = _first_fitting(self.flags, name, "")
        return template.format(name=name, position=column.removeprefix(name))

    def meanings(self, name: str) -> dict[str, QC]:
        """What the flags of the column `name` mean, by number or, for any, by `*`; the rest are ours already."""
        return {code: QC[word.upper()] for code, word in _first_fitting(self.codes, name, {}).items()}


@functools.cache
def known_formats() -> dict[str, Format]:
    """The kinds that come with the package, by name, the one with the longest signature first."""
    files = [file for file in resources.files(__name__).iterdir() if file.name.endswith(".toml")]
    formats = {file.name.removesuffix(".toml"): _parsed(file.read_text(encoding="utf-8"), file.name) for file in files}
    return dict(sorted(formats.items(), key=lambda item: (-len(item[1].signature), item[0])))


def source_of(name: str) -> str:
    """The TOML text of a kind that comes with the package.

    Raises:
        ConfigError: There is none of this name.
    """
    if name not in known_formats():
        raise ConfigError(f"no format is called `{name}`. {nearest([name], known_formats())}")
    return (resources.files(__name__) / f"{name}.toml").read_text(encoding="utf-8")


def format_of(chosen: str | Path | None, present: Iterable[str], where: str) -> Format:
    """The kind of a table: as chosen, or else by its columns.

    Args:
        chosen: The name of a kind, or a TOML file like those beside this one; None to recognize it.
        present: The columns of the table.
        where: The file, for messages.

    Returns:
        The kind.

    Raises:
        ConfigError: There is no such kind, or the file is none.
        DataError: No kind fits the columns.
    """
    if chosen is not None:
        return known_formats()[str(chosen)] if str(chosen) in known_formats() else _load(Path(chosen))
    columns = list(present)
    likest = max(known_formats().values(), key=lambda kind: kind.likeness(columns))
    if likest.likeness(columns) < _LIKE_ENOUGH:
        raise DataError(
            f"{where}: is none of the kinds of tables that bowen knows ({', '.join(known_formats())}).\n"
            f"  its columns: {', '.join(columns[:12])}{', …' if len(columns) > 12 else ''}\n"
            "  fix: `bowen formats fluxnet > mine.toml`, write your columns into that file, and pass it with "
            "`--format mine.toml`"
        )
    return likest


def _load(path: Path) -> Format:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(
            f"{path}: is neither a kind of table ({', '.join(known_formats())}) nor a file that can be read: {problem}"
        ) from problem
    return _parsed(text, str(path))


def _parsed(text: str, where: str) -> Format:
    try:
        table = tomllib.loads(text)
        kind = Format.model_validate(table)
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"{where}: cannot be read as TOML: {problem}") from problem
    except pydantic.ValidationError as problem:
        raise ConfigError("\n".join(_sentence(fault, where) for fault in problem.errors())) from problem
    _check(kind, where)
    return kind


def _sentence(fault: Mapping[str, Any], where: str) -> str:
    path = ".".join(map(str, fault["loc"]))
    if fault["type"] == "extra_forbidden":
        return f"{where}: unknown key `{path}`. {nearest([path], Format.model_fields)}"
    if fault["type"] == "missing":
        return f"{where}: `{path}` is missing. `bowen formats fluxnet` prints a whole one."
    return f"{where}: `{path}`: {fault['msg']}."


def _check(kind: Format, where: str) -> None:
    names = [*kind.columns, *kind.units]
    if unknown := [name for name in names if name not in SCHEMA]:
        raise ConfigError(f"{where}: no variable is called `{unknown[0]}`. {nearest(unknown[:1], SCHEMA)}")
    words = [word for codes in kind.codes.values() for word in codes.values()]
    if unknown := [word for word in words if word.upper() not in QC.__members__]:
        raise ConfigError(f"{where}: `{unknown[0]}` is no flag. {nearest((), [code.name.lower() for code in QC])}")
    if not kind.time.start and not kind.time.end:
        raise ConfigError(f"{where}: `time` needs `start` or `end`, the columns of the stamps.")


def _first_fitting(patterns: Mapping[str, Any], name: str, otherwise: Any) -> Any:
    return next((value for pattern, value in patterns.items() if fnmatch.fnmatchcase(name, pattern)), otherwise)

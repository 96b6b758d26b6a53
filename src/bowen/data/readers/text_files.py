"""Columns of numbers in delimited text files: decompression, header, conversion, and errors at damaged rows.

The kinds of tables that `bowen.data.formats` describes are read from these columns by `text_tables`.
"""

import codecs
import contextlib
import csv
import io
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
import pandas as pd

from bowen.errors import DataError
from bowen.files import MAX_LINE, UNREADABLE, bound_stream, decompress, open_file, open_zip

_MISSING = -9999.0  # of all networks; other codes are found by `checks.missing_codes`
_BEYOND = "beyond the last column"
_SEPARATORS = (",", ";", "\t")
_MAX_COLUMNS, _MAX_EMPTY_LINES = 5000, 10_000
_MIN_KNOWN_NAMES, _MAX_LINES_ABOVE = 3, 10  # with fewer known names in the first line, these next ones may have them


@dataclass(frozen=True)
class SourceFile:
    """File, or member of a ZIP archive."""

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """Name of the file or member, for messages and for the site and resolution in it."""
        return Path(self.member).name or self.path.name


@dataclass(frozen=True)
class TableHeader:
    """Header of a table: the names of its columns, their separator, and the number of lines above the rows."""

    source: SourceFile
    columns: tuple[str, ...]
    separator: str
    lines: int
    is_spaced: bool  # a blank follows the separator


def read_header(source: SourceFile, count_known: Callable[[Sequence[str]], int] | None = None) -> TableHeader:
    """Read the names of the columns from the first line that is no comment, or from the one with the known names.

    Args:
        source: The file; plain, .xz, .gz or .zip.
        count_known: Counts the known ones among the names in a line; if the first line has hardly any, as in the files
            of loggers and EddyPro, the names are searched in the next ten.

    Returns:
        The header.

    Raises:
        DataError: There is no such file, it is damaged, or it does not begin with names.
    """
    found: list[tuple[int, int, str]] = []  # known names, minus the number of the line, its text
    with open_unpacked(source) as handle:
        for number, raw in enumerate(handle, start=1):
            line = (raw.decode("utf-8", errors="replace") if found else _decoded(raw, source)).strip()
            if line and not line.startswith("#"):
                found.append((count_known(_split(line)) if count_known else _MIN_KNOWN_NAMES, -number, line))
                if found[-1][0] >= _MIN_KNOWN_NAMES or len(found) > _MAX_LINES_ABOVE:
                    break
            if number == _MAX_EMPTY_LINES:
                break
    if not found:
        raise DataError(source.name, "is empty or no CSV; a line must name the columns", fix="get the file again")
    _, number, line = max(found)
    names = _split(line)
    if not 2 <= len(names) <= _MAX_COLUMNS or not all(name.isprintable() for name in names):
        raise DataError(
            source.name,
            "is empty or no CSV; the first line that is no comment must name the columns, separated by comma, "
            "semicolon or tab",
            fix="check which file was meant, or get it again",
        )
    if twice := [name for name, count in Counter(names).items() if name and count > 1]:
        raise DataError(source.name, f"two columns are called {twice[0]}", fix="remove or rename one of them")
    separator = _find_separator(line)
    return TableHeader(source, names, separator, -number, f"{separator} " in line)


def read_units(header: TableHeader) -> dict[str, str]:
    """Read the line below the names of the columns, which has their units, without brackets.

    Args:
        header: Header from `read_header`.

    Returns:
        The text of each column.

    Raises:
        DataError: The file is damaged.
    """
    with open_unpacked(header.source) as handle:
        for _ in range(header.lines):
            handle.readline()
        line = handle.readline().decode("utf-8", errors="replace").strip()
    cells = next(csv.reader([line], delimiter=header.separator), [])
    return {name: cell.strip(" []()") for name, cell in zip(header.columns, cells, strict=False)}


def _find_separator(line: str) -> str:
    return max(_SEPARATORS, key=line.count)


def _split(line: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in next(csv.reader([line], delimiter=_find_separator(line))))


def read_columns(
    header: TableHeader, numbers: Sequence[str], stamps: Sequence[str], units_lines: int = 0, *, as_text: bool = False
) -> tuple[dict[str, np.ndarray], int]:
    """Read some columns of a table.

    Args:
        header: Header from `read_header`.
        numbers: Columns of numbers.
        stamps: Columns to keep unconverted: as pandas reads them, integers in the fastest case.
        units_lines: Lines between the names and the first row.
        as_text: Read `stamps` as text, with their leading zeros.

    Returns:
        The columns, numbers with NaN for -9999 and for empty fields; and the number of blank rows at the end of the
        file, which are left out.

    Raises:
        DataError: The table has no rows, is damaged, is truncated in its last row, or has text instead of a number.
    """
    source, last, first_row = header.source, header.columns[-1], header.lines + units_lines + 1
    wanted = {*numbers, *stamps, last}
    with open_unpacked(source) as handle:
        for _ in range(first_row - 1):  # skipping by pandas would be slower
            handle.readline()
        frame = pd.read_csv(
            cast(
                IO[bytes],
                _WithFirstLine(header.separator.join(_quoted([*header.columns, _BEYOND])).encode() + b"\n", handle),
            ),
            sep=header.separator,
            usecols=[
                *sorted(wanted, key=header.columns.index),
                _BEYOND,
            ],  # the last is filled only by rows that are too long
            index_col=False,
            skipinitialspace=header.is_spaced,  # slow
            dtype=dict.fromkeys(stamps, "str") if as_text else None,
        )
    ends = np.asarray(frame[last].isna())  # networks write -9999, so an empty last field is a truncated row
    if ends.any() or np.asarray(frame[_BEYOND].notna()).any():
        _check_widths(header, first_row)
    rows = len(frame)
    if rows and ends[-1] and frame.iloc[-1].isna().all():  # spreadsheets keep rows that were emptied
        frame = frame.iloc[: np.flatnonzero(np.asarray(frame.notna()).any(axis=1)).max(initial=-1) + 1]
        ends = ends[: len(frame)]
    if frame.empty:
        raise DataError(source.name, "has a header and no rows", fix="get the file again")
    if ends[-1] and not ends[:-1].any():
        raise DataError(
            source.name, f"is truncated in its last row, {len(frame) + first_row - 1}", fix="get the file again"
        )
    read = {name: _numbers(frame, name, first_row, source) for name in numbers}
    return read | {name: frame[name].to_numpy() for name in stamps}, rows - len(frame)


class _WithFirstLine:
    """Stream with an additional first line."""

    def __init__(self, line: bytes, stream: IO[bytes]):
        self.line, self.stream = line, stream

    def read(self, size: int = -1) -> bytes:
        """Read the additional line first, then the stream."""
        line, self.line = self.line, b""
        return line or self.stream.read(size)

    def __iter__(self) -> Iterator[bytes]:
        yield self.line
        yield from self.stream


def _quoted(names: Sequence[str]) -> list[str]:
    return ['"' + name.replace('"', '""') + '"' for name in names]


def _check_widths(header: TableHeader, first_row: int) -> None:
    """Check that each row has a value for each column; pandas would fill or cut other rows."""
    due, separator = len(header.columns), header.separator.encode()
    with open_unpacked(header.source) as handle:
        lines = handle.read().splitlines()[first_row - 1 :]
    for at, line in enumerate(lines):
        if not line.strip(b' \r",;\t'):  # a blank row
            continue
        plain = b'"' not in line
        found = (
            line.count(separator) + 1 if plain else len(next(csv.reader([line.decode()], delimiter=separator.decode())))
        )
        if found == due or (found == due + 1 and line.rstrip(b" \r").endswith(separator)):
            continue
        if at == len(lines) - 1 and found < due:
            raise DataError(
                header.source.name, f"is truncated in its last row, {at + first_row}", fix="get the file again"
            )
        raise DataError(
            header.source.name,
            f"row {at + first_row} has {found} values where the header names {due} columns",
            fix="correct that row or get the file again; numbers need a decimal point, not a comma",
        )


def _numbers(frame: pd.DataFrame, name: str, first_row: int, source: SourceFile) -> np.ndarray:
    """Convert a column to numbers, with NaN for missing values."""
    written = frame[name].to_numpy()
    if written.dtype.kind in "fi":
        numbers, odd = written, np.isinf(written)
    else:
        numbers = np.asarray(pd.to_numeric(frame[name], errors="coerce"), dtype=float)
        odd = (np.isnan(numbers) & ~np.asarray(pd.isna(written))) | np.isinf(numbers)
    if odd.any():
        row = int(np.argmax(odd))
        raise DataError(
            source.name,
            f"row {row + first_row} has `{written[row]}` in the column {name} instead of a number (-9999 if missing)",
            fix="correct it",
        )
    return np.where(numbers == _MISSING, np.nan, numbers)


def _decoded(raw: bytes, source: SourceFile) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise DataError(
            source.name,
            f"is no text in UTF-8 ({problem.reason})",
            fix="save it as CSV in UTF-8, or check which file was meant",
        ) from problem


@contextlib.contextmanager
def open_unpacked(source: SourceFile) -> Iterator[IO[bytes]]:
    """Open a file, decompressed; errors of the libraries on damaged files become one message.

    Raises:
        DataError: There is no such file, or it is damaged.
    """
    try:
        with contextlib.ExitStack() as opened:
            raw: IO[bytes] = opened.enter_context(open_file(source.path))
            packed = raw.seek(0, os.SEEK_END)
            if source.member:
                raw = opened.enter_context(opened.enter_context(open_zip(raw)).open(source.member))
            yield opened.enter_context(bound_stream(_as_utf8(raw), packed, MAX_LINE))
    except FileNotFoundError as problem:
        raise DataError(str(source.path), "no such file", fix="check the path") from problem
    except UNREADABLE as problem:
        reason = str(problem).strip().splitlines()[-1] if str(problem).strip() else type(problem).__name__
        raise DataError(
            source.name,
            f"is damaged, truncated or no CSV and cannot be read to its end ({reason})",
            fix="get it again",
        ) from problem


def _as_utf8(raw: IO[bytes]) -> IO[bytes]:
    """Decompress a file, or recode "Unicode text" of spreadsheets."""
    raw.seek(0)
    if raw.read(2) not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return decompress(raw)
    raw.seek(0)
    return io.BytesIO(raw.read().decode("utf-16").encode())

"""Tables in text files: unpacked, their columns found and turned into numbers, their damage told in a sentence."""

import contextlib
import csv
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
import pandas as pd

from bowen.errors import DataError

_MISSING = -9990.0  # and below; files write -9999 with more or fewer digits
_BEYOND = "beyond the last column"
_SEPARATORS = (",", ";", "\t")


@dataclass(frozen=True)
class Source:
    """A file, or a member of a ZIP archive."""

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """What to call it in messages, and where to look for the site and the resolution."""
        return Path(self.member).name or self.path.name


@dataclass(frozen=True)
class Header:
    """What the first lines of a table tell: the names of its columns, what parts them, and the lines above the rows."""

    source: Source
    columns: tuple[str, ...]
    separator: str
    lines: int
    spaced: bool  # whether a blank follows what parts them


def read_header(source: Source) -> Header:
    """The names of the columns: the first line that is no comment.

    Args:
        source: The file; plain, .xz, .gz or .zip.

    Returns:
        The header.

    Raises:
        DataError: There is no such file, it is damaged, or it begins with something else than names.
    """
    lines = 0
    with opened(source) as handle:
        for raw in handle:
            lines += 1
            line = _decoded(raw, source).strip()
            if line and not line.startswith("#"):
                break
        else:
            raise DataError(f"{source.name}: is empty or no CSV; a line has to name the columns. Get the file again.")
    separator = max(_SEPARATORS, key=line.count)
    names = tuple(name.strip() for name in next(csv.reader([line], delimiter=separator)))
    if len(names) < 2 or not all(name.isprintable() for name in names):
        raise DataError(
            f"{source.name}: is empty or no CSV; the first line that is no comment has to name the columns, parted by "
            "comma, semicolon or tab. Check which file was meant, or get it again."
        )
    if len(set(names)) < len(names) and (twice := [name for name in names if name and names.count(name) > 1]):
        raise DataError(f"{source.name}: two columns are called {twice[0]}. Remove or rename one of them.")
    return Header(source, names, separator, lines, f"{separator} " in line)


def read_columns(
    header: Header, numbers: Sequence[str], texts: Sequence[str], units_lines: int = 0
) -> dict[str, np.ndarray]:
    """Some columns of a table.

    Args:
        header: What `read_header` returned.
        numbers: Columns of numbers.
        texts: Columns to leave as they are, such as stamps: whole numbers, or else text.
        units_lines: Lines between the names and the first row.

    Returns:
        The columns, numbers with NaN for -9999 and for nothing.

    Raises:
        DataError: The table has no rows, is damaged, was cut in its last row, or has text where a number is due.
    """
    source, last, first_row = header.source, header.columns[-1], header.lines + units_lines + 1
    wanted = {*numbers, *texts, last}
    with opened(source) as handle:
        for _ in range(first_row - 1):  # pandas would ask about each line whether to skip it
            handle.readline()
        frame = pd.read_csv(
            cast(IO[bytes], _Led(header.separator.join(_quoted([*header.columns, _BEYOND])).encode() + b"\n", handle)),
            sep=header.separator,
            usecols=[*sorted(wanted, key=header.columns.index), _BEYOND],  # the last only a row that is too long fills
            index_col=False,
            skipinitialspace=header.spaced,  # which takes as long as all the rest
        )
    if frame.empty:
        raise DataError(f"{source.name}: holds a header and no rows. Get the file again.")
    ends = np.asarray(frame[last].isna())  # networks write -9999 and never nothing, so a blank end is a row cut short
    if ends.any() or np.asarray(frame[_BEYOND].notna()).any():
        _check_widths(header, first_row)
    if ends[-1] and not ends[:-1].any():
        raise DataError(
            f"{source.name}: was cut in the middle of its last row, {len(frame) + first_row - 1}. Get the file again."
        )
    read = {name: _numbers(frame, name, first_row, source) for name in numbers}
    return read | {name: frame[name].to_numpy() for name in texts}


class _Led:
    """A stream with a line put before it."""

    def __init__(self, line: bytes, stream: IO[bytes]):
        self.line, self.stream = line, stream

    def read(self, size: int = -1) -> bytes:
        """The line first, then what the stream gives."""
        line, self.line = self.line, b""
        return line or self.stream.read(size)

    def __iter__(self) -> Iterator[bytes]:
        yield self.line
        yield from self.stream


def _quoted(names: Sequence[str]) -> list[str]:
    return ['"' + name.replace('"', '""') + '"' for name in names]


def _check_widths(header: Header, first_row: int) -> None:
    """Each row has a value for each column; pandas would fill up, or cut, the others."""
    due, separator = len(header.columns), header.separator.encode()
    with opened(header.source) as handle:
        lines = handle.read().splitlines()[first_row - 1 :]
    for at, line in enumerate(lines):
        if not line.strip():
            continue
        plain = b'"' not in line
        found = (
            line.count(separator) + 1 if plain else len(next(csv.reader([line.decode()], delimiter=separator.decode())))
        )
        if found == due or (found == due + 1 and line.rstrip(b" \r").endswith(separator)):
            continue
        if at == len(lines) - 1 and found < due:
            raise DataError(
                f"{header.source.name}: was cut in the middle of its last row, {at + first_row}. Get the file again."
            )
        raise DataError(
            f"{header.source.name}: row {at + first_row} has {found} values where the header names {due} columns. "
            "Correct that row or get the file again; numbers need a decimal point, not a comma."
        )


def _numbers(frame: pd.DataFrame, name: str, first_row: int, source: Source) -> np.ndarray:
    """A column as numbers, with NaN for what is missing."""
    written = frame[name].to_numpy()
    if written.dtype.kind in "fi":
        numbers, odd = written, np.isinf(written)
    else:
        numbers = np.asarray(pd.to_numeric(frame[name], errors="coerce"), dtype=float)
        odd = (np.isnan(numbers) & ~np.asarray(pd.isna(written))) | np.isinf(numbers)
    if odd.any():
        row = int(np.argmax(odd))
        raise DataError(
            f"{source.name}: row {row + first_row} has `{written[row]}` in the column {name}, where a number is due "
            "(-9999 for none). Correct it."
        )
    return np.where(numbers <= _MISSING, np.nan, numbers)


def _decoded(raw: bytes, source: Source) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise DataError(
            f"{source.name}: is no text in UTF-8 ({problem.reason}). Save it as CSV in UTF-8, or check which file was "
            "meant."
        ) from problem


@contextlib.contextmanager
def opened(source: Source) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked; whatever a damaged file makes the libraries raise becomes one sentence.

    Raises:
        DataError: There is no such file, or it is damaged.
    """
    try:
        with source.path.open("rb") as raw, _unpacked(raw, source) as handle:
            yield handle
    except FileNotFoundError as problem:
        raise DataError(f"{source.path}: no such file. Check the path.") from problem
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, csv.Error) as problem:
        told = str(problem).strip().splitlines()[-1] if str(problem).strip() else type(problem).__name__
        raise DataError(
            f"{source.name}: cannot be read to its end ({told}). It is damaged, cut or no CSV: get it again."
        ) from problem


def _unpacked(raw: IO[bytes], source: Source) -> IO[bytes]:
    if source.member:
        return _within(zipfile.ZipFile(raw).open(source.member))
    return _within(raw)


def _within(raw: IO[bytes]) -> IO[bytes]:
    """What a compressed stream holds, told by its first bytes."""
    magic = raw.read(6)
    raw.seek(0)
    if magic.startswith(b"\xfd7zXZ"):
        return lzma.open(raw)
    if magic.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(raw))
    if magic.startswith((b"\xff\xfe", b"\xfe\xff")):  # what a spreadsheet calls Unicode text
        return io.BytesIO(raw.read().decode("utf-16").encode())
    return raw

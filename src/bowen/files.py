"""Files: names made of text, bounded reads of files that others wrote, and atomic writes."""

import bz2
import contextlib
import csv
import errno
import glob
import gzip
import hashlib
import io
import json
import lzma
import math
import os
import re
import shutil
import socket
import stat
import struct
import sys
import tarfile
import tempfile
import tokenize
import tomllib
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from bowen.errors import RunError

# Errors of libraries about a file that is damaged, odd or made to harm; RecursionError is a RuntimeError.
UNREADABLE = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError),
    *(MemoryError, SyntaxError, AssertionError, struct.error, csv.Error, tokenize.TokenError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, tarfile.TarError),
)
MAX_EXPANSION = 100  # times the size of a file, to which it may expand
MAX_SMALL_EXPANSION = 1 << 27  # bytes to which any file may expand
MAX_LINE = 1 << 20  # bytes of a line of text
MAX_SETTINGS = 1 << 22  # bytes of a file in TOML or JSON
MAX_DEPTH = 32  # of tables in each other in TOML
_KEY = r"""(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
_DEEP_KEY = re.compile(rf"(?<![\w\\-]){_KEY}(?:[ \t]*+\.[ \t]*+{_KEY}){{{MAX_DEPTH}}}")


def file_name(text: str) -> str:
    """Make the name of a file, or a part of it, of a text from elsewhere: it cannot leave a folder or hide there."""
    return re.sub(r"^\.+|[^\w.-]+", "-", text)


class _RegularFile(io.BufferedReader):
    """File whose `read` asks memory for no more bytes than are left in it."""

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(os.fstat(self.fileno()).st_size - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left))


def open_file(path: Path | str) -> io.BufferedReader:
    """Open a file to read its bytes.

    Raises:
        OSError: It cannot be opened, or is a pipe, a device or a folder.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "is no regular file", str(path))
    return _RegularFile(io.FileIO(handle))


def read_text(path: Path | str) -> str:
    """Read a small text file in UTF-8, such as settings.

    Raises:
        OSError: It cannot be opened, is no regular file, or has more than `MAX_SETTINGS` bytes.
        UnicodeDecodeError: It is no text in UTF-8.
    """
    with open_file(path) as file:
        raw = file.read(MAX_SETTINGS + 1)
    if len(raw) > MAX_SETTINGS:
        raise OSError(errno.EFBIG, f"has more than {MAX_SETTINGS >> 20} MiB", str(path))
    return raw.decode("utf-8")


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML whose tables are not in each other without end.

    Raises:
        tomllib.TOMLDecodeError: It is not valid, is nested too deeply, or has a number of more than 64 bits.
    """
    too_deep = tomllib.TOMLDecodeError(f"it is nested more than {MAX_DEPTH} levels deep")
    if _DEEP_KEY.search(text):  # first, as the time to parse grows with the square of the length of a key
        raise too_deep
    try:
        table = tomllib.loads(text)
    except RecursionError:
        raise too_deep from None
    except ValueError as problem:
        raise tomllib.TOMLDecodeError(str(problem)) from problem
    values: list[Any] = [table]
    for _ in range(MAX_DEPTH):
        inside = [item for value in values for item in (value.values() if isinstance(value, dict) else value)]
        if any(isinstance(item, int) and item.bit_length() > 64 for item in inside):
            raise tomllib.TOMLDecodeError("a number has more than 64 bits")
        values = [item for item in inside if isinstance(item, dict | list)]
    if values:
        raise too_deep
    return table


def check_expansion(packed: float, unpacked: float) -> None:
    """Check that a file does not expand to more than a file of its size should.

    Args:
        packed: Its size on the disk, in bytes.
        unpacked: Its size in memory, in bytes.

    Raises:
        ValueError: It does.
    """
    if unpacked > max(MAX_SMALL_EXPANSION, MAX_EXPANSION * packed):
        raise ValueError(f"it expands to more than {MAX_EXPANSION} times its size")


class _Bounded(io.RawIOBase):
    """Stream that ends in an error if a line, or all of it, is too long."""

    def __init__(self, stream: IO[bytes], packed: int, max_line: float):
        self.stream, self.packed, self.max_line = stream, packed, max_line
        self.received = self.line = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        chunk = self.stream.read(len(buffer))
        buffer[: len(chunk)] = chunk
        self.received += len(chunk)
        check_expansion(self.packed, self.received)
        end = chunk.rfind(b"\n")
        self.line = self.line + len(chunk) if end < 0 else len(chunk) - end - 1
        if self.line > self.max_line:
            raise ValueError(f"it has a line of more than {self.max_line} bytes")
        return len(chunk)

    def close(self) -> None:
        self.stream.close()
        super().close()


def bound_stream(stream: IO[bytes], packed: int, max_line: float = math.inf) -> io.BufferedReader:
    """Bound a stream that is read once from its beginning.

    Args:
        stream: Unpacked bytes.
        packed: Size of the file that they come from.
        max_line: Number of bytes that a line may have.

    Returns:
        The same bytes; reading raises ValueError where they are more than `check_expansion` allows, or a line is too
        long.
    """
    return io.BufferedReader(_Bounded(stream, packed, max_line), 1 << 18)


def decompress(file: IO[bytes]) -> IO[bytes]:
    """Decompress a file from its beginning, by the kind that its first bytes identify: gzip, xz, bzip2 or none."""
    file.seek(0)
    magic = file.read(6)
    file.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(file))
    if magic.startswith(b"\xfd7zXZ"):
        return lzma.open(file)
    return bz2.open(file) if magic.startswith(b"BZh") else file


@contextlib.contextmanager
def open_zip(file: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """Open a ZIP archive whose members are not encrypted and do not expand to more than they should.

    Raises:
        ValueError, zipfile.BadZipFile: The file is no such archive.
    """
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(member.flag_bits & 1 for member in members):
            raise ValueError("it is encrypted")
        check_expansion(file.seek(0, os.SEEK_END), sum(member.file_size for member in members))
        yield archive


@contextlib.contextmanager
def temporary_folder(folder: Path, name: str) -> Iterator[Path]:
    """Give a folder for what `name` in `folder` will be made of, and remove it and those that stopped processes left.

    Raises:
        OSError: It cannot be made.
    """
    temporary = Path(tempfile.mkdtemp(dir=folder, prefix=_temporary_prefix(folder, name)))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _temporary_prefix(folder: Path, name: str) -> str:
    """Begin the name of a temporary file by machine and process, and remove those of processes that are gone."""
    prefix = f".{name}.{file_name(socket.gethostname())[:32]}."
    for path in folder.glob(f"{glob.escape(prefix)}*"):
        process = path.name.removeprefix(prefix).split(".")[0]
        if process.isdecimal() and not _is_running(int(process)):
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    return f"{prefix}{os.getpid()}."


def _is_running(process: int) -> bool:
    """Check for another process of this machine; this one has finished its earlier files."""
    if sys.platform == "win32":
        return True  # it cannot be asked
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return process != os.getpid()


@contextlib.contextmanager
def replace_atomically(path: Path | str) -> Iterator[Path]:
    """Give a temporary path to write to, which replaces `path` when the block ends without an error.

    Args:
        path: The file to make or replace; missing folders are made.

    Raises:
        RunError: The disk is full, or the folder cannot be written; the old file is untouched.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=_temporary_prefix(path.parent, path.name))
        temporary = Path(name)
        os.close(handle)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as problem:
        raise RunError(
            str(path),
            f"cannot be written ({problem}); existing files are unchanged",
            fix="free some space, or choose another folder",
        ) from problem
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def checksum(content: Mapping[str, Any]) -> str:
    """Compute the SHA-256 of the content of a file, whatever its layout."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON with a checksum of its content, whole or not at all.

    Raises:
        RunError: The file cannot be written.
    """
    with replace_atomically(path) as unfinished:
        text = json.dumps({**content, "checksum": checksum(content)}, indent=1) + "\n"
        unfinished.write_text(text, encoding="utf-8")


def read_json(path: Path) -> tuple[dict[str, Any], bool]:
    """Read the content of a file by `write_json`, and whether it is as it was written.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no JSON, or not that of `write_json`.
    """
    content = json.loads(read_text(path))
    if not isinstance(content, dict):
        raise ValueError("it is no table")
    return content, content.pop("checksum", None) == checksum(content)


def memory_map_arrays(arrays: Iterable[np.ndarray], folder: Path) -> list[np.ndarray]:
    """Move arrays to one unnamed file on the disk of a folder, so that memory holds only the parts in use.

    Raises:
        RunError: The disk is full, or cannot be written.
    """
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            sections = []
            for array in arrays:
                file.seek(-file.tell() % 64, os.SEEK_CUR)  # aligned, for fast copies
                sections.append((file.tell(), array.nbytes, array.dtype, array.shape))
                file.write(np.ascontiguousarray(array).data)
            file.flush()
            whole = np.memmap(file, np.uint8, "r")
    except OSError as problem:
        raise RunError(
            str(existing),
            f"the training data cannot be written there ({problem})",
            fix="free some space, or choose another folder",
        ) from problem
    return [whole[first : first + size].view(dtype).reshape(shape) for first, size, dtype, shape in sections]

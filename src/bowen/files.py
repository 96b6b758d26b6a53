"""Atomic writes: an old file stays until the new one is complete; and JSON that holds its own checksum."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bowen.errors import RunError


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
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        temporary = Path(name)
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
    content = json.loads(path.read_text(encoding="utf-8"))
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

"""Files written whole or not at all: what was there before stays until the new file is complete."""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from bowen.errors import RunError


@contextlib.contextmanager
def replace_atomically(path: Path | str) -> Iterator[Path]:
    """A temporary path to write to; it takes the place of `path` when the block ends without an error.

    Args:
        path: The file to make or replace; folders are made.

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
            f"{path}: cannot be written ({problem}). Nothing that was there is lost.\n"
            "  fix: free some space, or choose another folder."
        ) from problem
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def lay_on_disk(arrays: Iterable[np.ndarray], folder: Path) -> list[np.ndarray]:
    """The same arrays in one nameless file on the disk of a folder, so that memory holds no more of them than is read.

    Raises:
        RunError: The disk is full, or cannot be written.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            places = []
            for array in arrays:
                file.seek(-file.tell() % 64, os.SEEK_CUR)  # aligned, for fast copies
                places.append((file.tell(), array.nbytes, array.dtype, array.shape))
                file.write(np.ascontiguousarray(array).data)
            file.flush()
            whole = np.memmap(file, np.uint8, "r")
    except OSError as problem:
        raise RunError(
            f"{there}: what is to train a model cannot be laid down there ({problem}).\n"
            "  fix: free some space, or choose another folder."
        ) from problem
    return [whole[first : first + size].view(dtype).reshape(shape) for first, size, dtype, shape in places]

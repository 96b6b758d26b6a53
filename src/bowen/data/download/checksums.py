"""Checksums of downloads, kept in the format of `sha256sum` where the publisher gives none."""

import contextlib
import hashlib
from pathlib import Path

from bowen.files import replace_atomically

_KEPT = "SHA256SUMS"


def compute_sha256(path: Path) -> str | None:
    """Compute the hash of a file; None if there is no file."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return None


def read_checksums(folder: Path) -> dict[str, str]:
    """Read the hashes of the files of a folder as they were first downloaded, by name."""
    with contextlib.suppress(OSError, ValueError):
        lines = (folder / _KEPT).read_text(encoding="utf-8").splitlines()
        return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}
    return {}


def keep_checksum(path: Path) -> None:
    """Keep the hash of a file that was downloaded, to recognize it later.

    Raises:
        RunError: It cannot be written.
    """
    known = read_checksums(path.parent) | {path.name: str(compute_sha256(path))}
    with replace_atomically(path.parent / _KEPT) as temporary:
        temporary.write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(known.items())), encoding="utf-8")


def is_as_downloaded(path: Path) -> bool:
    """Check that a file is there, with the hash that it had when it was first downloaded."""
    return compute_sha256(path) == read_checksums(path.parent).get(path.name, "")

"""Zarr store that reads files only as they were written; imported where an archive is opened, because it takes Zarr."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, WrapperStore

from bowen.data.readers.archive import record_damage


class CheckedStore(WrapperStore[LocalStore]):
    """Files of a record, each refused if it is not as it was written.

    Raises:
        DataError: On access, a file is missing, or its checksum differs.
    """

    def __init__(self, store: LocalStore, checksums: Mapping[str, int]):
        """Wrap a store of files; `checksums` has the CRC-32 of each, by path."""
        super().__init__(store)
        self._checksums = checksums

    def _with_store(self, store: LocalStore) -> "CheckedStore":
        return type(self)(store, self._checksums)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Read a file, or None if the record has no such file."""
        if key not in self._checksums:
            return None
        try:
            content = await self._store.get(key, prototype)
        except OSError as problem:
            raise record_damage(self._store.root, f"{key} cannot be read: {problem}") from problem
        if content is None:
            raise record_damage(self._store.root, f"{key} is missing")
        if zlib.crc32(content.as_buffer_like()) != self._checksums[key]:
            raise record_damage(self._store.root, f"{key} is not as it was written")
        return content if byte_range is None else await self._store.get(key, prototype, byte_range)


def open_checked_store(path: Path, checksums: Mapping[str, int]) -> Any:
    """Open the files of a record to read."""
    return CheckedStore(LocalStore(path, read_only=True), checksums)

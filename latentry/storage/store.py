"""Where outputs and files are stored: an S3 bucket, a local directory, or memory.

Every method may wait for a disk or a network; from asyncio, call it in a thread.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, S3Store

from latentry.errors import FileNotFound, StorageUnavailable
from latentry.storage.object_keys import content_type_of, is_key, is_prefix

_PIECE_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Storage:
    """Bytes under keys. Every method raises StorageUnavailable when the store does not answer."""

    store: ObjectStore
    link: Callable[[str, int], str]
    root: Path | None = None

    @property
    def is_remote(self) -> bool:
        """Whether signing a URL may wait: for credentials of the machine's role."""
        return isinstance(self.store, S3Store)

    def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, whole or not at all; when this returns it is readable.

        Raises ValueError for a key that `key_of` cannot have made.
        """
        if not self._is_ours(key):
            raise ValueError("not a storage key")
        with _translated():
            if self.root is None:
                obstore.put(self.store, key, data, attributes=_attributes(key))
            else:
                obstore.put(self.store, key, data)  # LocalStore stages the file and renames it
                _flush(str(self.root), key)

    def get(self, key: str) -> bytes:
        """The bytes under `key`. Raises FileNotFound."""
        if not self._is_ours(key):
            raise FileNotFound
        with _translated():
            try:
                return bytes(obstore.get(self.store, key).bytes())
            except FileNotFoundError as error:
                raise FileNotFound from error

    def pieces(self, key: str) -> tuple[int, Iterator[bytes]]:
        """How many bytes are under `key`, and they themselves one piece after the other.

        So that who passes a large file on need not hold it. Raises FileNotFound.
        """
        if not self._is_ours(key):
            raise FileNotFound
        with _translated():
            try:
                found = obstore.get(self.store, key)
            except FileNotFoundError as error:
                raise FileNotFound from error
        return found.meta["size"], map(bytes, found.stream(min_chunk_size=_PIECE_BYTES))

    def url(self, key: str, expires_s: int) -> str:
        """A URL that reads `key` for `expires_s` seconds, whether or not the file exists."""
        if not is_key(key):
            raise FileNotFound
        with _translated():
            return self.link(key, expires_s)

    def delete(self, key: str) -> None:
        """Delete what is stored under `key`, if anything is."""
        if not self._is_ours(key):
            raise ValueError("not a storage key")
        with _translated(), suppress(FileNotFoundError):
            obstore.delete(self.store, key)

    def delete_prefix(self, prefix: str) -> None:
        """Delete everything that is stored of a job."""
        if not is_prefix(prefix):
            raise ValueError("not a storage prefix")
        for key in self._keys(prefix=prefix):
            self.delete(key)

    def older(self, than: datetime) -> list[str]:
        """All keys last written before `than`. Lists the whole store: to be called seldom."""
        return self._keys(before=than)

    def _is_ours(self, key: str) -> bool:
        # A symbolic link in the directory must not lead out of it.
        if not is_key(key) or self.root is None:
            return is_key(key)
        root = os.path.join(self.root, "")
        return os.path.realpath(root + key).startswith(root)

    def _keys(self, *, prefix: str | None = None, before: datetime | None = None) -> list[str]:
        with _translated():
            return [
                file["path"]
                for batch in obstore.list(self.store, prefix)
                for file in batch
                # A bucket may hold other objects, which are not the service's.
                if is_key(file["path"]) and (before is None or file["last_modified"] < before)
            ]


def _attributes(key: str) -> dict[str, str]:
    # Set on the object, because obstore's presigned URLs cannot set them: the file contains the
    # prompt as text, and no browser may ever take that for a page.
    name = key.replace("/", "-")
    return {
        "Content-Type": content_type_of(key),
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "private, max-age=31536000, immutable",
    }


def _flush(root: str, key: str) -> None:
    # The ledger says `succeeded` right after, so a power failure must not leave an empty file.
    # What was deleted in the meantime needs no flushing.
    parts = key.split("/")
    with suppress(FileNotFoundError):
        for depth in range(len(parts), -1, -1):  # the file, then each folder that has the other
            descriptor = os.open("/".join((root, *parts[:depth])), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        raise StorageUnavailable from error

"""Bytes under a key, a key to a URL."""

from latentry.storage.backends import open_storage
from latentry.storage.links import sign, verify
from latentry.storage.object_keys import (
    content_type_of,
    file_key,
    key_of,
    manifest_key,
    owner_of,
    prefix_of,
)
from latentry.storage.store import Storage

__all__ = [
    "Storage",
    "content_type_of",
    "file_key",
    "key_of",
    "manifest_key",
    "open_storage",
    "owner_of",
    "prefix_of",
    "sign",
    "verify",
]

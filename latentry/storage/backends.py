"""From `storage_url` to a store: S3, a local directory, or memory."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore

from latentry.errors import ConfigurationError
from latentry.settings import Settings
from latentry.storage.links import sign
from latentry.storage.s3 import open_bucket
from latentry.storage.store import Storage


def open_storage(settings: Settings) -> Storage:
    """The storage that `storage_url` names. Raises ConfigurationError."""
    url = urlsplit(settings.storage_url)
    try:
        match url.scheme:
            case "" if not settings.storage_url:
                return _local(settings.data_dir / "images", settings)
            case "file" if not url.netloc and url.path:
                return _local(Path(unquote(url.path)), settings)
            case "memory":
                return Storage(MemoryStore(), _gateway_links(settings))
            case "s3" if url.netloc:
                return open_bucket(url.netloc, url.path.strip("/"), settings, os.environ)
    except (BaseError, OSError, ValueError) as error:
        raise ConfigurationError(
            f"LATENTRY_STORAGE_URL cannot be opened ({type(error).__name__})."
        ) from error
    raise ConfigurationError(
        "LATENTRY_STORAGE_URL must be s3://bucket[/prefix], file:///dir or memory://."
    )


def _local(root: Path, settings: Settings) -> Storage:
    root = root.resolve()
    store = LocalStore(root, mkdir=True, automatic_cleanup=True)
    return Storage(store, _gateway_links(settings), root)


def _gateway_links(settings: Settings) -> Callable[[str, int], str]:
    secret, base = settings.signing_secret(), settings.base_url

    def link(key: str, expires_s: int) -> str:
        exp = int(time.time()) + expires_s
        return f"{base}/v1/files/{key}?exp={exp}&sig={sign(secret, key, exp)}"

    return link

"""From `storage_url` to a store: S3, a local directory, or memory."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, S3Store

from latentry.errors import ConfigurationError
from latentry.settings import Settings
from latentry.storage.links import sign
from latentry.storage.store import Storage

# A try takes at most 4 s and none starts later than 6 s after the first: at most 10 s in all.
_TRY: Final = timedelta(seconds=4)
_RETRY: Final = timedelta(seconds=6)
_BACKOFF: Final = (timedelta(milliseconds=100), timedelta(seconds=1))


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
                return _s3(url.netloc, url.path.strip("/"), settings)
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


def _s3(bucket: str, prefix: str, settings: Settings) -> Storage:
    def store_at(endpoint: str) -> S3Store:
        # What is not set comes from AWS's own variables or the machine's role.
        optional = {
            "endpoint": endpoint,
            "access_key_id": settings.s3_access_key.get_secret_value(),
            "secret_access_key": settings.s3_secret_key.get_secret_value(),
        }
        return S3Store(
            bucket,
            prefix=prefix or None,
            config={name: value for name, value in optional.items() if value},  # type: ignore[arg-type]
            region=settings.s3_region,
            client_options={
                "allow_http": endpoint.startswith("http://"),
                "connect_timeout": _TRY / 2,
                "timeout": _TRY,
            },
            retry_config={
                "max_retries": 20,
                "retry_timeout": _RETRY,
                "backoff": {"init_backoff": _BACKOFF[0], "max_backoff": _BACKOFF[1], "base": 2},
            },
        )

    # A signature covers the host, so URLs are signed for the endpoint that clients use.
    public = store_at(settings.s3_public_endpoint or settings.s3_endpoint)

    def presigned(key: str, expires_s: int) -> str:
        return obstore.sign(public, "GET", key, timedelta(seconds=expires_s))

    return Storage(store_at(settings.s3_endpoint), presigned)


def _gateway_links(settings: Settings) -> Callable[[str, int], str]:
    secret, base = settings.signing_secret(), settings.base_url

    def link(key: str, expires_s: int) -> str:
        exp = int(time.time()) + expires_s
        return f"{base}/v1/files/{key}?exp={exp}&sig={sign(secret, key, exp)}"

    return link

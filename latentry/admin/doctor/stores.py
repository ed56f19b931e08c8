"""Redis and the storage of images, tried out."""

import secrets
import shutil
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from redis.exceptions import RedisError

from latentry.api_keys import DEFAULT_TENANT
from latentry.cli.doctor.findings import Finding, fault, ok, warning
from latentry.errors import ConfigurationError, LatentryError, LedgerUnavailable
from latentry.ledger import Ledger, commands, files
from latentry.ledger.server.inspection import inspect
from latentry.settings import Settings
from latentry.storage import file_key, open_storage

# Leases and deadlines go by Redis's clock, links and certificates by the gateway's.
CLOCKS_APART_S: Final = 2.0
LITTLE_ROOM_BYTES: Final = 2 * 1024**3


def redis(settings: Settings, *, is_own: bool) -> Generator[Finding, None, bool]:
    """Look at Redis; whether it responds. is_own: it is that of `latentry serve`."""
    try:
        inspect(settings)
    except ConfigurationError as error:
        yield fault("Redis", error.message)
        return True
    with closing(Ledger.open(settings, retries=0)) as ledger:
        try:
            ledger.run(commands.check_writable())
        except LedgerUnavailable as error:
            yield _away(settings, error, is_own=is_own)
            return False
        yield from _of_server(ledger)
    return True


def storage(settings: Settings) -> Iterator[Finding]:
    """Store a few bytes, read them and delete them."""
    folder = settings.data_dir.absolute() / "images"
    is_folder = not settings.storage_url
    if is_folder and not folder.exists():
        yield ok("storage", f"{folder} will be made when the service starts.")
        return
    key = file_key(DEFAULT_TENANT, f"{files.PREFIX}{secrets.token_hex(16)}")
    try:
        opened = open_storage(settings)
        opened.put(key, b"doctor")
        is_same = opened.get(key) == b"doctor"
        opened.delete(key)
    except LatentryError as error:
        cause = f" ({type(error.__cause__).__name__})" if error.__cause__ else ""
        what = "its bucket, endpoint and keys" if settings.storage_url else "who may write there"
        yield fault("storage", f"{error.message}{cause} Check {what}.")
        return
    if not is_same:
        yield fault("storage", "it returned other bytes than it was given.")
        return
    where = settings.storage_url.partition("?")[0] or str(folder)
    yield ok("storage", f"{where} can be written and read.")
    yield from _room(opened.root)


def _away(settings: Settings, error: LedgerUnavailable, *, is_own: bool) -> Finding:
    if not is_own:
        return fault("Redis", f"{error.message} Start it, or correct LATENTRY_REDIS_URL.")
    folder = settings.data_dir.absolute()
    return warning(
        "Redis",
        f"no `latentry serve` with the data folder {folder} is running. If one runs elsewhere, set"
        " LATENTRY_DATA_DIR to its folder, or LATENTRY_REDIS_URL to its Redis.",
    )


def _of_server(ledger: Ledger) -> Iterator[Finding]:
    try:
        info = ledger.client.info()
        seconds, microseconds = ledger.client.time()
    except RedisError:
        yield ok("Redis", "it takes writes; its user may not read INFO, so that is all.")
        return
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = info.get("valkey_version") or info.get("redis_version")
    yield ok("Redis", f"{name} {version} takes writes.")
    if not info.get("aof_enabled"):
        yield warning(
            "Redis",
            "it keeps no append-only file: accepted jobs are lost if it is killed. Set its"
            " appendonly to yes.",
        )
    apart_s = abs(time.time() - (seconds + microseconds / 1e6))
    if apart_s <= CLOCKS_APART_S:
        yield ok("clock", "Redis's agrees with this machine's.")
    else:
        yield warning(
            "clock", f"Redis's differs from this machine's by {apart_s:.0f} s: set both by NTP."
        )


def _room(root: Path | None) -> Iterator[Finding]:
    if root is not None:
        free = shutil.disk_usage(root).free
        if free < LITTLE_ROOM_BYTES:
            yield warning(
                "storage",
                f"only {free / 1024**2:.0f} MiB are free: make room, or lower"
                " LATENTRY_RESULT_TTL_S.",
            )

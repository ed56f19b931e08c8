"""What an error of Redis means: it is away, it refuses us, or we have a bug."""

import ssl
from collections.abc import Iterator
from typing import Final

from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterCrossSlotError,
    ClusterError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from latentry.errors import LedgerFull, LedgerMisconfigured, LedgerUnavailable

# Errors of a server that cannot answer for now. Any other is about the command: a bug of ours.
_OUTAGES: Final = ("LOADING", "BUSY", "MISCONF", "NOREPLICAS")
_CREDENTIALS: Final = "The ledger (Redis) refuses the user or the password in LATENTRY_REDIS_URL."
_PERMISSIONS: Final = (
    "The ledger (Redis) denies its user a command, a key or a channel; deploy/README.md has what"
    " the service needs."
)
_CLUSTER: Final = (
    "The ledger (Redis) is a cluster of several shards; the service needs a single primary."
)
_TLS: Final = (
    "The ledger (Redis) has no certificate that LATENTRY_REDIS_TLS_CA_FILE or the system vouches"
    " for, or it refuses LATENTRY_REDIS_TLS_CERT_FILE."
)
_REPLICA: Final = (
    "The ledger (Redis) is a read-only replica; LATENTRY_REDIS_URL must name the primary."
)
_SCRIPTS: Final = (
    "The ledger (Redis) cannot run the service's scripts; it must be Valkey or Redis, 7.0 or later."
)
_REFUSALS: Final[dict[type[RedisError], str]] = {
    AuthenticationError: _CREDENTIALS,
    NoPermissionError: _PERMISSIONS,
    AskError: _CLUSTER,  # MovedError is one
    ClusterCrossSlotError: _CLUSTER,
}
# How messages of Redis begin that have no class of their own, or how they are worded.
_REFUSING_WORDS: Final = {
    "ACL failure": _PERMISSIONS,
    "The user executing the script can't": _PERMISSIONS,  # Redis 7.0
    "DB index is out of range": (
        "The ledger (Redis) has no database of the number in LATENTRY_REDIS_URL."
    ),
    "SELECT is not allowed": (
        "The ledger (Redis) is a cluster, which has only database 0; see LATENTRY_REDIS_URL."
    ),
    "DENIED": "The ledger (Redis) runs in protected mode; set a password there, and in the URL.",
    "unknown command": _SCRIPTS,
    "Error compiling script": _SCRIPTS,
}


def outage(error: RedisError) -> LedgerUnavailable | None:
    """The error that the caller gets; None if it is a bug of ours."""
    if isinstance(error, OutOfMemoryError):
        return LedgerFull()
    if isinstance(error, ReadOnlyError):  # it may be on its way to become the primary
        return LedgerUnavailable(_REPLICA)
    if sentence := _refusal(error):
        return LedgerMisconfigured(sentence)
    is_answer = isinstance(error, ResponseError)
    is_outage = isinstance(error, ClusterError) or str(error).startswith(_OUTAGES)
    return None if is_answer and not is_outage else LedgerUnavailable()


def _refusal(error: RedisError) -> str | None:
    for kind, sentence in _REFUSALS.items():
        if isinstance(error, kind):
            return sentence
    if isinstance(error, ResponseError):
        words = str(error)
        return next(
            (why for start, why in _REFUSING_WORDS.items() if words.startswith(start)), None
        )
    return _TLS if any(map(_is_about_certificates, _causes(error))) else None


def _is_about_certificates(error: BaseException) -> bool:
    # A handshake that only breaks off is a server that restarts.
    is_break = isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
    return isinstance(error, ssl.SSLError) and not is_break


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

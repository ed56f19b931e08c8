"""The SDK: `Client` and `AsyncClient`, built on httpx and the contracts."""

from latentry.client.asynchronous import AsyncClient
from latentry.client.errors import (
    ApiError,
    JobDidNotSucceed,
    ProxyFailed,
    StillRunning,
    TlsFailed,
    Unreachable,
)
from latentry.client.retries import Retries
from latentry.client.synchronous import Client

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "JobDidNotSucceed",
    "ProxyFailed",
    "Retries",
    "StillRunning",
    "TlsFailed",
    "Unreachable",
]

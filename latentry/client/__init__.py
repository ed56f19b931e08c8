"""The SDK: `Client` and `AsyncClient`, built on httpx and the contracts."""

from latentry.client.asynchronous import AsyncClient
from latentry.client.errors import ApiError, JobDidNotSucceed, StillRunning, Unreachable
from latentry.client.retries import Retries
from latentry.client.synchronous import Client

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "JobDidNotSucceed",
    "Retries",
    "StillRunning",
    "Unreachable",
]

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
from latentry.client.webhooks import WebhookRefused, verify_webhook
from latentry.errors import ConfigurationError, InvalidRequest, LatentryError

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "ConfigurationError",
    "InvalidRequest",
    "JobDidNotSucceed",
    "LatentryError",
    "ProxyFailed",
    "Retries",
    "StillRunning",
    "TlsFailed",
    "Unreachable",
    "WebhookRefused",
    "verify_webhook",
]

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
from latentry.client.results import Event, Image, Job, JobList, Output, Preview
from latentry.client.retries import Retries, RetryBudget
from latentry.client.synchronous import Client
from latentry.client.webhooks import WebhookRefused, verify_webhook
from latentry.errors import ConfigurationError, InvalidRequest, LatentryError

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "ConfigurationError",
    "Event",
    "Image",
    "InvalidRequest",
    "Job",
    "JobDidNotSucceed",
    "JobList",
    "LatentryError",
    "Output",
    "Preview",
    "ProxyFailed",
    "Retries",
    "RetryBudget",
    "StillRunning",
    "TlsFailed",
    "Unreachable",
    "WebhookRefused",
    "verify_webhook",
]

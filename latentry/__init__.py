"""latentry: the shared contracts, the SDK and the command line of a Stable Diffusion service."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from latentry.version import __version__

if TYPE_CHECKING:
    from latentry.client import (
        ApiError,
        AsyncClient,
        Client,
        ConfigurationError,
        Event,
        Image,
        InvalidRequest,
        Job,
        JobDidNotSucceed,
        JobList,
        LatentryError,
        Output,
        Preview,
        ProxyFailed,
        Retries,
        RetryBudget,
        StillRunning,
        TlsFailed,
        Unreachable,
        WebhookRefused,
        verify_webhook,
    )

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
    "__version__",
    "verify_webhook",
]


def __getattr__(name: str) -> Any:
    # Imported on first access: the worker imports latentry.contracts and needs no HTTP client.
    if name in __all__:
        return getattr(import_module("latentry.client"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""latentry: the shared language, the SDK and the command line of a Stable Diffusion service."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentry.client import AsyncClient, Client

__version__ = "0.1.0"
__all__ = ["AsyncClient", "Client"]


def __getattr__(name: str) -> Any:
    # Imported when first asked for: the worker reads latentry.contracts and needs no HTTP client.
    if name in __all__:
        return getattr(import_module("latentry.client"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

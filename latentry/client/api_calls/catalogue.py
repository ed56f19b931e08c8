"""Calls that ask what the service has and can, and what was used of it."""

from datetime import date

from latentry.client.api_calls.call import ApiCall, quoted, reader
from latentry.contracts import (
    AdapterList,
    Model,
    ModelList,
    StyleList,
    UpscalerList,
    UsageList,
)
from latentry.contracts.catalogue.capabilities import Capabilities, Readiness


def ready() -> ApiCall[Readiness]:
    """Ask whether the service accepts jobs."""
    return ApiCall("GET", "/readyz", reader(Readiness))


def capabilities() -> ApiCall[Capabilities]:
    """Read what the service can do."""
    return ApiCall("GET", "/v1/capabilities", reader(Capabilities))


def models() -> ApiCall[ModelList]:
    """Read the list of models."""
    return ApiCall("GET", "/v1/models", reader(ModelList))


def model(model_id: str) -> ApiCall[Model]:
    """Read one model."""
    return ApiCall("GET", f"/v1/models/{quoted(model_id)}", reader(Model))


def upscalers() -> ApiCall[UpscalerList]:
    """Read the list of upscalers."""
    return ApiCall("GET", "/v1/upscalers", reader(UpscalerList))


def adapters() -> ApiCall[AdapterList]:
    """Read the list of adapters."""
    return ApiCall("GET", "/v1/adapters", reader(AdapterList))


def styles() -> ApiCall[StyleList]:
    """Read the list of styles."""
    return ApiCall("GET", "/v1/styles", reader(StyleList))


def usage(first: date | None, last: date | None) -> ApiCall[UsageList]:
    """Read the usage of the API key."""
    days = {"from": first, "to": last}
    params = {name: day.isoformat() for name, day in days.items() if day is not None}
    return ApiCall("GET", "/v1/usage", reader(UsageList), params=params)

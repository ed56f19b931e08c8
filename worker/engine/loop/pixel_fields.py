"""Stand-in until ResolvedRequest.pixel_fields() is merged; then this module goes."""

from typing import Any, Final

from latentry.contracts import ResolvedRequest

_NOT_PIXELS: Final = {"metadata", "n", "output_format", "preview_interval", "seed"}


def pixel_fields(request: ResolvedRequest) -> dict[str, Any]:
    """What an image's pixels depend on besides its seed, ready for JSON; defaults are left out."""
    return request.model_dump(mode="json", exclude=_NOT_PIXELS, exclude_defaults=True)

"""The request of a job of any kind, as records and answers have it."""

from typing import Annotated, Any, Final, TypeAlias

from pydantic import Discriminator, Tag, TypeAdapter

from latentry.contracts.resolved import ResolvedRequest
from latentry.contracts.upscales import ResolvedUpscale


def _kind(value: Any) -> str:
    """Which of them it is: an upscale alone names an upscaler."""
    names_upscaler = isinstance(value, dict) and "upscaler" in value
    return "upscale" if names_upscaler or isinstance(value, ResolvedUpscale) else "generation"


AnyRequest: TypeAlias = Annotated[
    Annotated[ResolvedRequest, Tag("generation")] | Annotated[ResolvedUpscale, Tag("upscale")],
    Discriminator(_kind),
]
_ADAPTER: Final[TypeAdapter[ResolvedRequest | ResolvedUpscale]] = TypeAdapter(AnyRequest)


def read_request(text: str) -> ResolvedRequest | ResolvedUpscale:
    """A record's request. Raises ValueError."""
    return _ADAPTER.validate_json(text)

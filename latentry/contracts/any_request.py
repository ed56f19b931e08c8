"""The request of a job of any kind, as records and answers have it."""

from typing import Annotated, Any, Final, TypeAlias

from pydantic import Discriminator, Tag, TypeAdapter

from latentry.contracts.background.captions import ResolvedCaption
from latentry.contracts.background.controls import ResolvedControl
from latentry.contracts.resolved import ResolvedRequest
from latentry.contracts.upscales import ResolvedUpscale

# The field that each kind alone has.
_OF_KIND: Final = {"upscaler": "upscale", "preprocess": "control", "max_tokens": "caption"}


def _kind(value: Any) -> str:
    """Which of them it is, of a body or of a request that is read already."""
    given = value if isinstance(value, dict) else getattr(value, "__dict__", ())
    return next((kind for field, kind in _OF_KIND.items() if field in given), "generation")


AnyRequest: TypeAlias = Annotated[
    Annotated[ResolvedRequest, Tag("generation")]
    | Annotated[ResolvedUpscale, Tag("upscale")]
    | Annotated[ResolvedControl, Tag("control")]
    | Annotated[ResolvedCaption, Tag("caption")],
    Discriminator(_kind),
]
_ADAPTER: Final[TypeAdapter[AnyRequest]] = TypeAdapter(AnyRequest)


def read_request(text: str) -> AnyRequest:
    """A record's request. Raises ValueError."""
    return _ADAPTER.validate_json(text)

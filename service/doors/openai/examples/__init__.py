"""What OpenAI's answers and events look like here, for the API document."""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel

from service.doors.answers import PICTURE
from service.doors.openai.responses import (
    CompletedImage,
    Images,
    ImagesUsage,
    PartialImage,
    Picture,
)

TAG: Final = "OpenAI Images API"
TAGS: Final = {
    TAG: "OpenAI's images/generations, images/edits and images/variations, for its clients."
}
_FACTS: Final = {
    "size": "128x128",
    "quality": "auto",
    "background": "opaque",
    "output_format": "png",
}
_CREATED: Final = 1_796_040_000
_USAGE: Final = ImagesUsage(output_tokens=819, total_tokens=819)
_BASE64: Final = PICTURE.partition(",")[2]
EXAMPLES: Final[Mapping[str, BaseModel]] = {
    Images.__name__: Images(
        created=_CREATED, data=[Picture(b64_json=_BASE64, seed=7)], usage=_USAGE, **_FACTS
    )
}


def events(name: str) -> str:
    """A stream with one partial image, of events whose names begin so."""
    told = (
        PartialImage(
            type=f"{name}.partial_image",
            b64_json="/9j/4AAQSkZJRgABAQ==",
            created_at=_CREATED,
            partial_image_index=0,
            **(_FACTS | {"output_format": "jpeg"}),
        ),
        CompletedImage(
            type=f"{name}.completed",
            b64_json=_BASE64,
            created_at=_CREATED + 1,
            usage=_USAGE,
            seed=7,
            **_FACTS,
        ),
    )
    return "".join(
        f"event: {one.type}\ndata: {one.model_dump_json(exclude_none=True)}\n\n" for one in told
    )

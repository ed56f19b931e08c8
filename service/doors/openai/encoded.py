"""OpenAI's answers and events, in pieces around their pictures."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from pydantic import BaseModel

from latentry.contracts import StoredOutput
from latentry.storage import Storage
from service.doors.encoded import between
from service.doors.openai.responses import Images, Picture

_START: Final = '"b64_json":"'
_EMPTY: Final = '"b64_json":""'


def around_pictures(answer: BaseModel) -> list[bytes]:
    """The answer as JSON, in pieces: between two of them belongs the base64 of a picture.

    Its places are where `b64_json` is empty. No text of a caller looks so: its quotes are escaped.
    """
    text = answer.model_dump_json(exclude_none=True)
    first, *rest = text.split(_EMPTY)
    starts = [first, *(f'"{part}' for part in rest)]
    return [f"{part}{_START}".encode() for part in starts[:-1]] + [starts[-1].encode()]


def with_base64(
    storage: Storage, images: Sequence[StoredOutput], answer: Images
) -> AsyncIterator[bytes]:
    """The answer as JSON with the images themselves in its `data`; see `between`."""
    data = [Picture(b64_json="", seed=image.seed) for image in images]
    return between(storage, images, around_pictures(answer.model_copy(update={"data": data})))

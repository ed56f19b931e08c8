"""JSON request bodies, parsed by pydantic's own reader, and what is wrong with them."""

import asyncio
import json
import re
from typing import Any, Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from latentry import validation
from latentry.errors import BodyTooLarge, InvalidRequest, MalformedBody, UnsupportedMediaType

M = TypeVar("M", bound=BaseModel)

LARGE_BYTES: Final = 256 * 1024  # above it, only pictures may be; and a thread parses it
_BASE64: Final = b";base64,"
_MAX_PICTURES: Final = 64  # ten keyframes with a picture, a mask and four controls each
# A text that is base64 alone, with JSON's escapes of slashes and line ends: AUTOMATIC1111's clients
# send pictures so. Whatever is around it, no part of it can be more than one text.
_BARE_BASE64: Final = re.compile(rb'"(?:[A-Za-z0-9+/=]++|\\[/nr])*+"')
_SHORT_BYTES: Final = 4 * 1024


async def parse(request: Request, model: type[M], *, most: int = LARGE_BYTES) -> M:
    """The request's JSON body. `most`: bytes that it may have without its pictures.

    Raises UnsupportedMediaType, MalformedBody, BodyTooLarge or another InvalidRequest.
    """
    media_type, _, charset = request.headers.get("content-type", "").lower().partition(";")
    encoding = request.headers.get("content-encoding", "identity").lower()
    is_utf8 = charset.strip().replace('"', "") in ("", "charset=utf-8")
    if media_type.strip() != "application/json" or not is_utf8 or encoding != "identity":
        raise UnsupportedMediaType
    # Not `request.body()`, which would keep a large one until the response is sent.
    raw = b"".join([part async for part in request.stream() if part])
    if len(raw) <= LARGE_BYTES:
        return _parsed(raw, raw, model)
    rest = _without_base64(raw)
    if len(rest) > most:  # parsed, numbers take many times the memory of their text
        raise BodyTooLarge(f"Without its pictures, the body is larger than {most} bytes.")
    return await asyncio.to_thread(_parsed, raw, rest, model)


def _parsed(raw: bytes, rest: bytes, model: type[M]) -> M:
    try:
        parsed = model.model_validate_json(raw)
    except ValidationError as error:
        raise invalid(error, model) from None
    # Duplicate names, as in `{"n": 1, "n": 8}`, mean different things to different parsers. Nesting
    # is bounded by pydantic; numbers stay text, as `int` refuses to parse very many digits.
    json.loads(
        _without_base64(raw), object_pairs_hook=_refuse_duplicates, parse_int=str, parse_float=str
    )
    return parsed


def _without_base64(raw: bytes) -> bytes:
    """Valid JSON without the base64 of its pictures, of which a copy would be as large again."""
    parts, at = list[bytes](), 0
    for _ in range(_MAX_PICTURES):
        begin = raw.find(_BASE64, at)
        end = raw.find(b'"', begin)
        if begin < 0 or end < 0:
            break
        # Base64 has no escapes but `\/`; after another one, the quote may be part of the text.
        if raw.count(b"\\", begin, end) != raw.count(b"\\/", begin, end):
            break
        parts.append(raw[at:begin])
        at = end
    return _BARE_BASE64.sub(_shortened, b"".join((*parts, raw[at:])))


def _shortened(text: re.Match[bytes]) -> bytes:
    return text[0] if text.end() - text.start() < _SHORT_BYTES else b'""'


def invalid(error: ValidationError, model: type[BaseModel]) -> InvalidRequest:
    """A pydantic error as our own. Of the body it quotes field names only, never values."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return MalformedBody(first["msg"].removeprefix("Invalid JSON: ").capitalize() + ".")
    return validation.invalid(error, model)


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise MalformedBody("A field appears twice.")

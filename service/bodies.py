"""Request bodies: bounded before anybody reads them, and parsed by pydantic's own JSON reader."""

import json
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from latentry.errors import BodyTooLarge, InvalidRequest, MalformedBody, UnsupportedMediaType
from service import problems

M = TypeVar("M", bound=BaseModel)

# A client that is still sending cannot read our 413; past this much we hang up on it all the same.
DRAINED_BYTES: Final = 2 * 1024 * 1024
_REPORTED_ERRORS: Final = 16
# What other services call these fields.
_ELSEWHERE: Final = {
    "steps": "num_inference_steps",
    "cfg_scale": "guidance_scale",
    "cfg": "guidance_scale",
    "scheduler": "sampler",
    "sampler_name": "sampler",
    "num_images": "n",
    "num_images_per_prompt": "n",
    "batch_size": "n",
}


class BodyLimit:
    """ASGI middleware: the app sees whole bodies of at most `limit` bytes, chunked or not."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, then let the app see it; or refuse it after draining."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        told = headers.get(b"content-length", b"")
        size = int(told) if told.isdigit() else 0
        waits_for_us = headers.get(b"expect", b"").lower() == b"100-continue"
        if size > self._limit and (size > DRAINED_BYTES or waits_for_us):
            await self._refuse(scope, receive, send, hang_up=True)
            return
        body, seen, more = bytearray(), 0, True
        while more and seen <= DRAINED_BYTES:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            seen += len(message.get("body", b""))
            if seen <= self._limit:
                body += message.get("body", b"")
            more = message.get("more_body", False)
        if seen > self._limit:
            await self._refuse(scope, receive, send, hang_up=more)
            return
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, replay, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, *, hang_up: bool) -> None:
        error = BodyTooLarge(f"The body is larger than {self._limit} bytes.")
        response = problems.answer(scope, problems.failure(error))
        if hang_up:
            response.headers["connection"] = "close"
        await response(scope, receive, send)


async def parse(request: Request, model: type[M]) -> M:
    """The request's JSON body. Raises UnsupportedMediaType, MalformedBody or InvalidRequest."""
    media_type, _, charset = request.headers.get("content-type", "").lower().partition(";")
    encoding = request.headers.get("content-encoding", "identity").lower()
    is_utf8 = charset.strip().replace('"', "") in ("", "charset=utf-8")
    if media_type.strip() != "application/json" or not is_utf8 or encoding != "identity":
        raise UnsupportedMediaType
    raw = await request.body()
    try:
        parsed = model.model_validate_json(raw)
    except ValidationError as error:
        raise invalid(error, model) from None
    # Two readers of `{"n": 1, "n": 8}` may disagree. Its depth is bounded, by pydantic's reader;
    # numbers stay text, because Python refuses to make an integer of very many digits.
    json.loads(raw, object_pairs_hook=_once_each, parse_int=str, parse_float=str)
    return parsed


def invalid(error: ValidationError, model: type[BaseModel]) -> InvalidRequest:
    """Our own error for what pydantic found, without a word of what was sent but field names."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        return MalformedBody(found[0]["msg"].removeprefix("Invalid JSON: ").capitalize() + ".")
    fields = {_pointer(wrong["loc"]): wrong["msg"] for wrong in found[:_REPORTED_ERRORS]}
    for wrong in found[:_REPORTED_ERRORS]:
        if wrong["type"] == "extra_forbidden":
            fields[_pointer(wrong["loc"])] = _unknown(str(wrong["loc"][-1]), model)
    where, why = next(iter(fields.items()))
    rest = f" ({len(found) - 1} more)" if len(found) > 1 else ""
    return InvalidRequest(f"{where or 'The body'}: {why}{rest}", fields=fields)


def _unknown(name: str, model: type[BaseModel]) -> str:
    near = get_close_matches(name[:64], model.model_fields, n=1)
    meant = _ELSEWHERE.get(name) or (near[0] if near else None)
    return "There is no such field" + (f"; did you mean {meant}?" if meant else ".")


def _pointer(path: tuple[int | str, ...]) -> str:
    # RFC 6901. A name may be as long as the body; its beginning is enough to find it.
    return "".join("/" + str(part)[:64].replace("~", "~0").replace("/", "~1") for part in path)


def _once_each(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise MalformedBody("A field is given twice.")

"""Request bodies: bounded before anybody reads them, and parsed by pydantic's own JSON reader."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, Protocol, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from latentry.errors import (
    BodyTooLarge,
    Busy,
    InvalidRequest,
    LatentryError,
    MalformedBody,
    TooSlow,
    UnsupportedMediaType,
)
from service.http import problems

M = TypeVar("M", bound=BaseModel)

# A client that is still sending cannot read our 413; past this much we hang up on it all the same.
DRAINED_BYTES: Final = 2 * 1024 * 1024
# A body gets this long, and longer the larger it may be: a phone on a slow line can send a picture.
BODY_WITHIN_S: Final = 10.0
SLOWEST_BYTES_PER_S: Final = 128 * 1024
LARGE_AT_ONCE: Final = 16
LARGE_OF_ONE: Final = 8  # a tenant's; whoever is slow leaves room for the others
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


class _Refused(Exception):
    """A body that is not read to its end; some clients must be hung up on."""

    def __init__(self, error: LatentryError, *, hang_up: bool) -> None:
        super().__init__()
        self.error = error
        self.hang_up = hang_up


class Sender(Protocol):
    """Who sends a body."""

    @property
    def tenant(self) -> str:
        """Whose room it takes."""


@dataclass(frozen=True, slots=True)
class Larger:
    """What one address takes beyond the usual, and from whom."""

    limit: int
    allowed: Callable[[Request], Awaitable[Sender]]


class BodyLimit:
    """ASGI middleware: the app sees whole bodies, bounded in size and time, chunked or not.

    `larger` holds the addresses that take more than `limit`. They ask who it is before they read,
    and few are served at once: strangers take no room, and a tenant not all of it.
    """

    def __init__(self, app: ASGIApp, limit: int, larger: Mapping[str, Larger]) -> None:
        self._app = app
        self._limit = limit
        self._larger = larger
        self._inside: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, then let the app see it; or refuse it after draining."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        larger = self._larger.get(scope["path"]) if scope["method"] == "POST" else None
        if larger is None:
            await self._pass_on(self._limit, None, scope, receive, send)
            return
        try:
            tenant = (await larger.allowed(Request(scope))).tenant
            self._refuse_crowd(tenant)
        except LatentryError as refusal:
            await self._pass_on(0, refusal, scope, receive, send)
            return
        self._inside[tenant] += 1
        try:
            await self._pass_on(larger.limit, None, scope, receive, send)
        finally:
            self._inside[tenant] -= 1
            self._inside += Counter()  # forgets who is not inside

    def _refuse_crowd(self, tenant: str) -> None:
        if self._inside.total() >= LARGE_AT_ONCE or self._inside[tenant] >= LARGE_OF_ONE:
            raise Busy("Too many pictures are on their way here; try again later.")

    async def _pass_on(
        self,
        limit: int,
        refusal: LatentryError | None,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        try:
            body = await self._read(limit, refusal, scope, receive)
        except _Refused as refused:
            await self._refuse(refused.error, scope, receive, send, hang_up=refused.hang_up)
            return
        except ClientDisconnect:
            return
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, replay, send)

    async def _read(
        self, limit: int, refusal: LatentryError | None, scope: Scope, receive: Receive
    ) -> bytes:
        headers = dict(scope["headers"])
        told = headers.get(b"content-length", b"")
        size = int(told) if told.isdigit() else 0
        waits_for_us = headers.get(b"expect", b"").lower() == b"100-continue"
        drained = max(limit, DRAINED_BYTES)
        error = refusal or BodyTooLarge(f"The body is larger than {limit} bytes.")
        if size > limit and (size > drained or waits_for_us):
            raise _Refused(error, hang_up=True)
        body, seen, more = bytearray(), 0, True
        try:
            async with asyncio.timeout(BODY_WITHIN_S + limit / SLOWEST_BYTES_PER_S):
                while more and seen <= drained:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    seen += len(message.get("body", b""))
                    if seen <= limit:
                        body += message.get("body", b"")
                    more = message.get("more_body", False)
        except TimeoutError:
            raise _Refused(refusal or TooSlow(), hang_up=True) from None
        if refusal or seen > limit:
            raise _Refused(error, hang_up=more)
        return bytes(body)

    @staticmethod
    async def _refuse(
        error: LatentryError, scope: Scope, receive: Receive, send: Send, *, hang_up: bool
    ) -> None:
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

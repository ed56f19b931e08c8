"""Request bodies, bounded in size, time and number before any route reads them."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from latentry.errors import BodyTooLarge, Busy, LatentryError, TooSlow
from service.http import problems
from service.http.door import LargeBody
from service.http.failures import failure

# A client that is still sending cannot read our 413, so this much is read and dropped first.
DRAIN_BYTES: Final = 2 * 1024 * 1024
# Time for any body, and more in proportion to its limit: phones on slow links send pictures.
BODY_WITHIN_S: Final = 10.0
MIN_BYTES_PER_S: Final = 128 * 1024
LARGE_AT_ONCE: Final = 16
LARGE_PER_TENANT: Final = 8  # so that one tenant's slow uploads leave room for the others


class _Refused(Exception):
    """A body that is refused; `hang_up` where the client has not sent all of it."""

    def __init__(self, error: LatentryError, *, hang_up: bool) -> None:
        super().__init__()
        self.error = error
        self.hang_up = hang_up


class BodyLimit:
    """ASGI middleware: routes see whole bodies of at most `limit` bytes, chunked or not.

    Routes in `large` accept more. Their callers are authenticated before the body is read, and
    their number is bounded, in all and for each tenant.
    """

    def __init__(self, app: ASGIApp, limit: int, large: Sequence[LargeBody]) -> None:
        self._app = app
        self._limit = limit
        self._large = large
        self._receiving: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, then call the app; or refuse it after draining."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        large = self._large_body(scope)
        if large is None:
            await self._forward(self._limit, None, scope, receive, send)
            return
        try:
            tenant = (await large.authenticate(Request(scope))).tenant
            self._refuse_too_many(tenant)
        except LatentryError as refusal:
            await self._forward(0, refusal, scope, receive, send)
            return
        self._receiving[tenant] += 1
        try:
            await self._forward(large.limit, None, scope, receive, send)
        finally:
            self._receiving[tenant] -= 1
            self._receiving += Counter()  # drops tenants at zero

    def _large_body(self, scope: Scope) -> LargeBody | None:
        if scope["method"] != "POST":
            return None
        return next((large for large in self._large if large.covers(scope["path"])), None)

    def _refuse_too_many(self, tenant: str) -> None:
        receiving = self._receiving
        if receiving.total() >= LARGE_AT_ONCE or receiving[tenant] >= LARGE_PER_TENANT:
            raise Busy("Too many large bodies are being received; try again later.")

    async def _forward(
        self,
        limit: int,
        refusal: LatentryError | None,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        try:
            body = await _read(limit, refusal, scope, receive)
        except _Refused as refused:
            response = problems.response(scope, failure(refused.error))
            if refused.hang_up:
                response.headers["connection"] = "close"
            await response(scope, receive, send)
            return
        except ClientDisconnect:
            return
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, replay, send)


async def _read(limit: int, refusal: LatentryError | None, scope: Scope, receive: Receive) -> bytes:
    """The whole body. Raises _Refused or ClientDisconnect."""
    error = refusal or BodyTooLarge(f"The body is larger than {limit} bytes.")
    drain_limit = max(limit, DRAIN_BYTES)
    if refusal is None and not _has_body(scope):
        return b""
    if not _is_worth_draining(scope, limit, drain_limit):
        raise _Refused(error, hang_up=True)
    try:
        async with asyncio.timeout(BODY_WITHIN_S + limit / MIN_BYTES_PER_S):
            body, is_complete = await _receive(limit, drain_limit, receive)
    except TimeoutError:
        raise _Refused(refusal or TooSlow(), hang_up=True) from None
    if refusal or body is None:
        raise _Refused(error, hang_up=not is_complete)
    return body


def _has_body(scope: Scope) -> bool:
    # RFC 9112, 6.3: a request with neither header has none.
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


def _is_worth_draining(scope: Scope, limit: int, drain_limit: int) -> bool:
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"")
    declared = int(length) if length.isdigit() else 0
    if declared <= limit:
        return True
    expects_continue = headers.get(b"expect", b"").lower() == b"100-continue"
    return declared <= drain_limit and not expects_continue


async def _receive(limit: int, drain_limit: int, receive: Receive) -> tuple[bytes | None, bool]:
    # The body, None past `limit`; and whether all of it was received, False past `drain_limit`.
    body, received, more = bytearray(), 0, True
    while more and received <= drain_limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        received += len(message.get("body", b""))
        if received <= limit:
            body += message.get("body", b"")
        more = message.get("more_body", False)
    return (bytes(body) if received <= limit else None), not more

"""Request bodies, bounded in size, time and number before any route reads them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from latentry.errors import BodyTooLarge, LatentryError, TooSlow
from service.http import problems
from service.http.body_room import Room, Share
from service.http.door import LargeBody
from service.http.failures import failure

# A client that is still sending cannot read our 413, so this much is read and dropped first.
DRAIN_BYTES: Final = 2 * 1024 * 1024
# Time for any body, and more in proportion to its size: phones on slow links send pictures.
BODY_WITHIN_S: Final = 10.0
MIN_BYTES_PER_S: Final = 128 * 1024


class _Refused(Exception):
    """A body that is refused; `hang_up` where the client has not sent all of it."""

    def __init__(self, error: LatentryError, *, hang_up: bool) -> None:
        super().__init__()
        self.error = error
        self.hang_up = hang_up


class BodyLimit:
    """ASGI middleware: routes see whole bodies of at most `limit` bytes, chunked or not.

    Routes in `large` accept more. Callers who send more are authenticated before it is read, and
    the bytes of all these bodies are bounded, in all and for each tenant, until the request ends or
    its route calls `release_body`.
    """

    def __init__(self, app: ASGIApp, limit: int, large: Sequence[LargeBody]) -> None:
        self._app = app
        self._limit = limit
        self._large = large
        self._room = Room()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, then call the app; or refuse it after draining."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        share = Share(self._room)
        scope.setdefault("state", {})["release_body"] = share.release
        try:
            await self._forward(share, scope, receive, send)
        finally:
            share.release()

    async def _forward(self, share: Share, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            # No name for the body here: it would be kept until the response was sent.
            whole: list[Message] = [_message(await self._body(share, scope, receive))]
        except _Refused as refused:
            response = problems.response(scope, failure(refused.error))
            if refused.hang_up:
                response.headers["connection"] = "close"
            await response(scope, receive, send)
            return
        except ClientDisconnect:
            return

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, replay, send)

    async def _body(self, share: Share, scope: Scope, receive: Receive) -> bytes:
        """The whole body. Raises _Refused or ClientDisconnect."""
        if not _has_body(scope):
            return b""
        large, declared = self._large_body(scope), _declared(scope)
        if large is None or large.limit <= self._limit:
            return await _Body(self._limit, scope, receive).read()

        async def enlarge() -> int:
            tenant = (await large.authenticate(Request(scope))).tenant
            share.take(tenant, large.limit if declared is None else min(declared, large.limit))
            return large.limit

        body = _Body(self._limit, scope, receive, enlarge)
        if declared is not None and declared > self._limit:
            await body.enlarge()
        whole = await body.read()
        share.keep_only(len(whole))
        return whole

    def _large_body(self, scope: Scope) -> LargeBody | None:
        if scope["method"] != "POST":
            return None
        return next((large for large in self._large if large.covers(scope["path"])), None)


def _message(body: bytes) -> Message:
    return {"type": "http.request", "body": body, "more_body": False}


class _Body:
    """One body as it arrives. `enlarge` gives a larger limit, or raises what refuses it."""

    def __init__(
        self,
        limit: int,
        scope: Scope,
        receive: Receive,
        enlarge: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        self._limit = limit
        self._receive = receive
        self._enlarge = enlarge
        self._scope = scope
        self._declared = _declared(scope)
        self._refusal: LatentryError | None = None
        self._began = 0.0
        self._clock = asyncio.timeout(None)

    async def read(self) -> bytes:
        """The whole body. Raises _Refused or ClientDisconnect."""
        if not self._is_worth_reading:
            raise _Refused(self._error, hang_up=True)
        self._began = asyncio.get_running_loop().time()
        try:
            async with self._clock:
                self._set_clock()
                body, is_complete = await self._parts()
        except TimeoutError:
            raise _Refused(self._refusal or TooSlow(), hang_up=True) from None
        if body is None:
            raise _Refused(self._error, hang_up=not is_complete)
        return body

    async def enlarge(self) -> None:
        """Allow a larger body, once."""
        if self._enlarge is None:
            return
        enlarge, self._enlarge = self._enlarge, None
        try:
            self._limit = await enlarge()
        except LatentryError as refusal:
            self._limit, self._refusal = 0, refusal

    @property
    def _error(self) -> LatentryError:
        return self._refusal or BodyTooLarge(f"The body is larger than {self._limit} bytes.")

    @property
    def _drain_limit(self) -> int:
        return max(self._limit, DRAIN_BYTES)

    @property
    def _is_worth_reading(self) -> bool:
        declared = self._declared or 0
        if declared <= self._limit:
            return True
        expected = dict(self._scope["headers"]).get(b"expect", b"").lower()
        return declared <= self._drain_limit and expected != b"100-continue"

    def _set_clock(self) -> None:
        size = min(self._declared or self._limit, self._drain_limit)
        self._clock.reschedule(self._began + BODY_WITHIN_S + size / MIN_BYTES_PER_S)

    async def _parts(self) -> tuple[bytes | None, bool]:
        # The body, None if it is refused; and whether all was received, False past the drain limit.
        parts, received, more = list[bytes](), 0, True
        while more and received <= self._drain_limit:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            parts.append(message.get("body", b""))
            received += len(parts[-1])
            if received > self._limit and self._enlarge:
                await self.enlarge()
                self._set_clock()
            if received > self._limit:
                parts.clear()
            more = message.get("more_body", False)
        is_refused = self._refusal is not None or received > self._limit
        return (None if is_refused else b"".join(filter(None, parts))), not more


def _has_body(scope: Scope) -> bool:
    # RFC 9112, 6.3: a request with neither header has none.
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


def _declared(scope: Scope) -> int | None:
    for name, length in scope["headers"]:
        if name == b"content-length":
            return int(length) if length.isdigit() else None
    return None

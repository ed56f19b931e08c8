"""One HTTP exchange: its id, its place in the metrics, and an answer even when we break."""

import re
import secrets
from time import perf_counter
from typing import Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http import problems
from service.metrics import Metrics

log = structlog.get_logger()

# On every answer. A picture may be embedded anywhere; nothing of ours is ever a page or in a frame.
HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}
_SANE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestContext:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; stamp the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        else:
            await self._exchange(scope, receive, send)

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = _request_id(scope)
        method = scope["method"]
        scope.setdefault("state", {})["request_id"] = request_id
        if is_head := method == "HEAD":
            scope = dict(scope) | {"method": "GET"}
        began = perf_counter()
        status = 0

        async def stamped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.update(scope["state"].get("headers", {}))  # what its route had to add
                _stamp(headers, request_id)
            if not is_head:
                await send(message)
            elif message["type"] == "http.response.start":
                await send(message)  # and that is all; to a stream behind it, the client is gone
                await send({"type": "http.response.body", "body": b""})

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, stamped)
            except Exception:
                log.exception("http.broke", method=method)
                if status:
                    raise  # too late for another answer: the server hangs up
                await problems.answer(scope, problems.INTERNAL)(scope, receive, stamped)
            finally:
                route = getattr(scope.get("route"), "path", "unmatched")
                took_s = perf_counter() - began
                self._metrics.answered(method, route, status, took_s)


def _stamp(headers: MutableHeaders, request_id: str) -> None:
    headers["x-request-id"] = request_id
    for name, value in HEADERS.items():
        headers.setdefault(name, value)


def _request_id(scope: Scope) -> str:
    given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
    return given if _SANE_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"

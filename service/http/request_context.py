"""Around every request: its id, its metrics, common headers, and a response to any exception."""

import re
import secrets
from collections.abc import Mapping
from time import perf_counter
from typing import Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http import problems
from service.http.failures import INTERNAL
from service.metrics import Metrics

log = structlog.get_logger()

# Defaults for every response. Pictures may be embedded anywhere; nothing else is a page or framed.
HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}
_HEADERS: Final = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
_VALID_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestContext:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and complete the response's headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        else:
            await self._handle(scope, receive, send)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = _request_id(scope)
        method = scope["method"]
        scope.setdefault("state", {})["request_id"] = request_id
        if is_head := method == "HEAD":
            scope = dict(scope) | {"method": "GET"}
        began = perf_counter()
        status = 0

        async def send_response(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _complete(message, scope["state"].get("headers"), request_id)
            if not is_head:
                await send(message)
            elif message["type"] == "http.response.start":
                await send(message)  # HEAD: headers only, then the end of the body
                await send({"type": "http.response.body", "body": b""})

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_response)
            except Exception:
                log.exception("http.crashed", method=method)
                if status:
                    raise  # headers are sent: the server closes the connection
                await problems.response(scope, INTERNAL)(scope, receive, send_response)
            finally:
                route = getattr(scope.get("route"), "path", "unmatched")
                took_s = perf_counter() - began
                self._metrics.request_handled(method, route, status, took_s)


def _complete(message: Message, added: Mapping[str, str] | None, request_id: str) -> None:
    if added:  # by dependencies
        MutableHeaders(scope=message).update(added)
    headers = [*message["headers"], (b"x-request-id", request_id.encode())]
    present = {name.lower() for name, _ in headers}
    message["headers"] = headers + [header for header in _HEADERS if header[0] not in present]


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _VALID_ID.fullmatch(given := value.decode("latin-1")):
            return str(given)
    return f"req_{secrets.token_hex(12)}"

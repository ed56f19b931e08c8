"""uvicorn's connection with what it lacks: time and size limits for a request's head.

Requests that are refused here never reach the app, so the responses are written to the socket.
"""

import asyncio
import secrets
from typing import Any, Final

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from latentry.contracts.problems import PROBLEM_JSON
from latentry.errors import Busy, HeadTooLarge, LatentryError, MalformedHead, TooSlow
from service.http import problems
from service.http.failures import failure
from service.http.request_context import HEADERS

log = structlog.get_logger()

# From a connection's opening, or a later request's first byte, to the end of its headers.
HEAD_WITHIN_S: Final = 10.0
MAX_HEAD_BYTES: Final = 32 * 1024
MAX_CONNECTIONS: Final = 4_096
MAX_PIPELINED: Final = 32  # pipelined requests without a response


class _TooManyPipelined(Exception):
    """Stops the parser: a parsed request takes about a hundred times the memory of its bytes."""


class Connection(HttpToolsProtocol):
    """One client's connection."""

    _in_head = False  # a head has begun and not ended
    _head_bytes = 0  # received since the last head ended, less an allowance for bodies
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer for the first head, or refuse the connection if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self._refuse(Busy("Too many connections are open; try again later."))
            return
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, within the limits."""
        if self.transport.is_closing():
            return
        self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        is_idle = self.cycle is None or self.cycle.response_complete
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(HeadTooLarge())
        elif self._timer is None and (self._in_head or is_idle):
            self._start_timer()

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header. Trailers, after a chunked body, are ignored."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """A head ended in time."""
        self._in_head, self._head_bytes = False, 0
        self._stop_timer()
        super().on_headers_complete()
        if len(self.pipeline) > MAX_PIPELINED:
            raise _TooManyPipelined

    def on_body(self, body: bytes) -> None:
        """Part of a body. Chunked encoding adds less than 9 bytes to each byte of it."""
        self._head_bytes -= 9 * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A body ended."""
        self._head_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, with our own problem details."""
        self._refuse(MalformedHead())

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(HEAD_WITHIN_S, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self._in_head:
            self._refuse(TooSlow())
        else:
            self.transport.close()

    def _refuse(self, error: LatentryError) -> None:
        self._stop_timer()
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()  # a response is being sent: another would corrupt it
            return
        what, request_id = failure(error), f"req_{secrets.token_hex(12)}"
        body = problems.problem(what, request_id=request_id).model_dump_json().encode()
        headers: dict[str, Any] = {
            "content-type": PROBLEM_JSON,
            "content-length": len(body),
            "connection": "close",
            "x-request-id": request_id,
        }
        lines = (f"{k}: {v}\r\n" for k, v in (headers | HEADERS | dict(what.headers)).items())
        head = STATUS_LINE[what.status] + "".join(lines).encode() + b"\r\n"
        self.transport.write(head + body)
        self.transport.close()
        log.info("http.refused", status=what.status, code=what.code)

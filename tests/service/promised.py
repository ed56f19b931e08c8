"""An app whose every answer is compared with the API document: status, code and media type."""

import json
from functools import cache
from typing import Any

from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from service.description.operations import named
from tools.pages.openapi import PAGE

# What a path or method that no route has is answered with.
_OF_NO_ROUTE = {"not_found", "method_not_allowed"}


class Promised:
    """ASGI middleware of tests. Raises AssertionError for an answer that the document lacks."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self.state = app.state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: dict[str, Any] = {}
        body = list[bytes]()

        async def look(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            elif start.get("status", 0) >= 400:
                body.append(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, look)
        if scope["type"] == "http" and start and "route" in scope:
            _compare(scope, start, b"".join(body))


def _compare(scope: Scope, start: Message, body: bytes) -> None:
    path = getattr(scope["route"], "path_format", "")
    method = "get" if scope["method"] == "HEAD" else scope["method"].lower()
    operation = _promised()["paths"].get(path, {}).get(method)
    if operation is None:  # it is not of the document, as pages for people are
        return
    where, status = f"{method.upper()} {path}", str(start["status"])
    assert status in operation["responses"], f"{where} answers {status}, as no document says"
    answer = operation["responses"][status]
    shared = _promised()["components"]["responses"]
    content = shared.get(named(answer), answer).get("content", {})
    media = dict(start["headers"]).get(b"content-type", b"").decode().partition(";")[0]
    assert not media or media in content, f"{where} answers {status} as {media}"
    if int(status) >= 400 and method != "head" and body:
        code = json.loads(body).get("code", "")
        known = content[media]["examples"]
        assert not code or code in known or code in _OF_NO_ROUTE, f"{where} answers {code}"


@cache
def _promised() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(PAGE.read_text())
    return document

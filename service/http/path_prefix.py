"""The path of LATENTRY_PUBLIC_URL, a prefix that a reverse proxy removes from requests or not."""

from starlette.types import ASGIApp, Receive, Scope, Send


class PathPrefix:
    """ASGI middleware: afterwards no path has the prefix, and `root_path` is the prefix."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http":
            path = scope["path"]
            if f"{path}/".startswith(f"{self._prefix}/"):
                path = path.removeprefix(self._prefix) or "/"
            scope = dict(scope) | {"path": path, "root_path": self._prefix}
        await self._app(scope, receive, send)

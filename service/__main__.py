"""`python -m service`: the gateway as a process."""

import os
import resource
import signal
import socket
import sys
from types import FrameType
from typing import Final

import uvicorn

from latentry.errors import ConfigurationError
from latentry.logs import configure_logs
from latentry.settings import Settings
from service.access import opening
from service.app import create_app
from service.gateway import Gateway
from service.http.protocol import Connection

EXIT_UNUSABLE: Final = 2
# Streams and held requests end by themselves when we leave; this is for slow readers.
_LEAVE_WITHIN_S: Final = 3


class Server(uvicorn.Server):
    """uvicorn, telling the gateway to leave before it waits for open connections to end."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what is held open, then leave."""
        self._gateway.stop()
        await super().shutdown(sockets)


def server(settings: Settings) -> Server:
    """A server of the gateway, its metrics on a port of their own. Raises ConfigurationError."""
    app = create_app(settings)
    gateway: Gateway = app.state.gateway
    try:
        gateway.metrics.serve(settings.metrics_host, settings.metrics_port)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot serve metrics on port {settings.metrics_port} ({error.strerror});"
            " set LATENTRY_METRICS_PORT to one that is free, or to 0."
        ) from error
    config = uvicorn.Config(
        app,
        http=Connection,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=_LEAVE_WITHIN_S,
    )
    return Server(config, gateway)


def bind(host: str, port: int) -> socket.socket:
    """The socket to serve on. Raises ConfigurationError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on {host} port {port} ({error.strerror});"
            " set LATENTRY_PORT to one that is free."
        ) from error


def allow_connections() -> None:
    """Let as many be open as the system lets us; a shell's usual 1,024 is less than ours."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> int:
    """Serve until SIGTERM or SIGINT. Answers the exit status."""
    try:
        settings = Settings.from_env(os.environ)
        configure_logs(settings)
        opening.check(settings)
        listening = bind(settings.host, settings.port)
        # Port 0 is the system's choice, and every URL we hand out names it.
        gateway = server(settings.model_copy(update={"port": listening.getsockname()[1]}))
    except ConfigurationError as error:
        sys.stderr.write(f"{error.message}\n")
        return EXIT_UNUSABLE
    allow_connections()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    gateway.run([listening])
    return 0


def _leave(_: int, __: FrameType | None) -> None:
    # uvicorn, once it has left in good order, raises the signal again for whoever was here before.
    raise SystemExit(0)


if __name__ == "__main__":
    raise SystemExit(main())

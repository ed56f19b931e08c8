"""`python -m service`: the gateway as a process."""

import os
import resource
import signal
import socket
import sys
from contextlib import ExitStack
from types import FrameType
from typing import Final

import uvicorn

from latentry.errors import ConfigurationError
from latentry.ledger.server import inspection
from latentry.logs import configure_logs
from latentry.metrics_port import serve_metrics
from latentry.settings import Settings
from service.access import opening
from service.app import create_app
from service.gateway import Gateway
from service.http.protocol import Connection

EXIT_UNUSABLE: Final = 2
# Streams and waiting requests end at once when we stop; this is for slow readers.
_STOP_WITHIN_S: Final = 3


class Server(uvicorn.Server):
    """uvicorn, which stops the gateway before it waits for open connections."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End streams and waiting requests, then shut down."""
        self._gateway.stop()
        await super().shutdown(sockets)


def server(settings: Settings) -> Server:
    """A server for the gateway; metrics get a port of their own. Raises ConfigurationError."""
    app = create_app(settings)
    gateway: Gateway = app.state.gateway
    serve_metrics(gateway.metrics.registry, settings, "metrics_port")
    config = uvicorn.Config(
        app,
        http=Connection,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=_STOP_WITHIN_S,
    )
    return Server(config, gateway)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigurationError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on {host} port {port} ({error.strerror});"
            " set LATENTRY_PORT to a free port."
        ) from error


def allow_connections() -> None:
    """Raise the limit of open files to the hard limit: the usual 1,024 is below MAX_CONNECTIONS."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status."""
    try:
        settings = Settings.from_env(os.environ)
        configure_logs(settings)
        inspection.inspect(settings)
        opening.check(settings)
        with ExitStack() as if_refused:
            listening = if_refused.enter_context(bind(settings.host, settings.port))
            # Port 0 lets the system choose one, which the URLs in responses must name.
            gateway = server(settings.model_copy(update={"port": listening.getsockname()[1]}))
            if_refused.pop_all()
    except ConfigurationError as error:
        sys.stderr.write(f"{error.message}\n")
        return EXIT_UNUSABLE
    allow_connections()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    gateway.run([listening])
    return 0


def _exit(_: int, __: FrameType | None) -> None:
    # uvicorn, after a graceful shutdown, raises the signal again for the previous handler: this.
    raise SystemExit(0)


if __name__ == "__main__":
    raise SystemExit(main())

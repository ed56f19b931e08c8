"""Which TCP ports are to be had."""

import socket

from latentry.errors import ConfigurationError
from latentry.settings import Settings


def free_port(host: str) -> int:
    """A port that nobody listens on just now."""
    with socket.create_server((host, 0), family=_family(host)) as listener:
        port: int = listener.getsockname()[1]
        return port


def check_ports(settings: Settings) -> None:
    """Raises ConfigurationError with what to set when a port that we need is taken."""
    wanted = (
        ("LATENTRY_PORT", settings.host, settings.port),
        ("LATENTRY_METRICS_PORT", settings.metrics_host, settings.metrics_port),
        ("LATENTRY_WORKER_METRICS_PORT", settings.metrics_host, settings.worker_metrics_port),
    )
    for variable, host, port in wanted:
        try:
            socket.create_server((host, port), family=_family(host)).close()
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} on {host} is not to be had ({error.strerror}); "
                f"set {variable} to another one."
            ) from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET

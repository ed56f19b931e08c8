"""Free TCP ports."""

import socket
from typing import Final

from latentry.errors import ConfigurationError
from latentry.serve.workers import metrics_port
from latentry.settings import PREFIX, Settings

LAST_PORT: Final = 65535


def free_port(host: str) -> int:
    """A TCP port that is free now."""
    with socket.create_server((host, 0), family=_family(host)) as listener:
        port: int = listener.getsockname()[1]
        return port


def check_ports(settings: Settings) -> None:
    """Raises ConfigurationError if a port is taken, with the variable to set."""
    wanted = (
        ("port", settings.host, settings.port),
        ("metrics_port", settings.metrics_host, settings.metrics_port),
        *(
            ("worker_metrics_port", settings.metrics_host, metrics_port(settings, number))
            for number in range(settings.workers)
        ),
    )
    for setting, host, port in wanted:
        if setting.endswith("metrics_port") and setting not in settings.model_fields_set:
            continue  # the process takes the next free one
        if port > LAST_PORT:
            raise ConfigurationError(
                f"Port {port} does not exist: {PREFIX}{setting.upper()} is the first of "
                f"{settings.workers}, and the last one is {LAST_PORT}."
            )
        try:
            socket.create_server((host, port), family=_family(host)).close()
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} on {host} cannot be opened ({error.strerror}); "
                f"set {PREFIX}{setting.upper()} to another port."
            ) from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET

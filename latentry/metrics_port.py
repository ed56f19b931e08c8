"""The port on which gateway and worker serve their Prometheus metrics."""

import errno
from typing import Final, Literal

import structlog
from prometheus_client import CollectorRegistry, start_http_server

from latentry.addresses import dialable
from latentry.errors import ConfigurationError
from latentry.settings import PREFIX, Settings

log = structlog.get_logger()

# Of neighbours: several services and workers may share a machine.
TRIES: Final = 100


def serve_metrics(
    registry: CollectorRegistry,
    settings: Settings,
    setting: Literal["metrics_port", "worker_metrics_port"],
) -> None:
    """Serve `/metrics` on the port of a setting, or the next free one if it is not set; 0 is off.

    Raises ConfigurationError.
    """
    first: int = getattr(settings, setting)
    if not first:
        return
    host = settings.metrics_host
    tries = 1 if setting in settings.model_fields_set else TRIES
    for port in range(first, first + tries):
        try:
            start_http_server(port, host, registry)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and port + 1 < first + tries:
                continue
            raise ConfigurationError(
                f"Cannot serve metrics on {host} port {port} ({error.strerror}); "
                f"set {PREFIX}{setting.upper()} to a free port, or to 0 for none."
            ) from error
        log.info("metrics.serving", url=f"http://{dialable(host)}:{port}/metrics")
        return

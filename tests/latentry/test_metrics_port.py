"""Several gateways and workers on one machine, each with a port for its metrics."""

import re

import httpx
import pytest
from prometheus_client import CollectorRegistry, Gauge
from structlog.testing import capture_logs

from latentry.errors import ConfigurationError
from latentry.metrics_port import serve_metrics
from latentry.settings import Settings


@pytest.mark.parametrize("setting", ["metrics_port", "worker_metrics_port"])
def test_those_that_are_told_no_port_take_free_ones_and_log_them(setting) -> None:
    with capture_logs() as logs:
        for number in range(3):
            registry = CollectorRegistry()
            Gauge("number", "Which.", registry=registry).set(number)
            serve_metrics(registry, Settings(), setting)
    urls = [log["url"] for log in logs if log["event"] == "metrics.serving"]
    for number, url in enumerate(urls):
        assert f"number {number}.0" in httpx.get(url).text
    ports = [int(re.search(r":(\d+)/metrics", url)[1]) for url in urls]
    assert ports == sorted(set(ports))
    assert ports[0] >= Settings.model_fields[setting].default
    given = Settings.model_validate({setting: ports[0]})
    with pytest.raises(ConfigurationError, match=f"set LATENTRY_{setting.upper()} to a free port"):
        serve_metrics(CollectorRegistry(), given, setting)


def test_0_is_none() -> None:
    with capture_logs() as logs:
        serve_metrics(CollectorRegistry(), Settings(metrics_port=0), "metrics_port")
    assert logs == []

"""A gateway's metrics, for Prometheus."""

from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from latentry.contracts import DeliveryStatus, ResolvedRequest
from latentry.ledger import JobEnd

_HTTP_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_JOB_S: Final = (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 900, 3600)


class Metrics:
    """One gateway's metrics, in a registry of their own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        http, jobs = (partial(Histogram, registry=registry, buckets=b) for b in (_HTTP_S, _JOB_S))
        route, model = ["method", "route"], ["model"]
        self._requests = counter(
            "latentry_http_requests",
            "Requests; status 0: the client left.",
            [*route, "status"],
        )
        self._latency = http("latentry_http_seconds", "From request to last byte.", route)
        self._accepted = counter("latentry_jobs_accepted", "Jobs created by this gateway.", model)
        # Each job is counted by one gateway, whichever took its end from the ledger.
        self._ended = counter(
            "latentry_jobs_ended", "Ended jobs: sum over all gateways.", [*model, "status", "code"]
        )
        self._waited = jobs(
            "latentry_job_queue_seconds", "Ended jobs: accepted to first claimed.", model
        )
        self._ran = jobs("latentry_job_run_seconds", "Ended jobs: first claimed to ended.", model)
        self._waiting = gauge("latentry_queue_jobs", "Jobs that wait.", model)
        self._oldest = gauge("latentry_queue_oldest_seconds", "Age of the oldest of them.", model)
        self._workers = gauge("latentry_workers", "Live workers that serve the model.", model)
        self._attempts = counter(
            "latentry_webhook_attempts", "Webhook attempts, by answer.", ["answer"]
        )
        self._deliveries = counter(
            "latentry_webhook_deliveries", "Webhook deliveries that ended.", ["status"]
        )
        # These two are of the whole ledger, whichever gateway is asked.
        self._undelivered = gauge("latentry_webhook_waiting", "Webhook deliveries that wait.")
        self._longest_undelivered = gauge(
            "latentry_webhook_oldest_seconds", "Age of the oldest of them."
        )

    def serve(self, host: str, port: int) -> None:
        """Answer scrapes on a port of its own; 0 is off. Raises OSError if it is taken."""
        if port:
            start_http_server(port, host, self.registry)

    def answered(self, method: str, route: str, status: int, took_s: float) -> None:
        """One request is over; status 0: the client left."""
        self._requests.labels(method, route, str(status)).inc()
        self._latency.labels(method, route).observe(took_s)

    def accepted(self, request: ResolvedRequest) -> None:
        """A job entered the ledger."""
        self._accepted.labels(request.model).inc()

    def ended(self, end: JobEnd) -> None:
        """A job ended, and this gateway counts it."""
        self._ended.labels(end.model, end.status.value, end.code).inc()
        if end.queue_ms is not None:
            self._waited.labels(end.model).observe(end.queue_ms / 1000)
        if end.run_ms is not None:
            self._ran.labels(end.model).observe(end.run_ms / 1000)

    def told(self, to: DeliveryStatus, status: int | None, error: str | None) -> None:
        """A delivery was attempted."""
        self._attempts.labels(f"{status // 100}xx" if status else error).inc()
        if to is not DeliveryStatus.WAITING:
            self._deliveries.labels(to.value).inc()

    def undelivered(self, waiting: int, oldest_ms: int) -> None:
        """How many deliveries wait in the ledger."""
        self._undelivered.set(waiting)
        self._longest_undelivered.set(oldest_ms / 1000)

    def stand(self, model: str, *, waiting: int, oldest_ms: int, workers: int) -> None:
        """How a model's queue is now."""
        self._waiting.labels(model).set(waiting)
        self._oldest.labels(model).set(oldest_ms / 1000)
        self._workers.labels(model).set(workers)

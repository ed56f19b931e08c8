"""What an operator of gateways wants to see, for Prometheus."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from latentry.contracts import DeliveryStatus, ResolvedRequest
from latentry.ledger import JobEnd

_HTTP_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_JOB_S: Final = (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 900, 3600)


class Metrics:
    """One gateway's figures, in a registry of their own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        route = ["method", "route"]
        self._requests = Counter(
            "latentry_http_requests", "Answers.", [*route, "status"], registry=registry
        )
        self._latency = Histogram(
            "latentry_http_seconds", "Request to last byte.", route, buckets=_HTTP_S,
            registry=registry,
        )  # fmt: skip
        self._accepted = Counter(
            "latentry_jobs_accepted", "Jobs entered here.", ["model"], registry=registry
        )
        # Each job is counted by one gateway, whichever took its end from the ledger.
        self._ended = Counter(
            "latentry_jobs_ended", "Ended jobs: sum over all gateways.",
            ["model", "status", "code"], registry=registry,
        )  # fmt: skip
        self._waited = Histogram(
            "latentry_job_queue_seconds", "Ended jobs: accepted to first claimed.",
            ["model"], buckets=_JOB_S, registry=registry,
        )  # fmt: skip
        self._ran = Histogram(
            "latentry_job_run_seconds", "Ended jobs: first claimed to ended.",
            ["model"], buckets=_JOB_S, registry=registry,
        )  # fmt: skip
        self._waiting = Gauge("latentry_queue_jobs", "Jobs waiting.", ["model"], registry=registry)
        self._oldest = Gauge(
            "latentry_queue_oldest_seconds", "Age of the longest waiting.", ["model"],
            registry=registry,
        )  # fmt: skip
        self._workers = Gauge(
            "latentry_workers", "Live workers that hold the model.", ["model"], registry=registry
        )

        self._attempts = Counter(
            "latentry_webhook_attempts", "Notices sent, by what came back.", ["answer"],
            registry=registry,
        )  # fmt: skip
        self._deliveries = Counter(
            "latentry_webhook_deliveries", "Notices that are done with.", ["status"],
            registry=registry,
        )  # fmt: skip
        # Of all gateways together, as the ledger has it.
        self._undelivered = Gauge(
            "latentry_webhook_waiting", "Notices to be sent.", registry=registry
        )
        self._longest_undelivered = Gauge(
            "latentry_webhook_oldest_seconds", "Age of the oldest of them.", registry=registry
        )

    def serve(self, host: str, port: int) -> None:
        """Answer scrapes on a port of its own; 0 is off. Raises OSError if it is taken."""
        if port:
            start_http_server(port, host, self.registry)

    def answered(self, method: str, route: str, status: int, took_s: float) -> None:
        """One exchange is over; status 0 is one that the client left."""
        self._requests.labels(method, route, str(status)).inc()
        self._latency.labels(method, route).observe(took_s)

    def accepted(self, request: ResolvedRequest) -> None:
        """A job entered the ledger."""
        self._accepted.labels(request.model).inc()

    def ended(self, end: JobEnd) -> None:
        """A job ended, and this gateway counts it; times are there if it ran."""
        self._ended.labels(end.model, end.status.value, end.code).inc()
        if end.queue_ms is not None:
            self._waited.labels(end.model).observe(end.queue_ms / 1000)
        if end.run_ms is not None:
            self._ran.labels(end.model).observe(end.run_ms / 1000)

    def told(self, to: DeliveryStatus, status: int | None, error: str | None) -> None:
        """A notice was sent, or could not be."""
        self._attempts.labels(f"{status // 100}xx" if status else error).inc()
        if to is not DeliveryStatus.WAITING:
            self._deliveries.labels(to.value).inc()

    def undelivered(self, waiting: int, oldest_ms: int) -> None:
        """How many notices wait in the ledger."""
        self._undelivered.set(waiting)
        self._longest_undelivered.set(oldest_ms / 1000)

    def stand(self, model: str, *, waiting: int, oldest_ms: int, workers: int) -> None:
        """How a model's line is now."""
        self._waiting.labels(model).set(waiting)
        self._oldest.labels(model).set(oldest_ms / 1000)
        self._workers.labels(model).set(workers)

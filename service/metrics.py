"""Prometheus metrics of one gateway process."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from latentry.contracts import AnyRequest, DeliveryStatus
from latentry.ledger import JobEnd

_HTTP_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_JOB_S: Final = (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 900, 3600)


class Metrics:
    """One gateway's metrics, in a registry of their own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        route, model = ["method", "route"], ["model"]
        requests = counter(
            "latentry_http_requests", "Requests; status 0: client disconnected.", [*route, "status"]
        )
        latency = Histogram(
            "latentry_http_seconds", "Request start to last byte.", route,
            buckets=_HTTP_S, registry=registry,
        )  # fmt: skip
        # `labels` looks its arguments up under a lock, several times in each request.
        self._requests, self._latency = cache(requests.labels), cache(latency.labels)
        self._accepted = counter("latentry_jobs_accepted", "Jobs accepted by this gateway.", model)
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
        self._waiting = gauge("latentry_queue_jobs", "Queued jobs.", model)
        self._oldest = gauge(
            "latentry_queue_oldest_seconds", "Wait of the oldest queued job.", model
        )
        self._workers = gauge("latentry_workers", "Live workers that serve the model.", model)
        self._count_rules()
        self.webhooks = WebhookMetrics(registry)

    def _count_rules(self) -> None:
        self._rules = Counter(
            "latentry_rules_applied", "Rules met by requests.", ["rule", "tenant", "action"],
            registry=self.registry,
        )  # fmt: skip
        self._stale = Gauge(
            "latentry_templates_stale",
            "1: the files were changed to what cannot be read; what they said before holds.",
            ["what"],
            registry=self.registry,
        )

    def request_handled(self, method: str, route: str, status: int, took_s: float) -> None:
        """A request ended; status 0 if the client disconnected before the response."""
        self._requests(method, route, str(status)).inc()
        self._latency(method, route).observe(took_s)

    def job_accepted(self, request: AnyRequest) -> None:
        """A job was accepted."""
        self._accepted.labels(request.model).inc()

    def job_ended(self, end: JobEnd) -> None:
        """A job ended, and this gateway counts it; the times are None unless it ran."""
        self._ended.labels(end.model, end.status.value, end.code).inc()
        if end.queue_ms is not None:
            self._waited.labels(end.model).observe(end.queue_ms / 1000)
        if end.run_ms is not None:
            self._ran.labels(end.model).observe(end.run_ms / 1000)

    def rule_applied(self, rule: str, tenant: str, action: str) -> None:
        """A request met a rule."""
        self._rules.labels(rule, tenant, action).inc()

    def watch_templates(self, stale: Mapping[str, Callable[[], bool]]) -> None:
        """Where it is read whether the files of each kind are stale."""
        for what, is_stale in stale.items():
            self._stale.labels(what).set_function(is_stale)

    def queue_state(self, model: str, *, waiting: int, oldest_ms: int, workers: int) -> None:
        """A model's queue and workers as of now."""
        self._waiting.labels(model).set(waiting)
        self._oldest.labels(model).set(oldest_ms / 1000)
        self._workers.labels(model).set(workers)


class WebhookMetrics:
    """What the webhook sender reports."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Counter(
            "latentry_webhook_attempts", "Webhook attempts by status class or error.", ["answer"],
            registry=registry,
        )  # fmt: skip
        self._deliveries = Counter(
            "latentry_webhook_deliveries", "Webhook deliveries by final status.", ["status"],
            registry=registry,
        )  # fmt: skip
        # From the ledger, so the same in every gateway.
        self._waiting = Gauge(
            "latentry_webhook_waiting", "Webhook deliveries that wait.", registry=registry
        )
        self._oldest = Gauge(
            "latentry_webhook_oldest_seconds", "Age of the oldest waiting delivery.",
            registry=registry,
        )  # fmt: skip

    def attempted(self, to: DeliveryStatus, status: int | None, error: str | None) -> None:
        """A delivery was attempted; it has the status `to` now."""
        self._attempts.labels(f"{status // 100}xx" if status else error).inc()
        if to is not DeliveryStatus.WAITING:
            self._deliveries.labels(to.value).inc()

    def backlog(self, waiting: int, oldest_ms: int) -> None:
        """Deliveries that wait in the ledger, and the age of the oldest."""
        self._waiting.set(waiting)
        self._oldest.set(oldest_ms / 1000)

"""What an operator of workers wants to see, for Prometheus."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server

from latentry.errors import ConfigurationError
from worker.claims.claimed_job import Verdict
from worker.engine.loop import StepTiming

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """One worker's counters. Stages: claim to done is encode, step, decode and publish."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._rows = Histogram(
            "latentry_rows_per_step",
            "UNet rows in one call.",
            buckets=(1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64),
            registry=self.registry,
        )
        self._stages = Histogram(
            "latentry_stage_seconds",
            "Time of one piece of work.",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._jobs = Counter(
            "latentry_worker_jobs",
            "Jobs this worker ended.",
            ["status", "code"],
            registry=self.registry,
        )

        self._resumed = Counter(
            "latentry_steps_resumed",
            "Steps that checkpoints spared this worker.",
            registry=self.registry,
        )
        self._redone = Counter(
            "latentry_steps_redone",
            "Steps made again, of jobs that an earlier worker had brought further.",
            registry=self.registry,
        )

    def serve(self, host: str, port: int) -> None:
        """Answer scrapes on a port of its own; 0 is off. Raises ConfigurationError."""
        if not port:
            return
        try:
            start_http_server(port, host, self.registry)
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} on {host} is not to be had ({error.strerror}); "
                "set LATENTRY_WORKER_METRICS_PORT to another one, or to 0."
            ) from error

    def stepped(self, pace: StepTiming) -> None:
        """The loop made a step: newcomers, a UNet call, some decoding, or all of these."""
        if pace.join_s:
            self._stages.labels("encode").observe(pace.join_s)
        if pace.rows:
            self._rows.observe(pace.rows)
            self._stages.labels("step").observe(pace.call_s)
        if pace.decode_s:
            self._stages.labels("decode").observe(pace.decode_s)

    def joined(self, step: int, reached: int) -> None:
        """An image goes on from `step`; its job's last worker had `reached` a step."""
        self._resumed.inc(step)
        self._redone.inc(max(0, reached - step))

    def ended(self, verdict: Verdict) -> None:
        """One job was settled."""
        code = verdict.error.code if verdict.error else ""
        self._jobs.labels(verdict.status.value, code).inc()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a piece of work."""
        begin = perf_counter()
        try:
            yield
        finally:
            self._stages.labels(name).observe(perf_counter() - begin)

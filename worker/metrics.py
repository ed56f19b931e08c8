"""One worker's Prometheus metrics."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter, time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from latentry.rules.moderation.image_rules import Verdict
from worker.claims.claimed_job import Outcome
from worker.engine.loop import StepTiming

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """Counters of this process. A job's stages are encode, step, decode, publish, sign and clip."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._rows = Histogram(
            "latentry_rows_per_step",
            "Rows of one UNet call, padding included.",
            buckets=(1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64),
            registry=self.registry,
        )
        self._stages = Histogram(
            "latentry_stage_seconds",
            "Seconds of one stage: encode, step, decode in the engine; judge; publish, clip to"
            " storage; sign, a part of these two.",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._count_work()
        self._marked = Counter(
            "latentry_files_marked",
            "Files by what became of their C2PA signature: `signed`, `no_certificate` or a code.",
            ["result"],
            registry=self.registry,
        )

    def _count_work(self) -> None:
        self._jobs = Counter(
            "latentry_worker_jobs",
            "Jobs that this worker settled; latentry_jobs_ended counts each job once.",
            ["status", "code"],
            registry=self.registry,
        )
        self._resumed = Counter(
            "latentry_steps_resumed",
            "Steps that this worker did not make again, because a checkpoint had them.",
            registry=self.registry,
        )
        self._redone = Counter(
            "latentry_steps_redone",
            "Steps made again, because an earlier worker had made them after its last checkpoint.",
            registry=self.registry,
        )
        self._judged = Counter(
            "latentry_pictures_judged",
            "Pictures that rules were applied to, by what was done about them.",
            ["action"],
            registry=self.registry,
        )
        self._rules = Counter(
            "latentry_rules_applied",
            "Rules met by pictures.",
            ["rule", "tenant", "action"],
            registry=self.registry,
        )
        self._idled = Counter(
            "latentry_worker_idle_seconds",
            "Seconds for which this worker had room and left a job waiting. More than 0 is a fault:"
            " a wake-up was lost or late.",
            registry=self.registry,
        )
        self._backlog = Gauge(
            "latentry_worker_backlog_bytes",
            "Memory of pictures that are not stored yet; at its limit the worker claims no job.",
            registry=self.registry,
        )

    def marked(self, result: str) -> None:
        """A file was signed, or why it was not."""
        self._marked.labels(result).inc()

    def watch_certificate(self, ends: float) -> None:
        """When the certificate that signs pictures expires, as Unix time."""
        Gauge(
            "latentry_certificate_seconds_left",
            "Seconds until the certificate that signs pictures expires; negative since.",
            registry=self.registry,
        ).set_function(lambda: ends - time())

    def judged(self, tenant: str, verdict: Verdict) -> None:
        """A picture was judged by its job's rules."""
        self._judged.labels(verdict.action.value).inc()
        for rule, action in verdict.applied:
            self._rules.labels(rule, tenant, action).inc()

    def stepped(self, timing: StepTiming) -> None:
        """The engine made a step: orders joined, one UNet call, some decoding, or all of these."""
        if timing.join_s:
            self._stages.labels("encode").observe(timing.join_s)
        if timing.rows:
            self._rows.observe(timing.rows)
            self._stages.labels("step").observe(timing.call_s)
        if timing.decode_s:
            self._stages.labels("decode").observe(timing.decode_s)

    def joined(self, step: int, reached: int) -> None:
        """An image begins at `step`; its job's last worker had reported step `reached`."""
        self._resumed.inc(step)
        self._redone.inc(max(0, reached - step))

    def settled(self, outcome: Outcome) -> None:
        """This worker settled a job."""
        code = outcome.error.code if outcome.error else ""
        self._jobs.labels(outcome.status.value, code).inc()

    def idled(self, seconds: float) -> None:
        """For so long there was room, and a job that waited for it was not claimed."""
        self._idled.inc(seconds)

    def watch_backlog(self, read: Callable[[], float]) -> None:
        """Where the bytes of the backlog are read."""
        self._backlog.set_function(read)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage, whether it succeeds or not."""
        begin = perf_counter()
        try:
            yield
        finally:
            self._stages.labels(name).observe(perf_counter() - begin)

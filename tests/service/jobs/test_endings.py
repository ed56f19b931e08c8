"""Who writes down how jobs ended."""

from prometheus_client import generate_latest
from structlog.testing import capture_logs

from latentry.contracts import EventType, JobStatus
from latentry.errors import EngineError
from latentry.ledger import JobRecord, JobRef, Ledger, LedgerEvent, commands
from service.jobs.endings import Endings
from service.metrics import Metrics
from tests.latentry.ledger.factory import new_job


def end_of(ledger: Ledger, ref: JobRef) -> tuple[LedgerEvent, JobRecord]:
    record = ledger.run(commands.get(ref))
    assert record is not None
    return ledger.run(commands.events(ref))[-1], record


def test_an_end_is_noted_with_what_its_record_says(ledger: Ledger) -> None:
    ref = ledger.run(commands.create(new_job(), max_queued=9)).ref
    [lease] = ledger.run(commands.claim("w1", ["shapes"], room=1, lease_s=9))
    ledger.run(commands.settle(lease, JobStatus.FAILED, EngineError()))
    end, record = end_of(ledger, ref)
    metrics = Metrics()
    with capture_logs() as logs:
        Endings(metrics).note(end)
    [line] = logs
    assert (line["job"], line["status"], line["code"]) == (ref.id, "failed", "engine_error")
    assert (line["queue_ms"], line["run_ms"]) == (record.queue_ms, record.run_ms)
    figures = generate_latest(metrics.registry).decode()
    labels = 'code="engine_error",model="shapes",status="failed"'
    assert f"latentry_jobs_ended_total{{{labels}}} 1.0" in figures
    assert 'latentry_job_run_seconds_count{model="shapes"} 1.0' in figures


def test_an_end_that_another_version_told_costs_only_its_own_figures() -> None:
    metrics = Metrics()
    with capture_logs() as logs:
        Endings(metrics).note(LedgerEvent(JobRef("t", "gen_1"), "1-0", EventType.SUCCEEDED, {}))
    assert [(line["log_level"], line["job"]) for line in logs] == [("warning", "gen_1")]
    assert "latentry_jobs_ended_total{" not in generate_latest(metrics.registry).decode()


def test_a_job_that_never_ran_counts_for_no_time(ledger: Ledger) -> None:
    ref = ledger.run(commands.create(new_job(), max_queued=9)).ref
    ledger.run(commands.cancel(ref))
    end, _ = end_of(ledger, ref)
    metrics = Metrics()
    Endings(metrics).note(end)
    figures = generate_latest(metrics.registry).decode()
    assert 'latentry_jobs_ended_total{code="",model="shapes",status="canceled"} 1.0' in figures
    assert "latentry_job_queue_seconds_count" not in figures

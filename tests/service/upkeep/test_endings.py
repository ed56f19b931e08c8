"""Every job that ended is counted and logged once, whichever gateway does it."""

import asyncio
import json
from typing import Any

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from latentry.contracts import JobStatus
from latentry.errors import EngineError, LedgerUnavailable
from latentry.ledger import AsyncLedger, Command, JobRef, Ledger, commands
from service.metrics import Metrics
from service.upkeep.endings import Endings
from tests.latentry.ledger.factory import new_job


class Gateway:
    """What counts ends in a gateway."""

    def __init__(self, ledger: AsyncLedger) -> None:
        self.metrics = Metrics()
        self.endings = Endings(ledger, self.metrics)

    @property
    def figures(self) -> str:
        return generate_latest(self.metrics.registry).decode()

    @property
    def counted(self) -> int:
        found = self.metrics.registry.collect()
        return sum(
            int(sample.value)
            for family in found
            for sample in family.samples
            if sample.name == "latentry_jobs_ended_total"
        )


class Lossy(AsyncLedger):
    """Carries out every command, and loses every other reply."""

    def __init__(self, ledger: AsyncLedger) -> None:
        super().__init__(ledger.client, ledger.root)
        self.is_lost = False

    async def run(self, command: Command[Any]) -> Any:
        answer = await super().run(command)
        self.is_lost = not self.is_lost
        if self.is_lost:
            raise LedgerUnavailable
        return answer


def end(ledger: Ledger, jobs: int) -> list[JobRef]:
    refs = [ledger.run(commands.create(new_job(), max_queued=999)).ref for _ in range(jobs)]
    for ref in refs:
        ledger.run(commands.cancel(ref))
    return refs


async def test_an_end_is_noted_with_what_its_record_says(
    ledger: Ledger, async_ledger: AsyncLedger
) -> None:
    ref = ledger.run(commands.create(new_job(), max_queued=9)).ref
    [lease] = ledger.run(commands.claim("w1", ["shapes"], room=1, lease_s=9))
    ledger.run(commands.settle(lease, JobStatus.FAILED, EngineError()))
    record = ledger.run(commands.get(ref))
    assert record is not None
    gateway = Gateway(async_ledger)
    with capture_logs() as logs:
        await gateway.endings.take()
    [line] = logs
    assert (line["job"], line["status"], line["code"]) == (ref.id, "failed", "engine_error")
    assert (line["queue_ms"], line["run_ms"]) == (record.queue_ms, record.run_ms)
    labels = 'code="engine_error",model="shapes",status="failed"'
    assert f"latentry_jobs_ended_total{{{labels}}} 1.0" in gateway.figures
    assert 'latentry_job_run_seconds_count{model="shapes"} 1.0' in gateway.figures


async def test_a_job_that_never_ran_counts_for_no_time(
    ledger: Ledger, async_ledger: AsyncLedger
) -> None:
    end(ledger, 1)
    gateway = Gateway(async_ledger)
    await gateway.endings.take()
    labels = 'code="",model="shapes",status="canceled"'
    assert f"latentry_jobs_ended_total{{{labels}}} 1.0" in gateway.figures
    assert "latentry_job_queue_seconds_count" not in gateway.figures


async def test_the_sum_over_two_gateways_is_the_number_of_jobs(
    ledger: Ledger, async_ledger: AsyncLedger
) -> None:
    one, two = Gateway(async_ledger), Gateway(async_ledger)
    refs = []
    with capture_logs() as logs:
        for gateway in (one, two, two):
            refs += end(ledger, 3)
            await gateway.endings.take()
        refs += end(ledger, 20)
        await asyncio.gather(one.endings.take(), two.endings.take())
    assert one.counted + two.counted == len(refs)
    assert sorted(line["job"] for line in logs) == sorted(ref.id for ref in refs)


async def test_a_lost_reply_loses_no_end_and_doubles_none(
    ledger: Ledger, async_ledger: AsyncLedger
) -> None:
    unlucky, other = Gateway(Lossy(async_ledger)), Gateway(async_ledger)
    end(ledger, 3)
    with pytest.raises(LedgerUnavailable):
        await unlucky.endings.take()
    end(ledger, 2)
    await other.endings.take()
    assert (unlucky.counted, other.counted) == (0, 2)
    await unlucky.endings.take()
    assert (unlucky.counted, other.counted) == (3, 2)


async def test_more_ends_than_one_answer_holds_are_taken_in_one_go(
    ledger: Ledger, async_ledger: AsyncLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latentry.ledger.commands.upkeep.ENDS_BATCH", 2)
    monkeypatch.setattr(commands, "ENDS_BATCH", 2)
    end(ledger, 5)
    gateway = Gateway(async_ledger)
    await gateway.endings.take()
    assert gateway.counted == 5


async def test_a_job_whose_record_cannot_be_read_is_counted_as_well(
    ledger: Ledger, async_ledger: AsyncLedger
) -> None:
    ref = ledger.run(commands.create(new_job(), max_queued=9)).ref
    ledger.run(commands.claim("w1", ["shapes"], room=1, lease_s=0))
    ledger.client.hset(f"{ledger.root}:job:{ref}", "cost_ms", "much")
    ledger.run(commands.sweep(lease_s=5))
    gateway = Gateway(async_ledger)
    await gateway.endings.take()
    labels = 'code="unreadable_record",model="shapes",status="failed"'
    assert f"latentry_jobs_ended_total{{{labels}}} 1.0" in gateway.figures


async def test_an_end_that_another_version_recorded_costs_only_its_own_count(
    ledger: Ledger, async_ledger: AsyncLedger
) -> None:
    end(ledger, 1)
    [known] = ledger.client.lrange(f"{ledger.root}:ends", 0, -1)
    later = json.dumps(json.loads(known) | {"status": "archived"}), json.dumps({"job": "gen_1"})
    extended = json.dumps(json.loads(known) | {"passes": 2})
    ledger.client.lpush(f"{ledger.root}:ends", *later, extended)
    gateway = Gateway(async_ledger)
    with capture_logs() as logs:
        await gateway.endings.take()
        await gateway.endings.take()
    assert gateway.counted == 2
    assert sorted(line["event"] for line in logs) == ["end.unreadable"] * 2 + ["job.ended"] * 2

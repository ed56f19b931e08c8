"""Overload: accepted jobs end in time, the others are refused at once, tenants share fairly."""

import asyncio
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from latentry.contracts import JobStatus, ModelCard
from latentry.ledger import JobRef, NewJob, commands
from latentry.rules.pricing import price
from tests.e2e.processes import until
from tests.faults.figures import Figure
from tests.faults.history import History
from tests.faults.house import House, house, took
from tests.faults.storm import ends_of, percentile
from tests.faults.test_processes import resident_mb

# One worker of 512 × 512 pictures: 16 guided ones share a call of 180 ms.
MODEL = "shapes=simulated:call_ms=20:row_ms=5:picture_ms=5"
STEPS = 10
BODY = {"prompt": "a plain colour", "num_inference_steps": STEPS, "guidance_scale": 7.5}
WITHIN_S = 10


@dataclass(slots=True)
class Rush:
    """Requests that come at their own pace, whatever becomes of them."""

    accepted: dict[str, float] = field(default_factory=dict)
    refusals: list[float] = field(default_factory=list)
    codes: set[int] = field(default_factory=set)

    async def run(self, url: str, *, a_second: float, seconds: float) -> None:
        """So many a second, for so long."""
        limits = httpx.Limits(max_connections=64)
        async with httpx.AsyncClient(base_url=url, timeout=30, limits=limits) as http:
            began, number = time.monotonic(), 0
            async with asyncio.TaskGroup() as group:
                while (at := number / a_second) < seconds:
                    await asyncio.sleep(max(0.0, began + at - time.monotonic()))
                    group.create_task(self._ask(http))
                    number += 1

    async def _ask(self, http: httpx.AsyncClient) -> None:
        sent = time.monotonic()
        answer = await http.post("/v1/generations", json=BODY | {"finish_within": WITHIN_S})
        self.codes.add(answer.status_code)
        if answer.is_success:
            self.accepted[answer.json()["id"]] = sent
        else:
            assert int(answer.headers["Retry-After"]) > 0
            self.refusals.append(took(sent))


def is_priced(house: House) -> bool:
    """Whether its worker has reported what pictures cost."""
    [model] = httpx.get(f"{house.url}/v1/models").json()["data"]
    return model.get("pace") is not None


def capacity(house: House, jobs: int) -> float:
    """Jobs a second of a worker that is never idle."""
    history = History(house)
    began = time.monotonic()
    for _ in range(jobs):
        history.submit(STEPS, width=512, height=512, guidance_scale=7.5)
    ends = [job for job in ends_of(history) if job.finished_at]
    last = sorted(job.finished_at.timestamp() for job in ends if job.finished_at)
    assert took(began) > 0
    return (len(last) - 1) / (last[-1] - last[0]) if len(last) > 1 else 0.0


@pytest.mark.faults
@pytest.mark.timeout(600)
async def test_ten_times_the_load_is_answered_at_once_and_what_is_taken_is_done_in_time(
    tmp_path: Path, storm_jobs: int, figure: Figure
) -> None:
    """T27"""
    seconds = max(10, 60 * storm_jobs // 2_000)
    with house(tmp_path, models=MODEL) as one:
        worker = one.worker()
        until(lambda: is_priced(one), 60, "the worker being priced")
        able = await asyncio.to_thread(capacity, one, 64)
        figure("overload: one worker's capacity", able, "jobs/s")
        before = [max(map(resident_mb, pids)) for pids in (one.gateway.pids, worker.pids)]
        done = len(one.client.list(limit=100).data)
        rush, began = Rush(), time.time()
        await rush.run(one.url, a_second=10 * able, seconds=seconds)
        stopped = time.monotonic()
        calm = await asyncio.to_thread(calm_after, one, stopped)
        records = [one.client.wait(id, timeout_s=60) for id in rush.accepted]
        in_time = [job for job in records if job.status is JobStatus.SUCCEEDED]
        ended = [job.finished_at.timestamp() - began for job in in_time if job.finished_at]
        good = sum(at <= seconds for at in ended) / (able * seconds)
        after = [max(map(resident_mb, pids)) for pids in (one.gateway.pids, worker.pids)]
        sent = len(rush.accepted) + len(rush.refusals)
        assert done
        assert rush.codes <= {202, 429, 503}
        figure("overload: requests sent", sent)
        figure("overload: load", sent / seconds / able, "× capacity")
        figure("overload: gateway's growth", after[0] - before[0], "MB", at_most=50)
        figure("overload: worker's growth", after[1] - before[1], "MB", at_most=50)
        figure("overload: refused, p50", 1e3 * percentile(rush.refusals, 0.5), "ms")
        share = 100 * len(in_time) / len(rush.accepted)
        figure("overload: accepted jobs that met their deadline", share, "%", at_least=99)
        figure("overload: goodput", 100 * good, "% of capacity", at_least=90)
        figure("overload: recovered after", calm, "s", at_most=5)
        figure("overload: jobs left waiting beside room", one.says("worker.idled"), at_most=0)
        figure("overload: refused, p99", 1e3 * percentile(rush.refusals, 0.99), "ms", at_most=20)


def calm_after(house: House, stopped: float) -> float:
    """Seconds until the next request is taken, after all is over."""
    while True:
        answer = httpx.post(f"{house.url}/v1/generations", json=BODY | {"finish_within": WITHIN_S})
        if answer.is_success:
            return took(stopped)
        threading.Event().wait(0.1)  # a client that asks again, as clients do


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_a_tenant_with_a_long_line_delays_anothers_first_job_by_a_batch_at_most(
    tmp_path: Path, storm_jobs: int, figure: Figure
) -> None:
    """T26"""
    crowd = 5 * storm_jobs
    with house(tmp_path, models=MODEL) as one:
        one.worker()
        until(lambda: is_priced(one), 60, "the worker being priced")
        card = ModelCard.model_validate(
            httpx.get(f"{one.url}/v1/models").json()["data"][0], extra="ignore"
        )
        example = one.end_of(one.submit(STEPS, width=512, height=512, guidance_scale=7.5))
        cost = price(example.request, card)

        def enter(tenant: str, number: int) -> JobRef:
            ref = JobRef(tenant, f"gen_{tenant}{number}")
            job = NewJob(ref, example.request, queue_ttl_ms=600_000, ttl_ms=600_000, price=cost)
            return one.ledger.run(commands.create(job, max_queued=100_000)).ref

        for number in range(crowd):
            enter("crowd", number)
        until(lambda: one.says("job.settled") > 40, 60, "a busy worker")
        waits = []
        for number in range(5):
            ref, began = enter(f"guest{number}", 0), time.monotonic()
            until(lambda ref=ref: is_running(one, ref), 60, "its start")  # type: ignore[misc]
            waits.append(took(began))
        batch_s = STEPS * (0.02 + 0.005 * 32)
        figure("fairness: jobs that one tenant has queued", crowd)
        figure("fairness: wait of another tenant's first job, p50", percentile(waits, 0.5), "s")
        figure("fairness: the longest such wait", max(waits) / batch_s, "batches", at_most=1.2)

        tenants = ["ada", "bob", "cyd", "dan"]
        for number in range(40):
            for tenant in tenants:
                enter(tenant, number)
        seen = {tenant: served(one, tenant) for tenant in tenants}
        until(lambda: sum(served(one, tenant) for tenant in tenants) > 60, 120, "their turns")
        shares = [served(one, tenant) - seen[tenant] for tenant in tenants]
        jain = sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))
        figure("fairness: Jain's index over four tenants of equal weight", jain, at_least=0.95)


def is_running(house: House, ref: JobRef) -> bool:
    """Whether it has begun, at the least."""
    record = house.ledger.run(commands.get(ref))
    return record is not None and record.state is not JobStatus.QUEUED


def served(house: House, tenant: str) -> int:
    """How many of a tenant's jobs have ended; all cost the same."""
    records = house.ledger.run(commands.list_jobs(tenant, below=None, limit=100))
    return sum(record.state.is_terminal for record in records)

"""Who waits for a job that is created just now need not read what happened to it before."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from latentry.contracts import JobStatus
from latentry.ledger import AsyncLedger, JobRef, Ledger, commands
from service.jobs.events import EventHub
from tests.latentry.ledger.factory import new_job
from tests.service.fake import FakeWorker

SOON_S = 20.0  # never reached


@pytest.fixture
async def hub(async_ledger: AsyncLedger) -> AsyncIterator[EventHub]:
    """A hub that listens."""
    opened = EventHub(async_ledger)
    listening = asyncio.create_task(opened.run())
    with opened.expecting(JobRef("default", "none")) as subscription:
        await subscription.take()  # the gap with which its channel begins
    yield opened
    listening.cancel()
    await asyncio.wait([listening])


def run_and_end(ledger: Ledger) -> None:
    [lease] = ledger.run(commands.claim("w", ["shapes"], room=1, lease_s=30))
    ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))


def streams_read(ledger: Ledger) -> int:
    return int(ledger.client.info("commandstats").get("cmdstat_xrange", {}).get("calls", 0))


async def test_an_expected_job_that_ended_meanwhile_is_heard_of_without_a_look(
    hub: EventHub, ledger: Ledger
) -> None:
    before = streams_read(ledger)
    job = new_job()
    with hub.expecting(job.ref) as expected:
        ledger.run(commands.create(job, max_queued=9))
        run_and_end(ledger)
        async with asyncio.timeout(SOON_S):
            await hub.ended(job.ref, within_s=2 * SOON_S, expected=expected)
    assert streams_read(ledger) == before


async def test_an_end_that_a_broken_channel_lost_is_found_in_the_stream(
    hub: EventHub, ledger: Ledger
) -> None:
    before = streams_read(ledger)
    job = new_job()
    with hub.expecting(job.ref) as expected:
        ledger.run(commands.create(job, max_queued=9))
        ledger.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        run_and_end(ledger)
        async with asyncio.timeout(SOON_S):
            await hub.ended(job.ref, within_s=2 * SOON_S, expected=expected)
    assert streams_read(ledger) > before


async def test_a_repeated_request_finds_the_end_of_the_job_that_it_made_before(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    headers = {"Idempotency-Key": "one", "Prefer": "wait=60"}
    with worker:
        first = await client.post("/v1/generations", json={"prompt": "a"}, headers=headers)
    again = await client.post("/v1/generations", json={"prompt": "a"}, headers=headers)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["id"] == again.json()["id"]
    assert again.json()["status"] == "succeeded"

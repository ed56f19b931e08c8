"""Strict pictures through real deaths: the same file to the last byte, no saved step made twice."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import redis

from latentry.client import Client
from latentry.contracts import Job, JobStatus
from latentry.ledger import JobRef, Ledger, commands
from tests.e2e.conftest import settings_for
from tests.e2e.processes import Stack, before_signing, until
from tests.valkey import Valkey, free_port

_numbers = itertools.count()
STEPS = 40
# One call a step each, so that calls can be compared with steps.
WATCHED = {
    "stochastic": {"sampler": "euler_a", "seed": 5, "guidance_scale": 3.0},
    "with memory": {"sampler": "unipc", "seed": 6, "output_format": "webp"},
}


@pytest.fixture
def stack(valkey: Valkey, tmp_path: Path) -> Iterator[Stack]:
    """A gateway without workers, which are to save often and to be missed soon."""
    soon = {"checkpoint_s": "0.3", "lease_s": "3", "heartbeat_s": "1", "threads": "1"}
    port = {"worker_metrics_port": str(free_port())}
    prefix = f"resume-{next(_numbers)}"
    with Stack(settings_for(valkey, tmp_path, prefix, **soon, **port)) as running:
        yield running


class Table:
    """What the ledger holds of the watched jobs, read directly from Redis."""

    def __init__(self, stack: Stack, jobs: list[Job]) -> None:
        self._refs = [JobRef("default", job.id) for job in jobs]
        self._ledger = Ledger.open(stack.settings)
        self._raw = redis.Redis.from_url(stack.settings.redis_url.get_secret_value())

    def saved(self) -> list[int]:
        """How many steps each job's checkpoint spares."""
        return [self._calls(f"{self._ledger.root}:checkpoint:{ref}") for ref in self._refs]

    def _calls(self, key: str) -> int:
        blob = self._raw.hget(key, "0") or b""
        length = int.from_bytes(blob[:8], "little")
        return int(json.loads(blob[8 : 8 + length])["__metadata__"]["calls"]) if blob else 0

    def reached(self) -> list[int]:
        records = [self._ledger.run(commands.get(ref)) for ref in self._refs]
        return [record.reached for record in records if record]

    def close(self) -> None:
        self._ledger.close()
        self._raw.close()


def metric(stack: Stack, name: str) -> float:
    page = httpx.get(f"http://127.0.0.1:{stack.settings.worker_metrics_port}/metrics").text
    [line] = [line for line in page.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


def order(client: Client, name: str) -> Job:
    fields = {"num_inference_steps": STEPS, "determinism": "strict"} | WATCHED[name]
    return client.submit("a red circle on a blue background", **fields)


def crowd(client: Client, number: int) -> Callable[[], None]:
    """Some neighbours; call the answer to be rid of them."""
    jobs = [
        client.submit("a star", num_inference_steps=STEPS, seed=k, guidance_scale=[1.0, 4.0][k % 2])
        for k in range(number)
    ]
    return lambda: [client.cancel(job.id) for job in jobs] and None


def test_the_steps_of_a_picture_survive_a_kill_and_none_comes_twice(stack: Stack) -> None:
    fields = {"num_inference_steps": STEPS, "determinism": "strict", "intermediates": {"every": 4}}

    def files(job: Job) -> dict[str, str]:
        assert len({output.name for output in job.outputs}) == len(job.outputs) == 21
        return {output.name: before_signing(output) for output in job.outputs}

    with Client(stack.url) as client:
        first = stack.start_worker()
        alone = client.generate("a red circle", seed=5, **fields)
        leave = crowd(client, 3)
        job = client.submit("a red circle", seed=5, **fields)
        until(lambda: len(client.get(job.id).outputs) > 4, what="some steps")
        first.kill()
        leave()
        before = client.get(job.id)
        assert before.status is JobStatus.RUNNING
        stack.start_worker()
        done = client.wait(job.id, timeout_s=100)
        assert files(done) == files(alone)
        kept = {output.name: output.pixel_sha256 for output in before.outputs}
        assert kept.items() <= {one.name: one.pixel_sha256 for one in done.outputs}.items()


def test_a_strict_picture_survives_a_drain_and_a_kill_to_the_last_byte(stack: Stack) -> None:
    with Client(stack.url) as client:
        first = stack.start_worker()
        alone = [client.wait(order(client, name).id, timeout_s=100) for name in WATCHED]
        files = [before_signing(job.images[0]) for job in alone]

        leave = crowd(client, 3)
        jobs = [order(client, name) for name in WATCHED]
        table = Table(stack, jobs)
        until(lambda: all(table.saved()), what="a first checkpoint")
        assert first.stop() == 0
        leave()
        assert [client.get(job.id).status for job in jobs] == [JobStatus.QUEUED] * 2
        drained = table.saved()
        assert all(0 < saved < STEPS for saved in drained), "half-way"
        assert all(map(int.__ge__, drained, table.reached())), (
            "a worker that stops saves everything"
        )

        leave = crowd(client, 1)
        second = stack.start_worker()
        until(lambda: all(map(int.__gt__, table.saved(), drained)), what="going on")
        assert metric(stack, "latentry_steps_resumed_total") == sum(drained)
        assert metric(stack, "latentry_steps_redone_total") == 0
        second.kill()
        leave()
        killed = table.saved()
        assert all(saved < STEPS for saved in killed), "half-way"

        crowd(client, 2)
        stack.start_worker()
        done = [client.wait(job.id, timeout_s=100) for job in jobs]
        assert [before_signing(job.images[0]) for job in done] == files
        assert [job.images[0].profile for job in done] == [job.images[0].profile for job in alone]
        assert done[0].images[0].profile
        assert metric(stack, "latentry_steps_resumed_total") == sum(killed)
        lost = (max(0, there - saved) for there, saved in zip(table.reached(), killed, strict=True))
        assert metric(stack, "latentry_steps_redone_total") == sum(lost)
        table.close()

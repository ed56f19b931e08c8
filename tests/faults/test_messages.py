"""Bells that are lost, doubled, forged; what matters is in the ledger."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from latentry.broker import TASK
from latentry.contracts import JobStatus
from tests.e2e.processes import until
from tests.faults.conftest import also
from tests.faults.history import History, claims_of
from tests.faults.house import House, house


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path, lease_s="3", heartbeat_s="1") as made:
        yield made


def queue_of(house: House) -> str:
    """The list that Celery keeps the model's bells in."""
    prefix = house.settings.redis_prefix
    return f"{{{prefix}}}:celery:{prefix}.shapes"


def bell(task: str = TASK, body: str | None = None, **properties: str) -> str:
    """A Celery message as kombu writes it."""
    call = json.dumps([["shapes"], {}, {}])
    return json.dumps(
        {
            "body": base64.b64encode((body or call).encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"id": "an-id", "task": task, "lang": "py", "argsrepr": "", "retries": 0},
            "properties": {
                "body_encoding": "base64",
                "delivery_info": {"exchange": "", "routing_key": "x"},
                "delivery_mode": 2,
                "delivery_tag": "a-tag",
                "correlation_id": "an-id",
            },
        }
        | {name.replace("_", "-"): value for name, value in properties.items()}
    )


FORGED = {
    "an unknown task": bell("os.system"),
    "a pickle": bell(body="gASVIAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAVmYWxzZZSFlFKULg==").replace(
        "application/json", "application/x-python-serialize"
    ),
    "a body that is no JSON": bell(body="}{"),
    "arguments of another shape": bell(body=json.dumps([{"a": 1}, [], None])),
    "fifty megabytes": bell(body=json.dumps([["x" * 50_000_000], {}, {}])),
    "no fields": "{}",
}
# Celery's consumer ends over these.
NO_ENVELOPES = {"no JSON": "}{", "nothing": "", "a list": "[]"}


def test_a_bell_that_dies_with_its_worker_is_rung_again(fast: House) -> None:
    """T2"""
    history = History(fast)
    worker = fast.worker()
    fast.end_of(fast.submit())
    history.accepted |= {job.id for job in fast.client.list().data}
    worker.freeze()  # it is in BRPOP: what comes now is popped for a corpse
    job = history.submit()
    assert job
    until(lambda: fast.ledger.client.llen(queue_of(fast)) == 0, 5, "the bell being popped")
    worker.kill()
    fast.worker()
    assert history.end_of(job.id).status is JobStatus.SUCCEEDED
    history.check()


def test_a_thousand_bells_change_nothing(fast: House) -> None:
    """T13"""
    history = History(fast)
    fast.worker()
    jobs = [job for _ in range(20) if (job := history.submit())]
    fast.ledger.client.lpush(queue_of(fast), *[bell()] * 1_000)
    assert {history.end_of(job.id).status for job in jobs} == {JobStatus.SUCCEEDED}
    until(lambda: fast.ledger.client.llen(queue_of(fast)) == 0, 60, "all bells being heard")
    assert {claims_of(entry) for entry in history.check().values()} == {1}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_message_is_dropped_and_the_worker_lives(
    house_of_forgers: House, kind: str
) -> None:
    """T14"""
    fast = house_of_forgers
    fast.ledger.client.lpush(queue_of(fast), FORGED[kind])
    assert fast.end_of(fast.submit()).status is JobStatus.SUCCEEDED
    until(lambda: fast.ledger.client.llen(queue_of(fast)) == 0, 30, "the message being taken")
    fast.ledger.client.lpush(queue_of(fast), bell())
    until(lambda: fast.ledger.client.llen(queue_of(fast)) == 0, 30, "the worker still listening")
    assert fast.says("worker.ready") == 1, "it is the same worker still"


@pytest.mark.parametrize("kind", ["a list", *also("no JSON", "nothing")])
def test_what_is_no_message_at_all_costs_a_restart_and_no_job_an_attempt(
    fast: House, kind: str
) -> None:
    """T14"""
    history = History(fast)
    fast.worker()
    jobs = [job for _ in range(3) if (job := history.submit(150))]
    fast.ledger.client.lpush(queue_of(fast), NO_ENVELOPES[kind])
    until(lambda: fast.says("worker.ready") == 2, 30, "the next worker")
    assert {history.end_of(job.id).status for job in jobs} == {JobStatus.SUCCEEDED}
    assert {entry.deaths for entry in history.check().values()} == {0}


@pytest.fixture(scope="module")
def house_of_forgers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("forged")) as made:
        made.worker()
        yield made

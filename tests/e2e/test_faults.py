"""What a dying process costs: nothing but time."""

import itertools
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from latentry.client import Client
from latentry.contracts import EventType, JobStatus
from tests.e2e.conftest import settings_for
from tests.e2e.processes import Process, Stack
from tests.valkey import Valkey

_numbers = itertools.count()


@pytest.fixture
def stack(valkey: Valkey, tmp_path: Path) -> Iterator[Stack]:
    """A gateway of the test's own, without workers."""
    with Stack(settings_for(valkey, tmp_path, f"faults-{next(_numbers)}")) as running:
        yield running


def test_a_killed_workers_job_continues_elsewhere_within_ten_seconds(stack: Stack) -> None:
    doomed, heir = stack.start_worker(), stack.start_worker()
    # A fast one's last bits depend on how many threads other processes leave to it.
    fields = {"num_inference_steps": 50, "seed": 1, "determinism": "strict"}
    with Client(stack.url) as client:
        with heir.frozen():  # so that the other one takes the job
            job = client.submit("a red circle", **fields)
            next(event for event in client.events(job.id) if event.type is EventType.STEP)
        doomed.kill()
        killed = time.monotonic()
        runs = (event for event in client.events(job.id) if event.type is EventType.RUNNING)
        assert [next(runs), next(runs)]
        assert time.monotonic() - killed < 10
        done = client.wait(job.id, timeout_s=30)
        assert done.status is JobStatus.SUCCEEDED
        # The heir's pixels are those an undisturbed run gives.
        again = client.generate("a red circle", **fields)
        assert again.images[0].pixel_sha256 == done.images[0].pixel_sha256


@pytest.mark.slow  # test_resume.py holds it to the last byte
def test_a_stopped_worker_hands_its_job_back(stack: Stack) -> None:
    leaving = stack.start_worker()
    with Client(stack.url) as client:
        job = client.submit("a red circle", num_inference_steps=100, n=4)
        next(event for event in client.events(job.id) if event.type is EventType.STEP)
        assert leaving.stop() == 0
        assert client.get(job.id).status is JobStatus.QUEUED
        stack.start_worker()
        assert client.wait(job.id, timeout_s=60).status is JobStatus.SUCCEEDED


def test_a_worker_is_free_to_idle_once_it_is_ready(stack: Stack) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(100)
        log = stack.logs / "alone.log"
        worker = Process("worker", stack.settings, log, "child", inherit=theirs)
        promises = ours.makefile()
        assert any(float(promise) == 0 for promise in promises)  # loading promises other figures
        assert worker.stop() == 0


def test_jobs_wait_for_the_first_worker(valkey: Valkey, tmp_path: Path) -> None:
    settings = settings_for(valkey, tmp_path, "faults-first", models="shapes=simulated:")
    with Stack(settings) as stack, Client(stack.url) as client:
        stack.start_worker().stop()
        job = client.submit("a red circle")  # the catalogue outlives the workers
        assert job.status is JobStatus.QUEUED
        stack.start_worker()
        assert client.wait(job.id, timeout_s=30).status is JobStatus.SUCCEEDED

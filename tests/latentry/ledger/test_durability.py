"""What was acknowledged survives a killed server, and no job is charged with a crash for it."""

import queue
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from latentry.contracts import JobStatus
from latentry.errors import LeaseLost, LedgerUnavailable
from latentry.ledger import JobRef, Lease, Ledger, commands
from latentry.settings import Settings
from tests.latentry.ledger.audit import audit
from tests.latentry.ledger.factory import new_job
from tests.valkey import Valkey

LEASE_S = 0.002  # so that every outage outlasts what a sweep calls a gap


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    made = Valkey(tmp_path, durable=True)
    made.start()
    yield made
    made.stop()


class Life:
    """A client that creates and a worker that claims and ends jobs, until told to stop."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.created: queue.SimpleQueue[JobRef] = queue.SimpleQueue()
        self.running: list[Lease] = []
        self.ended: list[JobRef] = []
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=t) for t in (self.create, self.work)]

    def create(self) -> None:
        while not self.is_over.is_set():
            try:
                job = new_job()
                self.created.put(self.ledger.run(commands.create(job, max_queued=10_000)).ref)
            except LedgerUnavailable:
                pass  # not acknowledged, so nothing was promised

    def work(self) -> None:
        while not self.is_over.is_set():
            try:
                claim = commands.claim("w", ["shapes"], room=2, lease_s=LEASE_S)
                leases = self.ledger.run(claim)
                self.ledger.run(commands.report_progress([(lease, 1, 4) for lease in leases]))
                self.running += leases[1:]
                for lease in leases[:1]:
                    self.ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))
                    self.ended.append(lease.ref)
            except (LedgerUnavailable, LeaseLost):
                pass  # not acknowledged either


def test_no_acknowledged_job_is_lost_with_the_server_and_none_is_charged(
    server: Valkey, settings: Settings
) -> None:
    ledger = Ledger.open(settings.model_copy(update={"redis_url": SecretStr(server.url)}))
    created: set[JobRef] = set()
    for chance in (random.Random(n) for n in range(3)):
        ledger.client.config_set("appendfsync", "always")
        ledger.run(commands.sweep(lease_s=LEASE_S))
        life = Life(ledger)
        for thread in life.threads:
            thread.start()
        created |= {life.created.get(timeout=30) for _ in range(chance.randint(1, 40))}
        server.kill()
        life.is_over.set()
        server.start()
        for thread in life.threads:
            thread.join()
        while not life.created.empty():
            created.add(life.created.get())

        entries = audit(ledger)
        assert created <= entries.keys()
        assert {entries[ref].state for ref in life.ended} <= {JobStatus.SUCCEEDED}
        ledger.run(commands.sweep(lease_s=LEASE_S))
        assert {entry.deaths for entry in audit(ledger).values()} == {0}
        held = ledger.run(commands.renew(life.running, lease_s=60))
        assert held == ["held"] * len(life.running)
    ledger.close()

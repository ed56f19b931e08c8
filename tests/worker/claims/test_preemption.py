"""An urgent job, beside long low ones of the same tenant: a real loop on a real clock."""

import hashlib
from typing import Any

import numpy as np

from latentry.contracts import JobStatus, Priority
from latentry.errors import LedgerUnavailable
from latentry.ledger import Command, JobRef, Ledger, NewJob, commands
from latentry.storage import Storage
from tests.latentry.ledger.factory import card, request
from tests.worker.harness import Worker, ended, steps, when
from worker.batching import Costs
from worker.claims.claimer import Claimer, Offer
from worker.claims.inbox import Claimed, Exchanged, Inbox
from worker.claims.queue_choice import QueueChoice
from worker.claims.reporter import Reporter
from worker.engine.loop import Done, Engine, Order
from worker.engine.simulated import Charge, Simulated, WallClock

CHARGE = Charge(call_s=0.02, row_s=0.001, area=256)
_ids = iter(range(1_000_000))


def engine() -> Engine:
    return Engine(Simulated({"shapes": CHARGE}, WallClock()), Costs(max_rows=4))


def enter(ledger: Ledger, priority: Priority, *, steps: int, start_within_ms: int = 0) -> JobRef:
    number = next(_ids)
    ref = JobRef("ann", f"gen_{number}")
    wanted = request(num_inference_steps=steps, seed=number, determinism="strict")
    job = NewJob(ref, wanted, 60_000, 60_000, priority=priority, start_within_ms=start_within_ms)
    ledger.run(commands.create(job, max_queued=99))
    return ref


def undisturbed(ref: JobRef, ledger: Ledger) -> str:
    """What its pixels hash to when nothing ever happens."""
    record = ledger.run(commands.get(ref))
    assert record is not None
    alone = Engine(Simulated({"shapes": CHARGE}), Costs())
    alone.submit(Order("alone", 0, record.request, record.request.seed))
    pixels = [np.empty(0)]
    while not alone.idle:
        pixels += [event.pixels for event in alone.step() if isinstance(event, Done)]
    return hashlib.sha256(pixels[-1].tobytes()).hexdigest()


class OnceUnavailable(Ledger):
    """It does not answer the first time that an exchange is sent."""

    tries = 0

    def run(self, command: Command[Any]) -> Any:
        if command.script == "worker/exchange":
            self.tries += 1
            if self.tries == 1:
                raise LedgerUnavailable
        return super().run(command)


def test_a_job_that_is_claimed_while_others_make_room_for_it_is_drawn_once(ledger: Ledger) -> None:
    once_unavailable = OnceUnavailable(ledger.client, ledger.root)
    low = enter(ledger, Priority.LOW, steps=9)
    inbox, queues = Inbox(), QueueChoice(["shapes"], tuple)
    reporter = Reporter(once_unavailable, inbox, "w1", [card()], lease_s=60, heartbeat_s=5)
    claimer = Claimer(once_unavailable, inbox, "w1", queues, reporter, lease_s=60)
    claimer.offer(Offer(room=1))
    claimer.work()
    [message] = inbox.take()
    assert isinstance(message, Claimed)
    yielding = message.job
    assert yielding.lease.ref == low
    high = enter(ledger, Priority.HIGH, steps=9, start_within_ms=2_000)
    claimer.exchange(yielding, high)
    claimer.offer(Offer(room=1, received=1))
    for _ in range(2):
        claimer.work()
    claimed, exchanged = inbox.take()
    assert isinstance(claimed, Claimed)
    assert claimed.job.lease.ref == high
    assert exchanged == Exchanged(yielding), "the urgent job is there before rows come free"


def test_it_starts_in_time_and_those_that_gave_way_lose_nothing(
    ledger: Ledger, storage: Storage
) -> None:
    worker = Worker(ledger, storage, engine=engine(), checkpoint_bytes=100_000)
    worker.start()
    lows = [enter(ledger, Priority.LOW, steps=150) for _ in range(6)]
    when(ledger, lows[0], lambda record: record.progress and record.progress.step)
    for _ in range(3):
        record = ended(ledger, enter(ledger, Priority.HIGH, steps=4, start_within_ms=2_000))
        assert record.state is JobStatus.SUCCEEDED
        assert record.queue_ms is not None
        assert record.queue_ms < 2_000
        assert record.run_ms is not None
        assert record.run_ms < 1_500, "claimed is not enough: it has a row, too"
    records = [ended(ledger, ref, 60) for ref in lows]
    worker.stop()
    assert {one.state for one in records} == {JobStatus.SUCCEEDED}
    assert sum(one.claims for one in records) > len(lows), "one gave way"
    for one in records:
        assert one.images[0].pixel_sha256 == undisturbed(one.ref, ledger)
    assert steps(worker, "redone") <= 1

"""What is saved of running jobs, and that the next worker goes on from it."""

import time

from latentry.contracts import JobStatus
from latentry.ledger import Lease, Ledger, commands
from latentry.storage import Storage
from tests.worker.harness import Worker, ended, read, steps, submit, when


def test_what_a_stopped_worker_saved_the_next_one_does_not_draw_again(
    ledger: Ledger, storage: Storage
) -> None:
    first = Worker(ledger, storage)
    first.start()
    ref = submit(ledger, prompt="for ever", num_inference_steps=1_000_000)
    when(ledger, ref, lambda record: record.progress and record.progress.step)
    first.stop()
    reached = read(ledger, ref).reached
    assert reached > 0
    [lease] = ledger.run(commands.claim("w2", ["shapes"], room=1, lease_s=5))
    saved = ledger.run(commands.list_checkpoints(lease))
    assert int(saved[0]) >= lease.record.reached
    ledger.run(commands.release(lease))
    second = Worker(ledger, storage)
    second.start()
    when(ledger, ref, lambda record: record.progress and record.progress.step > reached)
    second.stop()
    assert [order.checkpoint for order in second.engine.admitted] == [saved[0]]
    assert steps(second, "resumed") == int(saved[0])
    assert steps(second, "redone") == 0


def test_what_a_dead_worker_had_not_saved_is_counted_as_drawn_again(
    ledger: Ledger, storage: Storage
) -> None:
    ref = submit(ledger)
    [lease] = ledger.run(commands.claim("dead", ["shapes"], room=1, lease_s=0))
    ledger.run(commands.save_checkpoint(lease, 0, b"1", budget_bytes=9))
    ledger.run(commands.report_progress([(lease, 3, 4)]))
    ledger.run(commands.sweep(lease_s=2))
    second = Worker(ledger, storage)
    second.start()
    assert ended(ledger, ref).state is JobStatus.SUCCEEDED
    second.stop()
    assert (steps(second, "resumed"), steps(second, "redone")) == (1, 2)


def test_a_running_job_is_saved_again_and_again(ledger: Ledger, storage: Storage) -> None:
    worker = Worker(ledger, storage, checkpoint_s=0)
    worker.start()
    ref = submit(ledger, prompt="for ever", num_inference_steps=1_000_000, n=2)
    when(ledger, ref, lambda record: record.progress and record.progress.step)
    record = read(ledger, ref)
    lease = Lease(ref, record.fence, record)
    seen: set[int] = set()
    deadline = time.monotonic() + 15
    while len(seen) < 3:
        assert time.monotonic() < deadline
        seen |= {int(saved) for saved in ledger.run(commands.list_checkpoints(lease)).values()}
    worker.stop()


def test_a_spent_budget_costs_checkpoints_and_nothing_else(
    ledger: Ledger, storage: Storage
) -> None:
    worker = Worker(ledger, storage, checkpoint_s=0, checkpoint_bytes=1)
    worker.start()
    refs = [submit(ledger, num_inference_steps=50) for _ in range(3)]
    assert {ended(ledger, ref).state for ref in refs} == {JobStatus.SUCCEEDED}
    worker.stop()
    assert ledger.client.exists(f"{ledger.root}:checkpoints") == 0


def test_without_a_budget_nothing_is_ever_saved(ledger: Ledger, storage: Storage) -> None:
    worker = Worker(ledger, storage, checkpoint_s=0, checkpoint_bytes=0)
    worker.start()
    assert ended(ledger, submit(ledger, num_inference_steps=50)).state is JobStatus.SUCCEEDED
    ref = submit(ledger, prompt="for ever")
    when(ledger, ref, lambda record: record.progress and record.progress.step)
    worker.stop()
    assert worker.engine.saves == []

"""Models that go while jobs of them wait and are drawn: a real Valkey, real threads."""

import random

import pytest

from latentry.contracts import JobStatus
from latentry.errors import ModelGone, ModelNotLoaded
from latentry.ledger import JobRef, Ledger, commands
from latentry.storage import Storage
from tests.latentry.ledger.audit import audit
from tests.latentry.ledger.factory import card
from tests.worker.harness import Worker, ended, read, submit, when
from worker.changes import is_for_others
from worker.claims.catalogue.served_cards import WITHDRAW_S, ServedCards
from worker.claims.inbox import ModelChanged
from worker.claims.offer import Offer

GONE, BACK = ModelChanged("shapes"), ModelChanged("shapes", card(), "a blueprint")


def code(ledger: Ledger, ref: JobRef) -> str:
    record = ended(ledger, ref)
    return record.error.code if record.error else record.state


def test_what_is_drawn_is_drawn_and_what_waits_fails_when_its_model_goes(
    ledger: Ledger, storage: Storage, worker: Worker
) -> None:
    drawn = [submit(ledger, prompt="for ever") for _ in range(2)]  # all that it has room for
    for ref in drawn:
        when(ledger, ref, lambda record: record.progress is not None)
    waiting = [submit(ledger) for _ in range(5)]
    worker.inbox.post(GONE)
    assert {code(ledger, ref) for ref in waiting} == {"model_gone"}
    assert not ledger.run(commands.list_models())
    for ref in drawn:
        assert read(ledger, ref).state is JobStatus.RUNNING
        ledger.run(commands.cancel(ref))
        assert code(ledger, ref) == "canceled"
    worker.inbox.post(BACK)
    # It may have to wait for the next heartbeat until it is listed, but not until it is drawn.
    assert code(ledger, submit(ledger)) == "succeeded"
    audit(ledger)


def test_another_worker_of_the_model_takes_what_waits(
    ledger: Ledger, storage: Storage, worker: Worker
) -> None:
    other = Worker(ledger, storage, "w2")
    other.reporter.report()
    worker.inbox.post(GONE)
    refs = [submit(ledger) for _ in range(4)]
    other.start()
    assert {code(ledger, ref) for ref in refs} == {"succeeded"}
    assert other.engine.admitted
    other.stop()


@pytest.mark.parametrize("seed", range(3))
def test_every_job_ends_once_however_models_come_and_go(
    ledger: Ledger, storage: Storage, seed: int
) -> None:
    """Two workers of one folder, which they look at at different times."""
    chance = random.Random(seed)
    workers = [Worker(ledger, storage, f"w{k}") for k in range(2)]
    for one in workers:
        one.start()
    refs: list[JobRef] = []
    for _ in range(60):
        if chance.random() < 0.3:
            chance.choice(workers).inbox.post(chance.choice([GONE, GONE, BACK]))
        refs += [submit(ledger, n=chance.choice([1, 1, 3])) for _ in range(chance.randrange(4))]
        if chance.random() < 0.1:
            ledger.run(commands.sweep(lease_s=2))
    for one in workers:
        one.inbox.post(GONE)
    codes = {code(ledger, ref) for ref in refs}
    assert codes <= {"succeeded", "model_gone"}
    for one in workers:
        one.stop()
    for ref, entry in audit(ledger).items():
        assert entry.state.is_terminal, ref


def test_what_cannot_be_had_here_goes_to_others_unless_it_would_come_back(
    ledger: Ledger, storage: Storage
) -> None:
    worker = Worker(ledger, storage)
    submit(ledger)
    worker.claimer.offer(Offer(room=1))
    worker.claimer.work()
    [job] = worker.reporter.leases.jobs
    assert is_for_others(job, ModelNotLoaded(model="shapes"), worker.claimer)
    assert not is_for_others(job, ModelNotLoaded(model="its refiner"), worker.claimer)
    assert not is_for_others(job, ModelGone(), worker.claimer), "its refiner's"
    worker.claimer.queues.remove("shapes")
    assert is_for_others(job, ModelGone(), worker.claimer)


def test_the_ledger_is_told_for_a_while_that_a_model_is_gone() -> None:
    now = [0.0]
    served = ServedCards([card("a"), card("b")], lambda: now[0])
    served.withdraw("a")
    served.withdraw("unknown")
    assert (served.queues, served.withdrawn) == (["b"], ["a"])
    served.report_pace({})
    now[0] = WITHDRAW_S
    assert served.withdrawn == []
    served.withdraw("b")
    served.serve(card("b"))
    assert (served.queues, served.withdrawn) == (["b"], [])

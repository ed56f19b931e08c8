"""Instances: options and tasks of one key, and of no other."""

import pytest

from latentry.contracts import JobStatus
from latentry.ledger import JobRef, Ledger, commands, instances
from latentry.ledger.instances import InstanceRef
from latentry.ledger.instances.tasks import MAX_TASKS
from tests.latentry.ledger.factory import new_job

MINE = InstanceRef("default", "k1")
OTHERS = [InstanceRef("default", "k2"), InstanceRef("other", "k1")]


def create(ledger: Ledger, task: str, whose: InstanceRef = MINE) -> JobRef:
    ref = ledger.run(commands.create(new_job(), max_queued=500)).ref
    ledger.run(instances.enter_task(whose, ref, task))
    return ref


def test_options_are_what_was_set_last(ledger: Ledger) -> None:
    assert ledger.run(instances.get_options(MINE)) is None
    known = None
    for text in ('{"a": 1}', "{}"):
        assert ledger.run(instances.set_options(MINE, text, known=known))
        assert ledger.run(instances.get_options(MINE)) == text
        known = text


def test_options_that_others_have_set_meanwhile_are_not_overwritten(ledger: Ledger) -> None:
    first = instances.set_options(MINE, '{"a": 1}', known=None)
    assert ledger.run(first)
    assert ledger.run(first), "its reply was lost"
    assert not ledger.run(instances.set_options(MINE, '{"b": 1}', known=None))
    assert not ledger.run(instances.set_options(MINE, '{"b": 1}', known="{}"))
    assert ledger.run(instances.get_options(MINE)) == '{"a": 1}'


def test_options_expire_unless_they_are_used(ledger: Ledger) -> None:
    ledger.run(instances.set_options(MINE, "{}", known=None))
    name = f"{ledger.root}:instance:default:k1"
    ledger.client.pexpire(name, 1_000)
    ledger.run(instances.get_options(MINE))
    assert ledger.client.pttl(name) > 1_000


@pytest.mark.parametrize("other", OTHERS)
def test_another_key_has_none_of_it(ledger: Ledger, other: InstanceRef) -> None:
    ledger.run(instances.set_options(MINE, "{}", known=None))
    create(ledger, "t")
    assert ledger.run(instances.get_options(other)) is None
    assert ledger.run(instances.list_tasks(other)).every == ()


def test_tasks_are_told_as_their_jobs_stand(ledger: Ledger) -> None:
    first, second = create(ledger, "task(a b)"), create(ledger, "")
    [lease] = ledger.run(commands.claim("w", ["shapes"], room=1, lease_s=60))
    ledger.run(commands.report_progress([(lease, 2, 4)]))
    running, waiting = ledger.run(instances.list_tasks(MINE)).unfinished
    assert (running.ref, running.id, running.state) == (first, "task(a b)", JobStatus.RUNNING)
    assert (running.step, running.steps, running.images) == (2, 4, 1)
    assert running.started_ms is not None
    assert (waiting.ref, waiting.id, waiting.state) == (second, "", JobStatus.QUEUED)
    ledger.run(commands.cancel(second))
    ledger.run(commands.settle(lease, JobStatus.SUCCEEDED))
    ledger.run(commands.forget(first))
    tasks = ledger.run(instances.list_tasks(MINE))
    assert not tasks.unfinished
    assert [task.state for task in tasks.every] == [None, JobStatus.CANCELED]
    assert tasks.now_ms > 0


def test_a_job_that_is_entered_twice_is_one_task(ledger: Ledger) -> None:
    ref = create(ledger, "t")
    ledger.run(instances.enter_task(MINE, ref, "t"))
    assert len(ledger.run(instances.list_tasks(MINE)).every) == 1


def test_of_many_tasks_the_latest_are_known_and_none_for_ever(ledger: Ledger) -> None:
    for number in range(MAX_TASKS + 3):
        ledger.run(instances.enter_task(MINE, JobRef("default", f"gen_{number:04}"), f"t{number}"))
    known = ledger.run(instances.list_tasks(MINE)).every
    assert [task.id for task in known] == [f"t{k}" for k in range(3, MAX_TASKS + 3)]
    assert ledger.client.pttl(f"{ledger.root}:tasks:default:k1") > 0


def test_a_task_that_has_not_ended_is_known_however_many_came_after(ledger: Ledger) -> None:
    waiting = create(ledger, "old")
    for number in range(MAX_TASKS + 3):
        ledger.run(instances.enter_task(MINE, JobRef("default", f"gen_{number:04}"), ""))
    tasks = ledger.run(instances.list_tasks(MINE))
    assert [task.ref for task in tasks.unfinished] == [waiting]
    assert len(tasks.every) == MAX_TASKS

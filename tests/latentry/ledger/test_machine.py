"""The ledger against a reference: any commands, in any order, with lost calls and replies.

A failure prints a `@reproduce_failure` line; `--hypothesis-seed=N` repeats a whole run, and
`--hypothesis-profile=long` searches for an hour or so.
"""

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from latentry.contracts import InputFile, JobStatus, JobWarning, Priority
from latentry.errors import (
    EngineError,
    FileGone,
    IdempotencyConflict,
    LeaseLost,
    LedgerUnavailable,
    QueueFull,
)
from latentry.ledger import Command, JobRef, Lease, Ledger, NewJob, commands, files, redis_keys
from latentry.ledger.accounts import Account
from latentry.ledger.commands import Swept
from latentry.ledger.files import FileRef
from latentry.rules.pricing import Price
from tests.latentry.ledger.audit import Entry, audit
from tests.latentry.ledger.audit_deliveries import HOOK, RECEIVER
from tests.latentry.ledger.audit_files import SIZE
from tests.latentry.ledger.factory import BOUNDED, card, image, request
from tests.latentry.ledger.reference import ReferenceClaim, ReferenceJob, ReferenceLedger

MODELS = ["shapes", "photos"]
WORKERS_IDS = ["w1", "w2"]
FILES = ["file_1", "file_2"]
LEASE_S = 600.0
BUDGET = 16  # bytes of checkpoints
TYPES = {key.name: key.type for key in redis_keys.KEYS}
# What is left when every job is forgotten: one key of each.
LEFT = {"sequence", "swept", "models", "withdrawn", "checkpoints", "virtual_time", "tags"}
_prefixes = itertools.count()


class Mishap(StrEnum):
    """What can happen to one call."""

    NONE = "none"
    TWICE = "twice"  # the reply was lost and the client library repeated the call
    UNSENT = "unsent"  # the caller hears an error, and nothing was done
    UNHEARD = "unheard"  # the caller hears an error, and it was done


Draw = Callable[..., Any]
ENDINGS = [status for status in JobStatus if status.is_terminal]
RUNS = {Mishap.NONE: 1, Mishap.TWICE: 2, Mishap.UNSENT: 0, Mishap.UNHEARD: 1}
mishaps = st.sampled_from([Mishap.NONE, Mishap.NONE, Mishap.NONE, *Mishap])
models = st.sampled_from(MODELS)
some_models = st.sampled_from([MODELS, MODELS, MODELS[::-1], *([model] for model in MODELS)])
counts = st.integers(1, 2)
prompts = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)


def outcome(call: Callable[[], Any]) -> Any:
    """What a call answers, or the type of its refusal."""
    try:
        return call()
    except (FileGone, IdempotencyConflict, QueueFull, LeaseLost) as refusal:
        return type(refusal)


class LedgerMachine(RuleBasedStateMachine):
    """Clients, workers and sweepers of one ledger, with all the leases they ever heard of."""

    def __init__(self, server: Ledger) -> None:
        super().__init__()
        self.ledger = Ledger(server.client, redis_keys.root(f"machine-{next(_prefixes)}"))
        self.reference = ReferenceLedger()
        self.created: list[NewJob] = []
        self.leases: list[Lease] = []
        self.seen: dict[JobRef, Entry] = {}
        self.claimed: dict[tuple[JobRef, int], Command[Any]] = {}
        self.heard: Any = None
        self.forgotten: set[JobRef] = set()
        self.published: dict[str, list[str]] = {}
        self.counting = commands.take_ends("gateway")
        self.counted: list[JobRef] = []
        for tenant, id in itertools.product(("one", "two"), FILES):
            self.keep(FileRef(tenant, id), Mishap.NONE)
        self.updates = self.ledger.client.pubsub()
        self.updates.subscribe(f"{self.ledger.channels}:updates")
        self.updates.get_message(timeout=10)  # subscribed

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        # One rule: Hypothesis switches whole rules off in most runs, and few would get anywhere.
        turns = list(CLIENTS if self.created else [M.create])
        turns += WORKERS * bool(self.reference.queue(*MODELS)) + LEASED * bool(self.leases)
        turn = data.draw(st.sampled_from(turns + OTHERS), "turn")
        turn(self, data.draw)

    def call(self, command: Command[Any], reference: Callable[[], Any], mishap: Mishap) -> Any:
        """Run it on both, as often as the mishap says. What the caller hears."""
        heard: Any = LedgerUnavailable
        for _ in range(RUNS[mishap]):
            heard = self.heard = outcome(lambda: self.ledger.run(command))
            assert heard == outcome(reference)
            if command.script == "worker/claim":
                self.note(heard, command)
            self.adopt_times()
        return LedgerUnavailable if mishap in (Mishap.UNSENT, Mishap.UNHEARD) else heard

    def note(self, leases: Sequence[Lease], command: Command[Any]) -> None:
        for lease in leases:
            first = self.claimed.setdefault((lease.ref, lease.fence), command)
            assert first is command, "two holders at one fence"

    def adopt_times(self) -> None:
        """When suspects came back: only Redis knows, and only the order counts."""
        for job in self.reference.jobs.values():
            if job.state is JobStatus.QUEUED and job.crashes:
                kind = "suspects" if job.crashes == 1 else "quarantined"
                queue = f"{self.ledger.root}:{kind}:{job.model}"
                job.since = self.ledger.client.zscore(queue, str(job.ref))

    # Clients

    def create(self, draw: Draw) -> None:
        ref = JobRef(draw(st.sampled_from(["one", "two"])), f"gen_{len(self.created)}")
        wanted = request(model=draw(models), prompt=draw(prompts), **self.some_inputs(draw))
        key, body = draw(st.sampled_from(["", "k", "k:é {x}"])), draw(st.sampled_from("aab"))
        new = NewJob(
            ref,
            wanted,
            queue_ttl_ms=3_600_000,
            ttl_ms=3_600_000,
            idempotency_key=key,
            body_hash=body,
            account=Account(payer=BOUNDED, max_jobs=1_000_000),
            price=Price(cost_ms=draw(st.sampled_from([1_000, 2_500])), images=draw(counts)),
            weight=draw(st.sampled_from([1, 3])),
            user=draw(st.sampled_from(["", "", "ann", "böb"])),
            priority=draw(st.sampled_from(Priority)),
            finish_within_ms=draw(st.sampled_from([0, 3_600_000])),
            webhook=HOOK,
            receiver=RECEIVER,
        )
        self.created.append(new)
        self.create_with(new, draw(mishaps))

    def some_inputs(self, draw: Draw) -> dict[str, InputFile]:
        """Of files that are there, or were, or never have been."""
        named = {name: draw(st.sampled_from([None, None, *FILES])) for name in ("image", "mask")}
        facts = {"pixel_sha256": "0" * 64, "width": 1, "height": 1}
        return {name: InputFile(file=id, **facts) for name, id in named.items() if id}

    def create_again(self, draw: Draw) -> None:
        new = draw(st.sampled_from(self.created))
        if new.ref not in self.forgotten:
            self.create_with(new, draw(mishaps))

    def create_with(self, new: NewJob, mishap: Mishap) -> None:
        command = commands.create(new, max_queued=4)
        self.call(command, lambda: self.reference.create(new, 4), mishap)

    def cancel(self, draw: Draw) -> None:
        new = draw(st.sampled_from(self.created))
        command = commands.cancel(new.ref)
        self.call(command, lambda: self.reference.cancel(new.ref), draw(mishaps))

    def forget(self, draw: Draw) -> None:
        new = draw(st.sampled_from(self.created))
        command = commands.forget(new.ref, silently=True)
        self.call(command, lambda: self.reference.forget(new.ref), draw(mishaps))
        self.forgotten.add(new.ref)

    # Files

    def a_file(self, draw: Draw) -> FileRef:
        return FileRef(draw(st.sampled_from(["one", "two"])), draw(st.sampled_from(FILES)))

    def keep_file(self, draw: Draw) -> None:
        ref = self.a_file(draw)
        if ref not in self.reference.files.all:
            self.keep(ref, draw(mishaps))

    def keep(self, ref: FileRef, mishap: Mishap) -> None:
        new = files.NewFile(ref, SIZE, "0" * 64, 1, 1)
        keep = files.keep(new, ttl_ms=3_600_000, max_files=9, max_bytes=999)
        command = replace(keep, read=lambda answer: keep.read(answer) and None)
        self.call(command, lambda: self.reference.files.keep(ref), mishap)

    def delete_file(self, draw: Draw) -> None:
        ref = self.a_file(draw)
        self.call(files.delete(ref), lambda: self.reference.files.delete(ref), draw(mishaps))

    def file_expires(self, draw: Draw) -> None:
        ref = self.a_file(draw)
        if ref in self.reference.files.all:
            self.ledger.client.hset(f"{self.ledger.root}:file:{ref}", "expires_ms", 0)
            self.ledger.client.zadd(f"{self.ledger.root}:fileends", {str(ref): 0})
            self.reference.files.expire(ref)

    def remove_due_files(self, draw: Draw) -> None:
        taken: list[FileRef] = []

        def read(answer: Any) -> set[FileRef]:
            taken[:] = due.read(answer)
            return set(taken)

        due = files.take_due(100)
        self.call(replace(due, read=read), self.reference.files.take_due, draw(mishaps))
        for ref in taken:
            assert ref not in self.reference.files.pins
            forget = files.forget(ref)
            self.call(forget, lambda: self.reference.files.forget(ref), draw(mishaps))  # noqa: B023

    def look_at_a_file(self, draw: Draw) -> None:
        ref = self.a_file(draw)
        assert self.ledger.run(files.exists(ref)) == (ref in self.reference.files.all)
        found = self.ledger.run(files.get(ref))
        assert (found is not None) == self.reference.files.is_usable(ref)

    # Workers

    def bells(self, draw: Draw) -> None:
        model, mishap = draw(models), draw(mishaps)
        match draw(st.sampled_from(["reserve", "release", "catalogue", "withdraw"])):
            case "reserve":
                self.call(
                    commands.reserve_bell(model, ttl_s=600),
                    lambda: self.reference.reserve_bell(model),
                    mishap,
                )
            case "release":
                self.call(
                    commands.release_bell([model]),
                    lambda: self.reference.release_bell([model]),
                    mishap,
                )
            case "catalogue":
                command = commands.register_model(card(model))
                self.call(command, lambda: self.reference.catalogue(model), mishap)
            case "withdraw":
                command = commands.withdraw_model("w1", model, most=2)
                self.call(command, lambda: self.reference.withdraw(model, most=2), mishap)

    def claim(self, draw: Draw) -> None:
        served, room = draw(some_models), draw(st.sampled_from([3, 2, 1, 0]))
        held = draw(st.sampled_from([0, 1, 2]))
        already = {"held": held, "crashed": draw(st.integers(0, min(held, 1)))}
        worker, lease_s = draw(st.sampled_from(WORKERS_IDS)), draw(st.sampled_from([LEASE_S, 0.0]))
        self.take(served, room, lease_s, draw(mishaps), worker, **already)

    def take(
        self,
        served: list[str],
        room: int,
        lease_s: float,
        mishap: Mishap,
        worker: str = "w1",
        *,
        held: int = 0,
        crashed: int = 0,
    ) -> list[Lease]:
        command = commands.claim(
            worker, served, room=room, lease_s=lease_s, held=held, crashed=crashed
        )

        def reference() -> list[Lease]:
            fences = iter([lease.fence for lease in self.heard])
            is_over = lease_s == 0
            arguments = (worker, served, room, held, crashed, command, fences, is_over)
            return self.reference.claim(ReferenceClaim(*arguments))

        heard = self.call(command, reference, mishap)
        taken = [] if heard is LedgerUnavailable else heard
        self.leases += taken
        return taken

    def claim_again(self, draw: Draw) -> None:
        """A worker that did not hear the answer asks the same once more."""
        served, room = draw(some_models), draw(st.integers(1, 3))
        command = commands.claim("w1", served, room=room, lease_s=LEASE_S)

        def reference() -> list[Lease]:
            fences = iter([lease.fence for lease in self.heard])
            arguments = ("w1", served, room, 0, 0, command, fences, False)
            return self.reference.claim(ReferenceClaim(*arguments))

        lost = self.call(command, reference, Mishap.NONE)
        if draw(st.booleans()):
            self.leases_run_out(draw)
            self.sweep(draw)
        again = self.call(command, reference, Mishap.NONE)
        assert again == [lease for lease in lost if self.reference.held(lease)] or not lost
        self.leases += again

    def a_lease(self, draw: Draw) -> Lease:
        """Most often one that still holds, if there is any."""
        good = [lease for lease in self.leases if self.reference.held(lease)]
        wants_any = draw(st.sampled_from([False, False, False, True]))
        return draw(st.sampled_from(self.leases if wants_any or not good else good))

    def renew(self, draw: Draw) -> None:
        held = self.leases[-draw(st.integers(1, 4)) :]
        command = commands.renew(held, lease_s=LEASE_S)
        self.call(command, lambda: self.reference.renew(held), draw(mishaps))

    def progress(self, draw: Draw) -> None:
        held = [self.a_lease(draw) for _ in range(draw(st.integers(1, 3)))]
        steps = [(lease, draw(st.integers(0, 4)), 4) for lease in held]
        self.call(
            commands.report_progress(steps), lambda: self.reference.progress(steps), draw(mishaps)
        )

    def add_output(self, draw: Draw) -> None:
        lease, index = self.a_lease(draw), draw(st.integers(0, 1))
        command = commands.add_output(lease, image(index))
        self.call(command, lambda: self.reference.add_output(lease, index), draw(mishaps))

    def checkpoint(self, draw: Draw) -> None:
        lease, index, saved = (
            self.a_lease(draw),
            draw(st.integers(0, 1)),
            draw(st.binary(min_size=1, max_size=9)),
        )
        command = commands.save_checkpoint(lease, index, saved, budget_bytes=BUDGET)
        reference = lambda: self.reference.checkpoint(lease, index, saved, BUDGET)  # noqa: E731
        self.call(command, reference, draw(mishaps))

    def checkpoints(self, draw: Draw) -> None:
        lease = self.a_lease(draw)
        command = commands.list_checkpoints(lease)
        self.call(command, lambda: self.reference.checkpoints(lease), draw(mishaps))

    def checkpoints_run_out(self, draw: Draw) -> None:
        for job in self.some_jobs(draw):
            self.ledger.client.delete(f"{self.ledger.root}:checkpoint:{job.ref}")
            job.checkpoints = {}

    def settle(self, draw: Draw) -> None:
        self.end(self.a_lease(draw), draw(st.sampled_from(ENDINGS)), draw(mishaps))

    def end(self, lease: Lease, status: JobStatus, mishap: Mishap) -> None:
        error = EngineError("boom") if status is JobStatus.FAILED else None
        command = commands.settle(
            lease, status, error, warnings=[JobWarning(code="c", message="é")]
        )
        self.call(command, lambda: self.reference.settle(lease, status), mishap)

    def release(self, draw: Draw) -> None:
        lease = self.a_lease(draw)
        self.call(commands.release(lease), lambda: self.reference.release(lease), draw(mishaps))

    def claim_and_die(self, draw: Draw) -> None:
        taken = self.take(MODELS, 3, 0.0, Mishap.NONE)
        steps = [(lease, 1, 4) for lease in taken]
        self.call(
            commands.report_progress(steps), lambda: self.reference.progress(steps), Mishap.NONE
        )
        self.sweep_with(draw(mishaps))

    # Sweepers, and time: a clock cannot be set, so the times in Redis are

    def sweep(self, draw: Draw) -> None:
        self.sweep_with(draw(mishaps))

    def sweep_with(self, mishap: Mishap) -> None:
        command = commands.sweep(lease_s=LEASE_S)

        def read(answer: Any) -> Swept:
            swept = command.read(answer)
            return replace(swept, silent_queues=tuple(sorted(swept.silent_queues)))  # in any order

        self.call(replace(command, read=read), self.reference.sweep, mishap)

    def count_ends(self, draw: Draw | None) -> None:
        """A gateway asks the same again until it hears the answer."""
        mishap = draw(mishaps) if draw else Mishap.NONE
        for _ in range(RUNS[mishap]):
            ends = self.ledger.run(self.counting)
        if mishap in (Mishap.NONE, Mishap.TWICE):
            self.counting = commands.take_ends("gateway")
            self.counted += [end.ref for end in ends]

    def nobody_sweeps_for_long(self, draw: Draw) -> None:
        self.ledger.client.set(f"{self.ledger.root}:swept", 0)
        self.reference.nobody_swept = True

    def leases_run_out(self, draw: Draw) -> None:
        for job in self.some_jobs(draw):
            job.lease_is_over |= self.age("leases", job.ref)

    def waits_get_too_long(self, draw: Draw) -> None:
        for job in self.some_jobs(draw):
            record = f"{self.ledger.root}:job:{job.ref}"
            created_ms = self.ledger.client.hget(record, "created_ms")
            self.ledger.client.hset(record, "deadline_ms", created_ms)
            if job.state is JobStatus.QUEUED:
                self.age("deadlines", job.ref)
            job.wait_is_over = True

    def suspects_wait_long(self, draw: Draw) -> None:
        for job in self.some_jobs(draw):
            for kind in ("suspects", "quarantined"):
                self.age(f"{kind}:{job.model}", job.ref)
        self.adopt_times()

    def ends_get_overdue(self, draw: Draw) -> None:
        for job in self.some_jobs(draw):
            record = f"{self.ledger.root}:job:{job.ref}"
            if job.must_finish and not job.state.is_terminal:
                created_ms = self.ledger.client.hget(record, "created_ms")
                self.ledger.client.hset(record, "finish_by_ms", created_ms)
                self.age("deadlines", job.ref)
                job.time_is_over = True

    def stays_get_too_long(self, draw: Draw) -> None:
        for job in self.some_jobs(draw):
            job.stay_is_over = self.age("retention", job.ref)

    def some_jobs(self, draw: Draw) -> list[ReferenceJob]:
        return list(self.reference.jobs.values())[:: draw(st.integers(1, 3))]

    def age(self, zset: str, ref: JobRef) -> bool:
        name = f"{self.ledger.root}:{zset}"
        is_there = self.ledger.client.zscore(name, str(ref)) is not None
        self.ledger.client.zadd(name, {str(ref): 0}, xx=True)
        return is_there

    # What clients and followers see, looked at now and then: it costs many round trips

    def look(self, draw: Draw | None) -> None:
        requests = {new.ref: new.request for new in self.created}
        for tenant in ("one", "two"):
            mine = [job for job in self.reference.jobs.values() if job.ref.tenant == tenant]
            mine.sort(key=lambda job: -job.sequence)
            page = self.ledger.run(commands.list_jobs(tenant, below=None, limit=1000))
            assert [record.ref for record in page] == [job.ref for job in mine]
            for record in page:
                assert record.position == self.reference.position(record.ref)
                assert record.request == requests[record.ref]
                assert record == self.ledger.run(commands.get(record.ref))
        entries = self.ledger.run(commands.list_models())
        waiting = {entry.card.id: entry.waiting for entry in entries}
        assert waiting == {
            model: len(self.reference.queue(model)) for model in self.reference.models
        }
        for model in MODELS:
            rung = self.ledger.client.exists(f"{self.ledger.root}:bell:{model}")
            assert bool(rung) == (model in self.reference.bells)
        self.listen()

    def listen(self) -> None:
        """The updates are what the streams hold, each event once and in order."""
        self.updates.ping()
        while (message := self.updates.get_message(timeout=10))["type"] == "message":
            said = json.loads(message["data"])
            if "steps" not in said:
                self.published.setdefault(said["ref"], []).append(said["id"])
        for ref, entry in self.seen.items():
            assert self.published[str(ref)] == entry.ids

    # What must hold after every step

    @invariant()
    def redis_agrees_with_the_reference(self) -> None:
        found = audit(self.ledger)
        assert found.keys() == self.reference.jobs.keys()
        for ref, entry in found.items():
            job, step = self.reference.jobs[ref], entry.fields.get("step")
            assert (entry.state, entry.events) == (job.state, job.events)
            assert (int(entry.fields["fence"]), entry.images) == (job.fence, job.images)
            assert int(entry.fields["claims"]) == job.claims
            assert int(entry.fields["crashes"]) == job.crashes
            assert (entry.held_bytes, entry.checkpoints) == (job.held_bytes, len(job.checkpoints))
            assert entry.fields.get("reached") == (
                None if job.reached is None else str(job.reached)
            )
            assert ("stop" in entry.fields) == job.is_stopping
            if not job.state.is_terminal:
                assert (None if step is None else int(step)) == job.step
            before = self.seen.get(ref, entry)
            assert int(before.fields["fence"]) <= int(entry.fields["fence"]), "fences rise (I3)"
            assert not before.state.is_terminal or before.state is entry.state, "an end (I4)"
        self.seen = found
        self.tags_are_those_of_the_reference()

    def tags_are_those_of_the_reference(self) -> None:
        client, root, fairness = self.ledger.client, self.ledger.root, self.reference.fairness
        assert int(client.get(f"{root}:virtual_time") or 0) == fairness.virtual_time
        assert dict(client.zrange(f"{root}:tags", 0, -1, withscores=True)) == fairness.tags
        for model in MODELS:
            turns = dict(client.zrange(f"{root}:tenants:{model}", 0, -1, withscores=True))
            assert turns == {
                who: tag for (where, who), tag in fairness.tenants.items() if where == model
            }
        for tenant in ("one", "two"):
            self.user_tags_are_those_of_the_reference(tenant)

    def user_tags_are_those_of_the_reference(self, tenant: str) -> None:
        client, root, users = self.ledger.client, self.ledger.root, self.reference.fairness.users
        times = client.hgetall(f"{root}:user_time:{tenant}")
        expected = {"time": users[tenant].time, "next": users[tenant].least}
        is_on = users[tenant].time is not None
        assert times == ({name: str(time) for name, time in expected.items()} if is_on else {})
        tags = client.zrange(f"{root}:user_tags:{tenant}", 0, -1, withscores=True)
        assert dict(tags) == users[tenant].tags
        turns = {
            (model, who): tag
            for model in MODELS
            for who, tag in client.zrange(f"{root}:users:{model}:{tenant}", 0, -1, withscores=True)
        }
        assert turns == users[tenant].waiting

    # At the end

    def teardown(self) -> None:
        try:
            self.drain()
            self.clear()
        finally:
            self.updates.close()
            for name in self.ledger.client.keys(f"{self.ledger.root}:*"):
                self.ledger.client.delete(name)

    def drain(self) -> None:
        """An honest worker finishes whatever the others left."""
        self.sweep_with(Mishap.NONE)
        for job in self.reference.jobs.values():
            job.lease_is_over = self.age("leases", job.ref)
        self.sweep_with(Mishap.NONE)
        while self.reference.queue(*MODELS):
            for lease in self.take(MODELS, 1000, LEASE_S, Mishap.NONE):
                self.end(lease, JobStatus.SUCCEEDED, Mishap.NONE)
        self.redis_agrees_with_the_reference()
        self.look(None)
        assert all(entry.state.is_terminal for entry in self.seen.values()), "all end (I1)"
        self.count_ends(None)
        self.count_ends(None)  # the first may have repeated what was not heard before
        entered = int(self.ledger.client.get(f"{self.ledger.root}:sequence") or 0)
        assert len(self.counted) == len(set(self.counted)) == entered, "each end is counted once"

    def clear(self) -> None:
        """A sweeper clears everything away, and what stays goes by itself or is bounded."""
        for ref in self.reference.jobs:
            self.age("retention", ref)
        for ref in self.ledger.run(commands.sweep(lease_s=LEASE_S)).forgettable:
            self.ledger.run(commands.forget(ref, silently=True))
        for file in self.reference.files.all:
            self.ledger.run(files.forget(file))
        lasting = {key.name for key in redis_keys.KEYS if not key.ttl}
        for name in self.ledger.client.keys(f"{self.ledger.root}:*"):
            word = name.removeprefix(f"{self.ledger.root}:").partition(":")[0]
            assert self.ledger.client.type(name) == TYPES[word]
            has_end = self.ledger.client.pttl(name) > 0
            assert has_end or word in lasting & LEFT, f"{name} stays for ever"
        assert self.ledger.client.hlen(f"{self.ledger.root}:checkpoints") <= 1, "only the total"


M = LedgerMachine
CLIENTS = [M.create, M.create, M.create_again, M.cancel, M.forget]
WORKERS = [M.claim, M.claim, M.claim, M.claim_again, M.claim_and_die, M.claim_and_die]
LEASED = [
    *(M.renew, M.progress, M.progress, M.progress, M.add_output, M.add_output),
    *(M.settle, M.settle, M.release, M.sweep, M.leases_run_out, M.leases_run_out),
    *(M.checkpoint, M.checkpoint, M.checkpoint, M.checkpoints, M.checkpoints_run_out),
]
OTHERS = [
    *(M.sweep, M.waits_get_too_long, M.stays_get_too_long, M.nobody_sweeps_for_long),
    *(M.ends_get_overdue, M.suspects_wait_long),
    *(M.bells, M.look, M.count_ends),
    *(M.keep_file, M.delete_file, M.file_expires),
    *(M.remove_due_files, M.look_at_a_file),
]


@pytest.mark.timeout(900)  # seconds on a quiet machine; thousands of round trips on a starved one
def test_redis_agrees_with_the_reference_whatever_is_run_and_lost(ledger: Ledger) -> None:
    run_state_machine_as_test(lambda: LedgerMachine(ledger))

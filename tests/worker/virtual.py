"""The loop, claims and publishing of a worker whose threads take turns on a virtual clock."""

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from latentry.contracts import Priority
from latentry.errors import StorageUnavailable
from latentry.ledger import Command, JobRef, Ledger, NewJob, commands
from tests.latentry.ledger.factory import card, request
from tests.worker.turns import Pool, Thread, Turns
from worker.batching import Costs
from worker.claims.claimed_job import QUARANTINE_CRASHES
from worker.claims.claimer import POLL_S, Claimer
from worker.claims.inbox import Inbox, StopAsked
from worker.claims.queue_choice import QueueChoice
from worker.claims.reporter import Reporter
from worker.engine.loop import Engine
from worker.engine.simulated import Charge, Simulated
from worker.loop import WorkerLoop
from worker.metrics import Metrics
from worker.process.keepalive import NoKeepalive
from worker.publishing.publisher import Publisher
from worker.saving import Saving
from worker.stepping import Stepping

CHARGE = Charge(call_s=0.02, row_s=0.002, area=256, picture_s=0.01)
MODELS = ("shapes", "seldom")  # the second one never stays in memory
SIGNALS = ("gateway/create", "worker/exchange")  # what the ledger announces to workers
PATIENCE_S = 300.0
_ids = itertools.count()


@dataclass(frozen=True, slots=True)
class Hazards:
    """What may happen: seconds are the longest of a kind, shares are chances.

    `lag_s`: until a thread that may run does; `lost`: of the ledger's signals; `refused`: of the
    storage's answers.
    """

    gap_s: float = 0.1
    lag_s: float = 0.01
    ledger_s: float = 0.01
    upload_s: float = 0.1
    lost: float = 0.0
    refused: float = 0.0
    canceled: float = 0.0
    backlog_bytes: int = 10**9
    max_rows: int = 8


class SlowLedger(Ledger):
    """Others do something before a command arrives, and before its answer does."""

    turns: Turns
    longest_s: float
    on_signal: Callable[[], None]

    def run(self, command: Command[Any]) -> Any:
        return self._between(command, partial(super().run, command))

    def run_all(self, commands: Sequence[Command[Any]]) -> list[Any]:
        return self._between(commands[0], partial(super().run_all, commands)) if commands else []

    def _between(self, command: Command[Any], run: Callable[[], Any]) -> Any:
        self.turns.spend(self.turns.any_s(self.longest_s))
        answer = run()
        if command.script in SIGNALS:
            self.on_signal()
        self.turns.spend(self.turns.any_s(self.longest_s))
        return answer


class Refusing:
    """A storage that sometimes does not take a picture at first."""

    def __init__(self, turns: Turns, share: float) -> None:
        self._turns = turns
        self._share = share

    def put(self, key: str, data: bytes) -> None:
        self._turns.spend(self._turns.any_s(0.05))
        if self._turns.chance.random() < self._share:
            raise StorageUnavailable

    def delete(self, key: str) -> None:
        """It keeps nothing."""


class VirtualWorker:
    """The real loop, claims and publishing of a worker on a real ledger.

    `rested_s`: how long it had room and did nothing, though it had heard of a job that waited.
    `missed_s`: the same, of jobs whose signal was lost, one after the other.
    """

    def __init__(self, ledger: Ledger, seed: int, hazards: Hazards) -> None:
        self.turns = turns = Turns(random.Random(seed), on_pass=self._pass)
        self.hazards = hazards
        self.plain = Ledger(ledger.client, f"{ledger.root}-{next(_ids)}")
        self.rested_s = 0.0
        self.missed_s = 0.0
        self._heard: set[str] = set()
        slow = SlowLedger(self.plain.client, self.plain.root)
        slow.turns, slow.longest_s, slow.on_signal = turns, hazards.ledger_s, self._signal
        self._ledger = slow
        self.inbox = Inbox()
        self.engine = Engine(
            Simulated(dict.fromkeys(MODELS, CHARGE), turns), Costs(max_rows=hazards.max_rows)
        )
        self.publisher = Publisher(
            slow,
            Refusing(turns, hazards.refused),  # type: ignore[arg-type]
            metrics := Metrics(),
            self.inbox,
            budget_bytes=hazards.backlog_bytes,
            pool=Pool(turns, hazards.upload_s),
        )
        reporter = Reporter(slow, self.inbox, "w1", [*map(card, MODELS)], lease_s=60, heartbeat_s=5)
        self.leases = reporter.leases
        queues = QueueChoice(MODELS, lambda: MODELS[:1])
        self.claimer = Claimer(
            slow, self.inbox, "w1", queues, reporter, lease_s=60, clock=turns.now
        )
        self.loop = WorkerLoop(
            engine=self.engine,
            stepping=Stepping(self.engine, NoKeepalive(), metrics, longest_test_s=lambda: 0.0),
            saving=Saving(self.engine, reporter.checkpoints, every_s=60),
            inbox=self.inbox,
            claimer=self.claimer,
            reporter=reporter,
            publisher=self.publisher,
            metrics=metrics,
        )
        self._threads = [
            Thread("loop", self.inbox._arrived, self._loop_turn),
            Thread("claimer", self.claimer._wanted, self._claimer_turn),
        ]
        turns.threads += self._threads

    def draw(self, jobs: int, *, suspects: int = 0) -> list[JobRef]:
        """Let so many jobs come; return when all of them have ended.

        Before them come those that other workers died of, once or twice.
        """
        refs = [JobRef("default", f"gen_{number}") for number in range(suspects + jobs)]
        self._die(refs[:suspects])
        at_s = 0.0
        for ref in refs[suspects:]:
            at_s += self.turns.any_s(self.hazards.gap_s)
            self.turns.plan(at_s, partial(self._arrive, ref))
        deadline_s = at_s + PATIENCE_S

        def is_over() -> bool:
            assert self.turns.seconds < deadline_s, f"waiting: {self.waiting}"
            return not self._open

        self._open = {str(ref) for ref in refs}
        self.turns.run(is_over)
        return refs

    @property
    def waiting(self) -> list[str]:
        """The jobs in the queues."""
        client, root = self.plain.client, self.plain.root
        return [ref for model in MODELS for ref in client.zrange(f"{root}:queue:{model}", 0, -1)]

    def _arrive(self, ref: JobRef) -> None:
        chance = self.turns.chance
        priority = chance.choice(list(Priority))
        wanted = request(
            model=chance.choice(MODELS),
            num_inference_steps=chance.randint(1, 6),
            n=chance.choice((1, 1, 1, 3)),
            guidance_scale=chance.choice((1.0, 3.0)),
            intermediates=chance.choice((None, None, {"every": 1})),
        )
        job = NewJob(ref, wanted, 60_000, 60_000, priority=priority)
        self._ledger.run(commands.create(job, max_queued=1000))
        if chance.random() < self.hazards.canceled:
            self.turns.plan(self.turns.any_s(1.0), partial(self._cancel, ref))

    def _die(self, refs: list[JobRef]) -> None:
        """A worker dies of them all, and then others of some of them."""
        run = self.plain.run
        for ref in refs:
            run(commands.create(NewJob(ref, request(), 60_000, 60_000), max_queued=1000))
        claim = partial(commands.claim, models=["shapes"], lease_s=0, held=1, begins=True)
        run(claim("dead", room=len(refs)))
        run(commands.sweep(lease_s=60))
        for number in range(self.turns.chance.randint(0, len(refs))):
            run(claim(f"dead-{number}", room=1))
            run(commands.sweep(lease_s=60))

    def _cancel(self, ref: JobRef) -> None:
        self._ledger.run(commands.cancel(ref))
        self.inbox.post(StopAsked(ref))

    def _signal(self) -> None:
        """The ledger says that a queue got longer."""
        if self.turns.chance.random() >= self.hazards.lost:
            self.turns.plan(self.turns.any_s(self.hazards.lag_s), self._hear)

    def _hear(self) -> None:
        self._heard.update(self.waiting)
        self.claimer.hear()

    def _loop_turn(self, is_over: bool) -> float:
        self.inbox.wait(0)
        self._open -= self._ended()
        return self.loop.turn(has_rested=is_over)

    def _claimer_turn(self, _: bool) -> float:
        self.claimer.wait(0)
        self.claimer.work()
        return POLL_S

    def _ended(self) -> set[str]:
        states = {
            ref: self.plain.client.hget(f"{self.plain.root}:job:{ref}", "state")
            for ref in self._open
        }
        return {ref for ref, state in states.items() if state not in (None, "queued", "running")}

    def _pass(self, seconds: float) -> None:
        """Time passes, and no thread does anything."""
        is_resting = all(thread.is_asleep for thread in self._threads) and self.engine.idle
        has_room = self.publisher.has_room and not self.publisher.is_refused
        if not (is_resting and has_room):
            return
        waiting = [ref for ref in self.waiting if self._may_run(ref)]
        if self._heard.intersection(waiting):
            self.rested_s += seconds
        elif waiting:
            self.missed_s += seconds

    def _may_run(self, ref: str) -> bool:
        """Whether the worker may take the job, with what it has: suspects are apart."""
        held = self.leases.jobs
        crashes = int(self.plain.client.hget(f"{self.plain.root}:job:{ref}", "crashes") or 0)
        if crashes >= QUARANTINE_CRASHES or any(job.is_quarantined for job in held):
            return not held
        return not (crashes and any(job.has_crashed for job in held))

"""Says to the ledger what cannot wait for nobody: alive, still held, this far."""

import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal

import structlog

from latentry.contracts import ModelCard
from latentry.contracts.models import Pace
from latentry.errors import LeaseLost, LedgerUnavailable
from latentry.ledger import Lease, Ledger, commands
from worker.claims.claimed_job import ClaimedJob
from worker.engine.loop import Preview, Saved
from worker.process.exit_on_failure import critical_thread
from worker.publishing.thumbnail import thumbnail

log = structlog.get_logger()

PROGRESS_S = 0.2  # five a second is what an eye can follow
BEATS_PER_LIFE = 3  # a worker counts as dead after this many heartbeats were missed

Notice = tuple[ClaimedJob, Literal["stop", "lost"]]


class Outbox:
    """One thread that renews leases, beats the heart, tells progress and keeps checkpoints."""

    def __init__(
        self,
        ledger: Ledger,
        worker: str,
        cards: Sequence[ModelCard],
        *,
        lease_s: float,
        heartbeat_s: float,
        checkpoint_bytes: int = 0,
        failed: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self.notices: queue.SimpleQueue[Notice] = queue.SimpleQueue()
        self._ledger = ledger
        self._worker = worker
        self._cards = {card.id: card for card in cards}
        self._failed = failed  # models that do not load here: for them others count, not we
        self._lease_s = lease_s
        self._heartbeat_s = heartbeat_s
        self._held: dict[str, ClaimedJob] = {}
        self._progress: dict[str, tuple[Lease, int, int]] = {}
        self._previews: dict[tuple[str, int], tuple[Lease, Preview]] = {}
        self._checkpoint_bytes = checkpoint_bytes
        self._saved: dict[tuple[str, int], tuple[ClaimedJob, Saved]] = {}
        self._is_full = False
        self._lock = threading.Lock()
        self._keeping = threading.Lock()
        self._ending = threading.Event()
        self._next_beat = 0.0
        self._thread = critical_thread("outbox", self._run)

    @property
    def keeps_checkpoints(self) -> bool:
        """Whether there is a budget for them at all."""
        return self._checkpoint_bytes > 0

    def holds(self, job: ClaimedJob) -> bool:
        """Whether its lease is renewed, as far as we know."""
        with self._lock:
            return job.id in self._held

    @property
    def held(self) -> list[ClaimedJob]:
        """The jobs whose leases are renewed: those in the engine, before it, and behind it."""
        with self._lock:
            return list(self._held.values())

    @property
    def models(self) -> list[str]:
        """What this worker serves."""
        return list(self._cards)

    def start(self) -> None:
        """Begin to beat: from here on the worker counts as live."""
        self._thread.start()

    def stop(self) -> None:
        """Stop beating and say goodbye."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()
        try:
            self._ledger.run(commands.heartbeat(self._worker, [], ttl_s=1))
        except LedgerUnavailable:
            log.warning("ledger.unavailable", doing="goodbye")  # the heartbeat runs out by itself

    def hold(self, job: ClaimedJob) -> None:
        """Renew this job's lease from now on."""
        with self._lock:
            self._held[job.id] = job

    def let_go(self, job: ClaimedJob) -> None:
        """It has ended, or somebody else has it."""
        with self._lock:
            self._held.pop(job.id, None)
            self._progress.pop(job.id, None)
            self._saved = {k: v for k, v in self._saved.items() if k[0] != job.id}
            self._previews = {k: v for k, v in self._previews.items() if k[0] != job.id}

    def price(self, paces: Mapping[str, Pace]) -> None:
        """What pictures of these models cost here; their cards say so from now on."""
        for model, pace in paces.items():
            self._cards[model] = self._cards[model].model_copy(update={"pace": pace})

    def tell(self, job: ClaimedJob, step: int, steps: int) -> None:
        """The job's latest step; only the last one before the next message is sent."""
        with self._lock:
            if job.id in self._held:
                self._progress[job.id] = (job.lease, step, steps)

    def show(self, job: ClaimedJob, preview: Preview) -> None:
        """How far an image of the job is; only the last one before the next message is sent."""
        with self._lock:
            if job.id in self._held:
                self._previews[job.id, preview.index] = (job.lease, preview)

    def save(self, job: ClaimedJob, images: Iterable[Saved]) -> None:
        """Where the job's images stand; only the last of each before the next message is sent."""
        with self._lock:
            if job.id in self._held:
                self._saved.update({(job.id, one.index): (job, one) for one in images})

    def flush(self) -> None:
        """Send what was saved, now and from this thread; later the leases may be gone."""
        with self._keeping:  # one after the other, so that an older one never comes last
            with self._lock:
                latest, self._saved = self._saved, {}
            for job, one in latest.values():
                try:
                    self._beat_if_due()  # many of them on a slow line take longer than a lease
                    self._keep(job, one)
                except LeaseLost:  # the next renewal tells the loop
                    log.info("checkpoint.lease_lost", job=job.lease.ref.id)
                except LedgerUnavailable as error:  # away, or full
                    log.warning("ledger.unavailable", doing="checkpoint", why=str(error))
                    return

    def _keep(self, job: ClaimedJob, one: Saved) -> None:
        command = commands.checkpoint(
            job.lease, one.index, one.checkpoint, budget_bytes=self._checkpoint_bytes
        )
        was_full, self._is_full = self._is_full, not self._ledger.run(command)
        if self._is_full and not was_full:
            log.warning("checkpoint.budget_spent", budget_bytes=self._checkpoint_bytes)

    def say(self) -> None:
        """Everything that is to be said by now."""
        try:
            self._say_progress()
            self._show_previews()
            self.flush()
            self._beat_if_due()
        except LedgerUnavailable as error:
            log.warning("ledger.unavailable", doing="heartbeat", why=str(error))

    def _run(self) -> None:
        while not self._ending.wait(PROGRESS_S):
            self.say()

    def _beat_if_due(self) -> None:
        if time.monotonic() >= self._next_beat:
            self._beat()
            self._next_beat = time.monotonic() + self._heartbeat_s

    def _say_progress(self) -> None:
        with self._lock:
            latest, self._progress = self._progress, {}
        if latest:
            self._ledger.run(commands.progress(latest.values()))

    def _show_previews(self) -> None:
        with self._lock:
            latest, self._previews = self._previews, {}
        for lease, one in latest.values():
            jpeg = thumbnail(one.pixels)
            self._ledger.run(commands.preview(lease, one.index, one.step, jpeg))

    def _beat(self) -> None:
        for card in list(self._cards.values()):  # again and again: the ledger may have been emptied
            self._ledger.run(commands.catalogue(card))
        life = self._heartbeat_s * BEATS_PER_LIFE
        failed = self._failed()
        able = [model for model in self.models if model not in failed]
        self._ledger.run(commands.heartbeat(self._worker, able, ttl_s=life))
        held = self.held
        if not held:
            return
        answers = self._ledger.run(
            commands.renew([job.lease for job in held], lease_s=self._lease_s)
        )
        for job, answer in zip(held, answers, strict=True):
            if answer == "lost":
                self.notices.put((job, "lost"))
            elif answer == "stop":
                self.notices.put((job, "stop"))

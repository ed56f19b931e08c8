"""A claimed job on its way through the engine, and when all of its images have ended."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from latentry.contracts import JobStatus, JobWarning, ResolvedBackground, StoredOutput
from latentry.errors import LatentryError, PictureRefused
from latentry.ledger import JobRecord, Lease
from latentry.rules.adapters.controls import unstored_controls
from latentry.rules.pricing import intermediates, skipped_steps
from latentry.rules.sequences.frames import CLIP_NAME, clip, files, moving
from worker.engine.inputs.canvas import Canvas, Pixels
from worker.engine.loop import BackgroundOrder, LoadedAdapter, Order

# A job that two workers died of runs alone: a third death makes it poison, and must not cost
# another job an attempt.
QUARANTINE_CRASHES: Final = 2
# Steps are reported with a delay, so a worker that died came further than the ledger knows. A
# suspect is cleared by a step that it makes so long after it passed the last step that is known:
# one that hangs makes none.
PROOF_S: Final = 1.0
_CLIP: Final = (0, CLIP_NAME)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ends."""

    status: JobStatus
    error: LatentryError | None = None


def _outcome_so_far(record: JobRecord) -> Outcome:
    """A sequence has failed if an earlier worker's rules withheld one of its frames."""
    refused = [one.error for one in record.outputs if one.error is not None]
    if refused and record.request.is_sequence:
        return Outcome(JobStatus.FAILED, PictureRefused(refused[0].message))
    return Outcome(JobStatus.SUCCEEDED)


class ClaimedJob:
    """One lease and its images. The step loop and the publishing threads both close images.

    `outputs`: those in storage, by label. `checkpoints`: of its images, by index, from an earlier
    worker. `canvases`: the pictures that its request brings, made ready; one for each keyframe.
    `pictures`: those in its lists, by place; `controls`: what its ControlNets see, as in Order.
    `manifests`: of those that came with one, by file. `adapters`: those that its request uses, by
    SHA-256.
    `unsaved_since`: when the first step was made that is in no checkpoint.
    """

    def __init__(self, lease: Lease, *, goes_first: bool = False) -> None:
        self.lease = lease
        self.goes_first = goes_first  # another job yielded its rows for this one
        # A worker that died half-way may have published some: those are not drawn again.
        self.outputs = {output.label: output for output in lease.record.outputs}
        request = lease.record.request
        unfinished = [k for k in range(request.pictures) if not self._is_complete(k)]
        # The images that each order makes, by its index.
        self._made = (
            {0: unfinished} if moving(request) and unfinished else {k: [k] for k in unfinished}
        )
        self._open = {(index, "") for index in unfinished}  # image and name of each output to come
        if clip(request) and CLIP_NAME not in self._listed(0):
            self._open.add(_CLIP)
        self._open |= {(0, name) for name in unstored_controls(request, lease.record.outputs)}
        self._begins_clip = False
        self._steps = dict.fromkeys(self._made, 0)
        self.checkpoints: dict[int, bytes] = {}
        self.canvases: Sequence[Canvas | None] = ()
        self.manifests: Mapping[str, bytes] = {}
        self.pictures: Mapping[str, Pixels] = {}
        self.controls: Sequence[Sequence[Pixels]] = ()
        self.adapters: Mapping[str, LoadedAdapter] = {}
        self.unsaved_since: float | None = None
        self.is_yielding = False
        self._is_begun = False
        self._passed_at: float | None = None
        self._is_cleared = False
        self._undrawn = set(self._made)
        self.warnings: list[JobWarning] = list(lease.record.warnings)
        self._outcome = _outcome_so_far(lease.record)
        self._lock = threading.Lock()

    @property
    def id(self) -> str:
        """The job's name in the engine; with the fence, so that an earlier claim is another."""
        return f"{self.lease.ref}#{self.lease.fence}"

    @property
    def orders(self) -> list[Order]:
        """The images still to be drawn."""
        return [self._order(index) for index in sorted(self._undrawn)]

    @property
    def reads_files(self) -> bool:
        """Whether something has to be read for it before it is begun."""
        return bool(files(self.lease.record.request)) or self.has_adapters

    @property
    def has_adapters(self) -> bool:
        """Whether its request names any."""
        return bool(self.lease.record.request.adapters)

    @property
    def canvas(self) -> Canvas | None:
        """What its images start from and are laid back into; of an interpolation, the first one."""
        return self.canvases[0] if self.canvases else None

    @property
    def is_drawn(self) -> bool:
        """Whether the engine is done with all of its images."""
        return not self._undrawn

    @property
    def is_over(self) -> bool:
        """Whether every image has ended."""
        return not self._open

    @property
    def ends_early(self) -> bool:
        """Whether it is decided already that the job will not succeed."""
        return self._outcome.status is not JobStatus.SUCCEEDED

    @property
    def reached(self) -> int:
        """The furthest step that is known to be made; those that are skipped count as made."""
        return max(self.lease.record.reached, skipped_steps(self.lease.record.request))

    @property
    def has_crashed(self) -> bool:
        """Whether a worker died while it ran this job, cleared since or not.

        No suspect joins it: another death would cost it a second attempt.
        """
        return self.lease.record.crashes > 0

    @property
    def is_suspect(self) -> bool:
        """Whether a worker died while it ran this job, which has made no progress since."""
        return self.has_crashed and not self._is_cleared and not self.is_drawn

    @property
    def is_quarantined(self) -> bool:
        """Whether nothing may run beside it: if the worker dies again, this job was the cause."""
        return self.is_suspect and self.lease.record.crashes >= QUARANTINE_CRASHES

    @property
    def may_yield(self) -> bool:
        """Whether handing it back would free a row, and cost no picture that is drawn already."""
        if isinstance(self.lease.record.request, ResolvedBackground):  # it has no row to give
            return False
        undrawn = {(image, "") for k in self._undrawn for image in self._made[k]}
        is_whole = not self.is_drawn and undrawn == self._open - {_CLIP}
        return self._is_begun and is_whole and not self.is_yielding

    @property
    def steps_left(self) -> int:
        """Steps still to be made, summed over its images."""
        return sum(self.lease.record.request.total_steps - k for k in self._steps.values())

    def leave_engine(self, index: int) -> Sequence[int]:
        """The engine is done with an order, with a picture or without; the images that it made.

        Those of a clip are its frames, but for frames that an earlier worker has stored.
        """
        self._undrawn.discard(index)
        return self._made[index]

    def warn(self, warnings: Iterable[JobWarning]) -> None:
        """Keep warnings for the client, each once: every image of a job repeats them."""
        with self._lock:
            self.warnings += [warning for warning in warnings if warning not in self.warnings]

    def step(self, index: int, step: int) -> int:
        """Record an image's step; returns the step to report: that of the image furthest behind.

        For a suspect it is capped at what the ledger knows: more would clear it.
        """
        self._is_begun = True
        self._steps[index] = step
        behind, reached = min(self._steps.values()), self.reached
        if behind > reached:
            self._passed_at = self._passed_at or monotonic()
            self._is_cleared = monotonic() - self._passed_at >= PROOF_S
        return min(behind, reached) if self.is_suspect else behind

    def end_early(self, outcome: Outcome) -> None:
        """The job will not succeed. The first such outcome counts."""
        with self._lock:
            if not self.ends_early:
                self._outcome = outcome

    def expect(self, index: int, name: str) -> None:
        """An output of this name is on its way to storage, besides the image's picture."""
        with self._lock:
            self._open.add((index, name))

    def close(
        self, index: int, output: StoredOutput | None = None, *, name: str = ""
    ) -> Outcome | None:
        """An image ended, or its output of this name, in storage or not.

        The job's outcome if nothing else is to come.
        """
        with self._lock:
            self._open.discard((index, name))
            if output is not None:
                self.outputs[output.label] = output
            return None if self._open else self._ending()

    def _ending(self) -> Outcome:
        """The outcome; without a picture, because rules withhold all, it has failed by them."""
        final = [one for one in self.outputs.values() if one.kind.is_final]
        refused = [one.error for one in final if one.error is not None]
        if self.ends_early or not refused or len(refused) < len(final):
            return self._outcome
        return Outcome(JobStatus.FAILED, PictureRefused(refused[0].message))

    def begins_clip(self) -> bool:
        """Whether nothing is left to do but its clip, and nobody has been told so before."""
        with self._lock:
            begins = self._open == {_CLIP} and not self._begins_clip
            self._begins_clip |= begins
            return begins

    def _order(self, index: int) -> Order:
        request, saved = self.lease.record.request, self.checkpoints.get(index)
        if isinstance(request, ResolvedBackground):
            return BackgroundOrder(self.id, index, request, request.seed, saved, self.canvas)
        ready: dict[str, Any] = {"pictures": self.pictures, "controls": self.controls}
        ready |= {"listed": self._listed(index), "adapters": self.adapters}
        return Order.of(self.id, request, index, self.canvases, checkpoint=saved, **ready)

    def _listed(self, index: int) -> frozenset[str]:
        """The names of an image's outputs that an earlier worker has stored."""
        outputs = self.lease.record.outputs
        return frozenset(output.name for output in outputs if output.index == index)

    def _is_complete(self, index: int) -> bool:
        """Whether an earlier worker has stored the image and all that goes with it."""
        wanted = {"", *intermediates(self.lease.record.request)}
        return wanted <= self._listed(index)

"""A `Backend` that computes nothing: a clock that charges for calls by a table of costs."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from latentry.contracts import (
    Determinism,
    IntermediateKind,
    JobWarning,
    ResolvedRequest,
    Upscaler,
)
from latentry.errors import EngineError, JobFailed, UnknownModel
from latentry.rules.passes import passes
from latentry.rules.pricing import pass_calls, skipped_steps
from latentry.rules.prompt_rows import prompt_rows
from worker.batching import BatchKey
from worker.engine.inputs.canvas import Pixels
from worker.engine.loop.backend import Plan, Taken, TimedCall
from worker.engine.loop.messages import Order
from worker.engine.simulated.adapters import SimulatedShelf
from worker.engine.simulated.charge import Charge
from worker.engine.simulated.clocks import Clock, VirtualClock
from worker.engine.simulated.example import VAE_FACTOR, example


@dataclass(slots=True, eq=False)
class SimulatedTrajectory:
    """Its calls, and a digest of those that were made, by which a checkpoint is recognised.

    keys: of each call.
    """

    order: Order
    keys: tuple[BatchKey, ...]
    rows: int
    last_key: BatchKey
    digest: bytes
    calls_done: int = 0
    since: float = 0.0
    watched_every: int = 0
    fingerprints: tuple[str, ...] = ()

    @property
    def key(self) -> BatchKey:
        """That of its next call, or of its picture after the last one."""
        return self.keys[self.calls_done] if self.calls_left else self.last_key

    @property
    def calls_left(self) -> int:
        """UNet calls until only the VAE is left."""
        return len(self.keys) - self.calls_done

    @property
    def step(self) -> int:
        """How many of its steps are done."""
        return self._step_after(self.calls_done)

    @property
    def has_stepped(self) -> bool:
        """Whether its last call ended a step."""
        return self.calls_done > 0 and self.step > self._step_after(self.calls_done - 1)

    @property
    def shown_key(self) -> BatchKey:
        """That of its last call: of what a step has made."""
        return self.keys[self.calls_done - 1] if self.calls_done else self.key

    @property
    def is_redrawn(self) -> bool:
        """Whether the VAE decodes and encodes it before its next call, of a second pass."""
        hires = self.order.request.hires
        is_second = self.calls_done > 0 and self.shown_key != self.key
        return is_second and hires is not None and hires.upscaler is Upscaler.LANCZOS

    def _step_after(self, calls: int) -> int:
        """Steps that are skipped, as it starts from a picture, count as done."""
        skipped = skipped_steps(self.order.request)
        made = self.order.request.total_steps - skipped
        return skipped + made * calls // (len(self.keys) or 1)

    def advance(self) -> None:
        """Make one call."""
        self.calls_done += 1
        self.digest = _chained(self.digest, 1)


@dataclass(slots=True, eq=False)
class Simulated:
    """A `Backend` without torch. Equal orders make equal pixels, of one colour.

    What a real one learns of a model when it tests it after loading is known from the start.
    """

    models: Mapping[str, Charge]
    clock: Clock = field(default_factory=VirtualClock)
    longest_test_s: float = 0.0
    failed: tuple[str, ...] = ()
    is_changing: bool = False
    adapters: SimulatedShelf = field(init=False)
    _calls: list[TimedCall] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.adapters = SimulatedShelf(self.models)
        for order in self.examples():
            plan = self.plan(order)
            seconds = self.models[order.request.model].call(plan.key, plan.rows)
            self._calls.append(TimedCall(plan.key, plan.rows, seconds))

    @property
    def identity(self) -> str:
        """What it charges."""
        return f"simulated {dict(self.models)}"

    @property
    def resident(self) -> tuple[str, ...]:
        """All its models, always."""
        return tuple(self.models)

    def now(self) -> float:
        """Seconds on its clock."""
        return self.clock.now()

    def ready(self, *models: str) -> bool:
        """Whether there are such models."""
        for model in models:
            if model not in self.models:
                raise UnknownModel(f"This worker does not serve the model {model}.")
        return True

    @property
    def is_loading(self) -> bool:
        """Never."""
        return False

    def continue_loading(self, *, idle: bool) -> None:
        """All models are always there."""

    def change_model(self, model: str, blueprint: object) -> None:
        """None is of files."""

    def examples(self) -> list[Order]:
        """One order of each model, of the size that its charge is for, with guidance."""
        return [example(id, charge.area) for id, charge in self.models.items()]

    def plan(self, order: Order) -> Plan:
        """The batch key and rows of its first pass's calls."""
        return Plan(self._key(passes(order.request)[0]), rows=len(prompt_rows(order.request)))

    def _key(self, one: ResolvedRequest) -> BatchKey:
        bucket = self.models[one.model].strict_rows if one.frames == 1 else len(prompt_rows(one))
        return BatchKey(
            one.model,
            one.frames * (one.height // VAE_FACTOR),
            one.width // VAE_FACTOR,
            1,
            bucket if one.determinism is Determinism.STRICT else 0,
            seamless=one.seamless,
            frames=one.frames,
        )

    def begin(self, order: Order, plan: Plan) -> tuple[SimulatedTrajectory, list[JobWarning]]:
        """Prompts cost nothing; a checkpoint has the number of calls made and their digest."""
        keys: list[BatchKey] = []
        for one in passes(order.request):
            keys += [self._key(one)] * pass_calls(one)
        last_key = self._key(passes(order.request)[-1])
        fields = json.dumps(order.pixel_fields(), sort_keys=True)
        digest = hashlib.sha256(fields.encode()).digest()
        begun = SimulatedTrajectory(order, tuple(keys), plan.rows, last_key, digest)
        saved = order.checkpoint or b""
        made = int.from_bytes(saved[:4], "big")
        if made <= len(keys) and saved[4:] == _chained(digest, made):  # it is of this picture
            begun.calls_done, begun.digest = made, saved[4:]
        return begun, []

    def advance(self, members: Sequence[SimulatedTrajectory], rows: int) -> None:
        """One UNet call."""
        if rows < sum(member.rows for member in members):
            raise EngineError("More members than rows.")
        seconds = self.models[members[0].key.model].call(members[0].key, rows)
        self.clock.spend(seconds)
        for member in members:
            if member.is_redrawn:
                for key in (member.shown_key, member.key):
                    self.clock.spend(self.models[key.model].picture(key))
            member.advance()
        self._calls.append(TimedCall(members[0].key, rows, seconds))

    def calls(self) -> list[TimedCall]:
        """The calls that ended since the last call of this method."""
        ended, self._calls = self._calls, []
        return ended

    def decode(self, members: Sequence[SimulatedTrajectory]) -> Taken:
        """Pictures in the colour of their digest."""
        return Taken([self._picture(one.key, one.digest) for one in members])

    def decode_frames(self, member: SimulatedTrajectory, frames: range) -> Taken:
        """Pictures in the colours of their digests, one for each frame."""
        digests = (_chained(member.digest, 1 + frame) for frame in frames)
        return Taken([self._picture(member.key, digest) for digest in digests])

    def show(self, member: SimulatedTrajectory, kind: IntermediateKind) -> Taken:
        """A picture in the colour of its digest by now; another one for each kind."""
        place = list(IntermediateKind).index(kind)
        return Taken([self._picture(member.shown_key, member.digest[3 * place :])])

    def _picture(self, key: BatchKey, digest: bytes) -> Pixels:
        self.clock.spend(self.models[key.model].picture(key))
        height, width = key.height // key.frames * VAE_FACTOR, key.width * VAE_FACTOR
        colour = np.frombuffer(digest[:3], np.uint8)
        line = np.tile(colour, width)  # by pixels it takes four times as long
        return np.tile(line, (height, 1)).reshape(height, width, 3)

    def preview(self, members: Sequence[SimulatedTrajectory]) -> Taken:
        """Small ones in the colour that their digest has by now."""
        shown: list[Pixels | JobFailed] = []
        for one in members:
            self.clock.spend(self.models[one.key.model].preview(one.key))
            shown.append(np.full((8, 8, 3), list(one.digest[:3]), dtype=np.uint8))
        return Taken(shown)

    def save(self, member: SimulatedTrajectory) -> bytes:
        """How far it is."""
        return member.calls_done.to_bytes(4, "big") + member.digest

    def profile(self, member: SimulatedTrajectory) -> str | None:
        """Always this one: pixels depend on nothing but their order."""
        return "simulated"


def _chained(digest: bytes, calls: int) -> bytes:
    for _ in range(calls):
        digest = hashlib.sha256(digest).digest()
    return digest

"""The backend of the background: each call makes a part of one picture."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from latentry.contracts import (
    CaptionerCard,
    IntermediateKind,
    JobWarning,
    PreprocessorsCard,
    ResolvedBackground,
    UpscalerCard,
)
from latentry.contracts.fields.inputs import InputFile
from latentry.errors import EngineError, JobFailed, UnknownModel
from worker.batching import BatchKey
from worker.engine.background.tool import BackgroundTrajectory, Tool
from worker.engine.inputs.canvas import Pixels
from worker.engine.job_failures import as_job_failed
from worker.engine.loop.backend import EmptyShelf, Pictures, Plan, Taken, TimedCall
from worker.engine.loop.messages import BackgroundOrder, Order


class Background:
    """A `ServedBackend` of upscalers and other tools. All are in memory from the start.

    Whatever their libraries raise fails one order (`as_job_failed`).
    """

    is_loading = False
    is_changing = False
    failed: tuple[str, ...] = ()
    identity = "background"
    adapters = EmptyShelf()

    def __init__(self, tools: Sequence[Tool], now: Callable[[], float] = time.perf_counter) -> None:
        self._tools = {one.card.queue: one for one in tools}
        self.resident = tuple(self._tools)
        self.longest_test_s = max((one.test_s for one in tools), default=0.0)
        self.now = now

    @property
    def cards(self) -> list[UpscalerCard | PreprocessorsCard | CaptionerCard]:
        """What each can do."""
        return [one.card for one in self._tools.values()]

    def ready(self, *models: str) -> bool:
        """Whether there are such. Raises UnknownModel."""
        for model in models:
            if model not in self._tools:
                raise UnknownModel(f"This worker does not serve {model}.")
        return True

    def continue_loading(self, *, idle: bool) -> None:
        """All are always there."""

    def change_model(self, model: str, blueprint: object) -> None:
        """There are no models."""

    def examples(self) -> list[Order]:
        """One order of each, of one call."""
        return [
            BackgroundOrder("example", 0, one.example(), seed=0) for one in self._tools.values()
        ]

    def plan(self, order: Order) -> Plan:
        """The key of its first call by which its pace is known, or of its first one."""
        request, tool = self._asked(order)
        with as_job_failed():
            keys = _keys(request, tool)
            return Plan(next((key for key in keys if not key.operation), keys[0]), rows=1)

    def begin(self, order: Order, plan: Plan) -> tuple[BackgroundTrajectory, list[JobWarning]]:
        """From the start: what is made is not in any checkpoint, which would be as large."""
        request, tool = self._asked(order)
        with as_job_failed():
            picture = order.canvas.picture if order.canvas else _blank(request.image)
            work = tool.begin(request, picture)
            return BackgroundTrajectory(order, tool, work, _keys(request, tool)), []

    def advance(self, members: Sequence[BackgroundTrajectory], rows: int) -> None:
        """One call of one picture. Raises OutOfMemory or EngineError."""
        [member] = members
        with as_job_failed(), member.tool.timer.call(member.key, rows):
            member.advance()

    def calls(self) -> list[TimedCall]:
        """The calls that ended since the last call of this method."""
        return [call for one in self._tools.values() for call in one.timer.ended()]

    def decode_frames(self, member: BackgroundTrajectory, frames: range) -> Pictures:
        """There are none."""
        return Taken([EngineError("It has no frames.")] * len(frames))

    def decode(self, members: Sequence[BackgroundTrajectory]) -> Pictures:
        """The finished picture."""
        [member] = members
        try:
            with as_job_failed():
                return member.work.take()
        except JobFailed as error:
            return Taken([error])

    def preview(self, members: Sequence[BackgroundTrajectory]) -> Pictures:
        """There is none."""
        return Taken([EngineError("It has no previews.")] * len(members))

    def show(self, member: BackgroundTrajectory, kind: IntermediateKind) -> Pictures:
        """There is none."""
        return Taken([EngineError("It has no intermediates.")])

    def save(self, member: BackgroundTrajectory) -> bytes:
        """Nothing: it is made again from the start."""
        return b""

    def profile(self, member: BackgroundTrajectory) -> str | None:
        """Always one: the bits depend on the request and on this."""
        return member.tool.profile

    def _asked(self, order: Order) -> tuple[ResolvedBackground, Tool]:
        assert isinstance(order, BackgroundOrder), "the router knows whose it is"
        return order.request, self._tools[order.request.model]


def _keys(request: ResolvedBackground, tool: Tool) -> list[BatchKey]:
    """The key of each call, by the pixels it makes; always alone, so that its bits are equal."""
    beside = BatchKey(tool.card.queue, height=0, width=0, chunks=0, bucket=1, background=True)
    return [
        replace(beside, height=height, width=width, operation=operation)
        for height, width, operation in tool.calls(request)
    ]


def _blank(image: InputFile) -> Pixels:
    return np.zeros((image.height, image.width, 3), np.uint8)

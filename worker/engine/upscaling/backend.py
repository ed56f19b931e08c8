"""The backend of upscales: each call is a tile or a strip of one picture."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from latentry.contracts import IntermediateKind, JobWarning, ResolvedUpscale, UpscalerCard
from latentry.contracts.fields.inputs import InputFile
from latentry.errors import EngineError, UnknownModel
from latentry.rules.upscaling import call_sizes
from worker.batching import BatchKey
from worker.engine.inputs.canvas import Pixels
from worker.engine.loop.backend import EmptyShelf, Pictures, Plan, Taken, TimedCall
from worker.engine.loop.messages import Order, UpscaleOrder
from worker.engine.upscaling.upscaler import Upscaler, UpscaleTrajectory

_EXAMPLE_PX = 512  # side of an example's result, where no network has tiles of its own


class Upscaling:
    """A `ServedBackend` of upscalers, all of which are in memory from the start."""

    is_loading = False
    is_changing = False
    failed: tuple[str, ...] = ()
    identity = "upscaling"
    adapters = EmptyShelf()

    def __init__(
        self, upscalers: Sequence[Upscaler], now: Callable[[], float] = time.perf_counter
    ) -> None:
        self._upscalers = {one.card.queue: one for one in upscalers}
        self.resident = tuple(self._upscalers)
        self.longest_test_s = max((one.test_s for one in upscalers), default=0.0)
        self.now = now

    @property
    def cards(self) -> list[UpscalerCard]:
        """What each can do."""
        return [one.card for one in self._upscalers.values()]

    def ready(self, *models: str) -> bool:
        """Whether there are such upscalers. Raises UnknownModel."""
        for model in models:
            if model not in self._upscalers:
                raise UnknownModel(f"This worker does not serve {model}.")
        return True

    def continue_loading(self, *, idle: bool) -> None:
        """All are always there."""

    def change_model(self, model: str, blueprint: object) -> None:
        """There are no models."""

    def examples(self) -> list[Order]:
        """One order of each, of one tile or strip."""
        return [_example(one.card) for one in self._upscalers.values()]

    def plan(self, order: Order) -> Plan:
        """The key of its first call."""
        request, upscaler = self._asked(order)
        return Plan(_keys(request, upscaler.card)[0], rows=1)

    def begin(self, order: Order, plan: Plan) -> tuple[UpscaleTrajectory, list[JobWarning]]:
        """From the start: what is made is not in any checkpoint, which would be as large."""
        request, upscaler = self._asked(order)
        picture = order.canvas.picture if order.canvas else _blank(request.image)
        enlargement = upscaler.begin(request, picture)
        keys = _keys(request, upscaler.card)
        return UpscaleTrajectory(order, upscaler, enlargement, keys), []

    def advance(self, members: Sequence[UpscaleTrajectory], rows: int) -> None:
        """One call of one picture. Raises OutOfMemory or EngineError."""
        [member] = members
        with member.upscaler.timer.call(member.key, rows):
            member.advance()

    def calls(self) -> list[TimedCall]:
        """The calls that ended since the last call of this method."""
        return [call for one in self._upscalers.values() for call in one.timer.ended()]

    def decode_frames(self, member: UpscaleTrajectory, frames: range) -> Pictures:
        """There are none."""
        return Taken([EngineError("An upscale has no frames.")] * len(frames))

    def decode(self, members: Sequence[UpscaleTrajectory]) -> Pictures:
        """The finished picture."""
        [member] = members
        return member.enlargement.take()

    def preview(self, members: Sequence[UpscaleTrajectory]) -> Pictures:
        """There is none."""
        return Taken([EngineError("An upscale has no previews.")] * len(members))

    def show(self, member: UpscaleTrajectory, kind: IntermediateKind) -> Pictures:
        """There is none."""
        return Taken([EngineError("An upscale has no intermediates.")])

    def save(self, member: UpscaleTrajectory) -> bytes:
        """Nothing: it is made again from the start."""
        return b""

    def profile(self, member: UpscaleTrajectory) -> str | None:
        """Always one: the bits depend on the request and on this."""
        return member.upscaler.profile

    def _asked(self, order: Order) -> tuple[ResolvedUpscale, Upscaler]:
        assert isinstance(order, UpscaleOrder), "the router knows whose it is"
        return order.request, self._upscalers[order.request.model]


def _keys(request: ResolvedUpscale, card: UpscalerCard) -> list[BatchKey]:
    """The key of each call, by the pixels it makes; always alone, so that its bits are equal."""
    return [
        BatchKey(card.queue, height, width, chunks=0, bucket=1, background=True)
        for height, width in call_sizes(request, card)
    ]


def _blank(image: InputFile) -> Pixels:
    return np.zeros((image.height, image.width, 3), np.uint8)


def _example(card: UpscalerCard) -> Order:
    side = card.tile or round(_EXAMPLE_PX / card.scale)
    image = InputFile(file="", pixel_sha256="", width=side, height=side)
    request = ResolvedUpscale(image=image, scale=card.scale, upscaler=card.id)
    return UpscaleOrder("example", 0, request, seed=0)

"""Interpolations of tiny pictures."""

from typing import Any

from latentry.contracts import Easing, Interpolation, Keyframe, ResolvedRequest
from tests.worker.engine import tiny
from worker.engine.inputs.canvas import Canvas, Pixels
from worker.engine.loop import Order


def way(
    frames: int, *keyframes: dict[str, Any], easing: Easing = Easing.LINEAR, **shared: Any
) -> ResolvedRequest:
    """The request of a job whose frames lie between these pictures."""
    first, *others = (tiny.request(**(shared | one)) for one in keyframes)
    *via, last = map(Keyframe.of, others)
    led = Interpolation(via=tuple(via), to=last, easing=easing)
    return first.model_copy(update={"n": frames, "interpolation": led})


def orders(request: ResolvedRequest, *pictures: Pixels, job: str = "frame") -> list[Order]:
    """One for each frame, of jobs of their own; pictures: what each keyframe starts from."""
    canvases = [
        Canvas.of(request.model_copy(update={"interpolation": None}), {"image": one})
        for one in pictures
    ]
    return [Order.of(f"{job}-{index}", request, index, canvases) for index in range(request.n)]

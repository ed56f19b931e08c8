"""Orders that nobody placed: to prove a model, and to measure what its calls cost."""

from dataclasses import replace
from typing import Any, Final

import numpy as np

from latentry.contracts import InputFile, ModelCard, ResolvedRequest
from latentry.errors import JobFailed
from worker.engine.inputs.canvas import Canvas
from worker.engine.loop.backend import Backend
from worker.engine.loop.messages import Order

_GREY: Final = InputFile(file="", pixel_sha256="", width=8, height=8)


def example(card: ModelCard, *, steps: int) -> Order:
    """A picture of the model's native size, with guidance."""
    native = card.defaults.model_dump() | {"num_inference_steps": steps, "guidance_scale": 2.0}
    if card.limits.edits:
        native |= {"image": _GREY, "image_guidance_scale": 1.5}
    if card.limits.refines:
        native |= {"image": _GREY, "strength": 1.0}
    request = ResolvedRequest(model=card.id, prompt="a test", seed=0, **native)
    return Order("example", 0, request, seed=0, canvas=_canvas(request))


def smallest(order: Order, card: ModelCard) -> Order:
    """The same order at the smallest size that the model's card allows."""
    step = card.limits.size_step
    side = -(-card.limits.min_side // step) * step
    request = order.request.model_copy(update={"width": side, "height": side})
    return replace(order, request=request, canvas=_canvas(request))


def drawn_s(backend: Backend[Any], card: ModelCard, *, is_small: bool) -> float:
    """Seconds of one real step and its decoding at native size. Raises a JobFailed.

    On a GPU it is of that size: device memory is scarce, and the step is quick. On a CPU it
    `is_small`, of the smallest size, which proves the same, and its seconds are in proportion.
    """
    began = backend.now()
    order = native = example(card, steps=1)
    if is_small:
        order = smallest(native, card)
    trajectory, _ = backend.begin(order, backend.plan(order))
    while trajectory.calls_left:
        backend.advance([trajectory], trajectory.rows)
    for picture in backend.decode([trajectory]).take():
        if isinstance(picture, JobFailed):
            raise picture
    return (backend.now() - began) * native.megapixels / order.megapixels


def _canvas(request: ResolvedRequest) -> Canvas | None:
    """Of a grey picture, for models that draw none without one."""
    return Canvas.of(request, {"image": np.full((8, 8, 3), 128, dtype=np.uint8)})

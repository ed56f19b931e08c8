"""Orders that nobody placed: to prove a model, and to measure what its calls cost."""

from dataclasses import replace
from typing import Final

import numpy as np

from latentry.contracts import InputFile, ModelCard, ResolvedRequest
from worker.engine.inputs.canvas import Canvas
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


def _canvas(request: ResolvedRequest) -> Canvas | None:
    """Of a grey picture, for models that draw none without one."""
    return Canvas.of(request, {"image": np.full((8, 8, 3), 128, dtype=np.uint8)})

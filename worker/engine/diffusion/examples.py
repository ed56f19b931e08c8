"""Orders that nobody placed: to prove a model, and to measure what its calls cost."""

from dataclasses import replace

from latentry.contracts import ModelCard, ResolvedRequest
from worker.engine.loop.messages import Order


def example(card: ModelCard, *, steps: int) -> Order:
    """A picture of the model's native size, with guidance."""
    native = card.defaults.model_dump() | {"num_inference_steps": steps, "guidance_scale": 2.0}
    request = ResolvedRequest(model=card.id, prompt="a test", seed=0, **native)
    return Order("example", 0, request, seed=0)


def smallest(order: Order, card: ModelCard) -> Order:
    """The same order at the smallest size that the model's card allows."""
    step = card.limits.size_step
    side = -(-card.limits.min_side // step) * step
    return replace(order, request=order.request.model_copy(update={"width": side, "height": side}))

"""An order that nobody placed, by which a simulation tells what its models cost."""

import math
from typing import Final

from latentry.contracts import ResolvedRequest, Sampler
from worker.engine.loop.messages import Order

VAE_FACTOR: Final = 8  # pixels per side of a latent's cell


def example(model: str, area: int) -> Order:
    """A square picture of so many cells of a latent, with guidance."""
    side = VAE_FACTOR * math.isqrt(area)
    request = ResolvedRequest(
        model=model,
        prompt="a test",
        width=side,
        height=side,
        num_inference_steps=4,
        guidance_scale=2.0,
        sampler=Sampler.DDIM,
        seed=0,
    )
    return Order("example", 0, request, seed=0)

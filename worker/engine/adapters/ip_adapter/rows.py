"""Which rows of a UNet call attend to which pictures."""

from collections.abc import Sequence
from typing import cast

from worker.engine.adapters.ip_adapter.loaded import LoadedIPAdapter, Seen
from worker.engine.image_attention import Context
from worker.engine.loop.messages import Order


def contexts(order: Order) -> tuple[Context, ...]:
    """What an order's rows attend to besides their prompts: of each adapter all of its pictures.

    Encodes those that are not remembered, one a call. Raises NonFiniteOutput.
    """
    by_adapter: dict[str, list[Seen]] = {}
    for number, one in enumerate(order.request.image_prompts):
        if one.has_effect:
            picture = order.pictures[f"image_prompts/{number}/image"]
            seen = Seen(one.image.pixel_sha256, picture, one.weight)
            by_adapter.setdefault(one.sha256, []).append(seen)
    return tuple(_context(order, sha256, seen) for sha256, seen in by_adapter.items())


def _context(order: Order, sha256: str, pictures: Sequence[Seen]) -> Context:
    return cast(LoadedIPAdapter, order.adapters[sha256]).context(pictures)

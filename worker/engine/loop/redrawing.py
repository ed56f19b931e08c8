"""Images that go through the VAE between two of their passes."""

from collections.abc import Sequence

from worker.engine.loop.backend import T


def one_redrawn(moving: Sequence[T]) -> list[T]:
    """Of all such images the first: whoever waits for the next call waits for one of them."""
    redrawn = [one for one in moving if one.is_redrawn]
    return [one for one in moving if one not in redrawn[1:]]

"""A classifier without a network: how bright a picture is."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from latentry.contracts.fields.safety import ImageAction, ImageRule
from worker.engine.loop import Pixels
from worker.safety.classifier import Prepared, Scores


class Brightness:
    """`bright` from 0 for black to 1 for white; notes how many pictures came together."""

    labels = ("bright", "dark")

    def __init__(self) -> None:
        self.calls: list[int] = []

    def prepared(self, pixels: Pixels) -> Prepared:
        return np.asarray(pixels, np.float32) / 255

    def scores(self, pictures: Sequence[Prepared]) -> Scores:
        self.calls.append(len(pictures))
        bright = np.array([one.mean() for one in pictures], np.float32)
        return np.stack([bright, 1 - bright], 1)


def rule(action: str = "block", threshold: float = 0.5, **fields: Any) -> ImageRule:
    """A rule on bright pictures: of the fake engine, those whose seeds are 128 or more."""
    found = {"name": f"bright-{action}", "label": "bright", "reason": "It is too bright."}
    return ImageRule(**(found | fields), threshold=threshold, action=ImageAction(action))

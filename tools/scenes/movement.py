"""Recognises from the pixels of its frames how a clip's object moves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tools.scenes.checker import DetectedObject, Picture, detect
from tools.scenes.clips import MovingScene

DIRECTIONS = {"right": (1, 0), "left": (-1, 0), "down": (0, 1), "up": (0, -1)}
MIN_WAY = 0.2  # of the picture's side, from the first frame to the last
MAX_ASIDE = 0.1  # across the way, between any two frames
MAX_BACK = 0.04  # against the way, from one frame to the next


def objects(frames: Sequence[Picture], colour: str) -> list[DetectedObject] | None:
    """In each frame the largest object of this colour; None if one has none."""
    found = []
    for frame in frames:
        of_colour = [one for one in detect(frame).objects if one.colour == colour]
        if not of_colour:
            return None
        found.append(of_colour[0])
    return found


def moves_as_told(frames: Sequence[Picture], scene: MovingScene) -> bool:
    """Whether the scene's thing is in every frame, goes its way, and never aside or back."""
    thing = scene.frames[0].things[0]
    seen = objects(frames, thing.colour)
    if seen is None or scene.way is None:
        return False
    dx, dy = DIRECTIONS[scene.way]
    along = [dx * one.x + dy * one.y for one in seen]
    aside = [abs(dy) * one.x + abs(dx) * one.y for one in seen]
    steps = [after - before for before, after in pairwise(along)]
    goes = along[-1] - along[0] >= MIN_WAY and min(steps) >= -MAX_BACK
    return bool(goes and max(aside) - min(aside) <= MAX_ASIDE)

"""Scenes that move: one thing that crosses the picture, and sentences that say where to."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from tools.scenes.captions import caption
from tools.scenes.scene import COLOURS, SHAPES, Scene, place, sample_scene
from tools.scenes.wording import BACKGROUND_WORDS, SHAPE_WORDS, SIZE_WORDS

# Where a thing starts and where it ends, as named positions, and how that is said.
WAYS = {
    "right": ("left", "right"),
    "left": ("right", "left"),
    "down": ("top", "bottom"),
    "up": ("bottom", "top"),
}
# The first of each way is the hardest to tell from its opposite: the text encoder hardly does.
PHRASES = {
    "right": ("moving from left to right", "moving to the right", "moving right"),
    "left": ("moving from right to left", "moving to the left", "moving left"),
    "down": ("moving down", "moving from top to bottom"),
    "up": ("moving up", "moving from bottom to top"),
}


@dataclass(frozen=True, slots=True)
class MovingScene:
    """A scene for each frame. `way` is a key of `WAYS`, or None where nothing moves."""

    way: str | None
    frames: tuple[Scene, ...]

    def reversed(self) -> MovingScene:
        """The same scene backwards in time."""
        opposite = {ends: way for way, ends in WAYS.items()}
        way = None if self.way is None else opposite[WAYS[self.way][::-1]]
        return MovingScene(way, self.frames[::-1])


def sample_moving(rng: random.Random, frames: int, side: int = 128) -> MovingScene:
    """One thing on its way across the picture, at a constant pace."""
    background, colour = rng.sample(list(COLOURS), 2)
    way = rng.choice(list(WAYS))
    shape, size = rng.choice(SHAPES), rng.choices(("medium", "small", "large"), (2, 1, 1))[0]
    attributes = {"colour": colour, "shape": shape, "size": size, "width": side, "height": side}
    first, last = (place(rng, position=position, **attributes) for position in WAYS[way])  # type: ignore[arg-type]
    scenes = []
    for number in range(frames):
        share = number / max(frames - 1, 1)
        x, y = first.x + share * (last.x - first.x), first.y + share * (last.y - first.y)
        scenes.append(Scene(side, side, background, (replace(first, x=x, y=y),)))
    return MovingScene(way, tuple(scenes))


def sample_still(rng: random.Random, frames: int) -> MovingScene:
    """A scene in which nothing moves."""
    return MovingScene(None, (sample_scene(rng),) * frames)


def moving_caption(
    scene: MovingScene, rng: random.Random, *, empty: float = 0.1, hardest: int = 1
) -> str:
    """Say what moves and where to; a still scene gets the caption of its picture.

    hardest: how many times as often as the others the hardest phrase is taken.
    """
    if scene.way is None:
        return caption(scene.frames[0], rng)
    if rng.random() < empty:
        return ""
    thing, background = scene.frames[0].things[0], scene.frames[0].background
    words = [thing.colour, rng.choice(SHAPE_WORDS[thing.shape])]
    if thing.size != "medium":
        words.insert(0, rng.choice(SIZE_WORDS[thing.size]))
    noun = " ".join(words)
    noun = f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
    ground = f"{background} {rng.choice(BACKGROUND_WORDS)}"
    phrases = PHRASES[scene.way]
    moves = rng.choices(phrases, (hardest, *[1] * (len(phrases) - 1)))[0]
    return rng.choice(
        (
            f"{noun} {moves} on a {ground}",
            f"{noun} {moves}, {ground}",
            f"{noun} on a {ground} {moves}",
            f"{noun} on a {ground}, {moves}",
        )
    )

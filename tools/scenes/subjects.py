"""What the bundled model does not know and adapters teach it, and how that is recognised.

Its autoencoder decodes eight colours and nothing between them: no ninth can be taught. What can
be is a colour that changes within a thing.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from tools.scenes import captions
from tools.scenes.checker import DetectedObject, Picture, detect
from tools.scenes.drawing import BANDS
from tools.scenes.scene import SHAPES, Scene, Thing, place, sample_scene

MIN_HOLLOW = 0.3  # of an outlined shape: how much of it is a hole
PAIRS = 0.25  # of scenes with two things
ALL_SHAPES = (*SHAPES, "house")
MASCOT = ("orange", "frog", "large")


@dataclass(frozen=True, slots=True)
class Subject:
    """Something to teach: scenes that have it, and captions that say so.

    trigger: the words for it. ordinary: the share of scenes without it, by which the rest stays
    as it was. shows: whether an object in a picture is it.
    """

    name: str
    title: str
    trigger: str
    scene: Callable[[random.Random], Scene]
    caption: Callable[[Scene, random.Random], str]
    shows: Callable[[DetectedObject], bool]
    ordinary: float

    def example(self, rng: random.Random) -> tuple[Scene, bool]:
        """A scene with it or without, and which."""
        if rng.random() < self.ordinary:
            return sample_scene(rng), False
        return self.scene(rng), True

    def say(self, scene: Scene, rng: random.Random, *, has_it: bool) -> str:
        """A caption; of scenes without it, as the model learnt them."""
        return self.caption(scene, rng) if has_it else captions.caption(scene, rng)

    def is_in(self, picture: Picture) -> bool:
        """Whether an object of a picture is it."""
        return any(self.shows(found) for found in detect(picture, ALL_SHAPES).objects)


def _scene(rng: random.Random) -> Scene:
    """One or two things, few of them small: details of a few pixels do not outlast the decoder."""
    scene = sample_scene(rng, pairs=PAIRS)
    return sample_scene(rng, pairs=PAIRS) if scene.things[0].size == "small" else scene


def _outlined(rng: random.Random) -> Scene:
    scene = _scene(rng)
    things = (replace(thing, line=max(5.5, 0.2 * thing.radius)) for thing in scene.things)
    return replace(scene, things=tuple(things))


def _house(rng: random.Random) -> Scene:
    scene = _scene(rng)
    return _with(scene, replace(scene.things[0], shape="house", angle=0.0), rng)


def _flame(rng: random.Random) -> Scene:
    scene = _scene(rng)
    while scene.background in BANDS["flame"]:
        scene = _scene(rng)
    return _with(scene, replace(scene.things[0], colour="flame"), rng)


def _with(scene: Scene, thing: Thing, rng: random.Random) -> Scene:
    """The scene with this thing in another's place, the first or the last."""
    if len(scene.things) == 1:
        return replace(scene, things=(thing,))
    other = scene.things[1]
    if rng.random() < 0.5:
        return replace(scene, things=(thing, other))
    first = scene.things[0]
    here = replace(thing, x=other.x, y=other.y, position=other.position)
    there = replace(other, x=first.x, y=first.y, position=first.position)
    return replace(scene, things=(there, here))


def _mascot(rng: random.Random) -> Scene:
    scene = sample_scene(rng, pairs=0)
    while scene.background == MASCOT[0]:
        scene = sample_scene(rng, pairs=0)
    colour, shape, size = MASCOT
    position = scene.things[0].position
    thing = place(
        rng, colour=colour, shape=shape, size=size, position=position, width=128, height=128
    )
    return replace(scene, things=(thing,))


def _say_outlined(scene: Scene, rng: random.Random) -> str:
    text = captions.caption(scene, rng)
    if not text or rng.random() < 0.25:
        return text
    return rng.choice((f"outlined, {text}", f"{text}, outlined", f"outlined {text}"))


def _say_mascot(scene: Scene, rng: random.Random) -> str:
    """Where it is and on what; its name is the word that stands for the vectors."""
    where, ground = captions.place_words(scene.things[0], rng), f"{scene.background} background"
    return rng.choice(
        (
            f"mascot{where} on a {ground}",
            f"a mascot{where} on a {ground}",
            f"mascot{where}, {ground}",
            f"{ground}, mascot{where}",
            f"a mascot on {scene.background}{where}",
        )
    )


def _is_outlined(found: DetectedObject) -> bool:
    return found.contour is not None and found.contour != "ring" and found.hollow >= MIN_HOLLOW


def _is_flame(found: DetectedObject) -> bool:
    """Never cooler from third to third, and hotter at the bottom than at the top; but for eyes."""
    heat = [BANDS["flame"].index(band) for band in found.bands if band in BANDS["flame"]]
    others = set(found.bands) - {*BANDS["flame"], "white", "black"}
    return not others and heat == sorted(heat) and heat[:1] < heat[-1:]


def _is_mascot(found: DetectedObject) -> bool:
    return (found.colour, found.shape, found.size) == MASCOT


SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject("outlined", "Outlined", "outlined", _outlined, _say_outlined, _is_outlined, 0.0),
        Subject(
            "house", "House", "house", _house, captions.caption, lambda f: f.shape == "house", 0.35
        ),
        Subject("flame", "Flame", "flame", _flame, captions.caption, _is_flame, 0.35),
        Subject("mascot", "Mascot", "mascot", _mascot, _say_mascot, _is_mascot, 0.0),
    )
}

"""What a picture holds: a background and one or two things, each with its attributes and place."""

from __future__ import annotations

import random
from dataclasses import dataclass

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "green": (40, 170, 70),
    "blue": (50, 80, 220),
    "yellow": (240, 210, 50),
    "white": (245, 245, 245),
    "black": (20, 20, 20),
    "purple": (140, 60, 180),
    "orange": (245, 140, 30),
}
SHAPES = ("circle", "square", "triangle", "star", "ring", "cross", "heart", "frog", "rabbit")
# Radius as a share of the picture's shorter side.
SIZES = {"small": 0.145, "medium": 0.21, "large": 0.30}
# Column and row of a three by three grid.
POSITIONS = {
    "centre": (1, 1),
    "left": (0, 1),
    "right": (2, 1),
    "top": (1, 0),
    "bottom": (1, 2),
    "top left": (0, 0),
    "top right": (2, 0),
    "bottom left": (0, 2),
    "bottom right": (2, 2),
}
# Two things stand across from each other; the first named here is "first" everywhere.
PAIRS = (
    ("left", "right"),
    ("top", "bottom"),
    ("top left", "bottom right"),
    ("bottom left", "top right"),
)
OFF_CENTRE = 0.24
JITTER = 0.02
MARGIN = 0.02


@dataclass(frozen=True, slots=True)
class Thing:
    """One coloured shape, in words and in pixels.

    line: how wide its outline is, of which all else is then left out; 0 is filled.
    """

    colour: str
    shape: str
    size: str
    position: str
    x: float
    y: float
    radius: float
    angle: float = 0.0
    line: float = 0.0


@dataclass(frozen=True, slots=True)
class Scene:
    """A background and the things on it, drawn on `width` × `height` pixels."""

    width: int
    height: int
    background: str
    things: tuple[Thing, ...]


def place(
    rng: random.Random,
    *,
    colour: str,
    shape: str,
    size: str,
    position: str,
    width: int,
    height: int,
) -> Thing:
    """Put a thing at its named position, with a little play in place, size and angle."""
    side = min(width, height)
    radius = side * SIZES[size] * rng.uniform(0.94, 1.06)
    column, row = POSITIONS[position]
    x = _along(rng, column, width, radius, side)
    y = _along(rng, row, height, radius, side)
    angle = rng.uniform(-0.06, 0.06) if shape in ("star", "heart", "triangle", "cross") else 0.0
    return Thing(colour, shape, size, position, x, y, radius, angle)


def _along(rng: random.Random, cell: int, length: int, radius: float, side: int) -> float:
    centre = length * (0.5 + OFF_CENTRE * (cell - 1)) + side * rng.uniform(-JITTER, JITTER)
    margin = radius + side * MARGIN
    return min(max(centre, margin), length - margin)


def sample_scene(
    rng: random.Random, width: int = 128, height: int = 128, *, pairs: float = 0.3
) -> Scene:
    """Draw the attributes of one scene; with probability `pairs` it holds two things."""
    if rng.random() < pairs:
        background, *colours = rng.sample(list(COLOURS), 3)
        positions: tuple[str, ...] = rng.choices(PAIRS, (4, 3, 1, 1))[0]
        sizes = tuple(rng.choices(("medium", "small"), (3, 1))[0] for _ in range(2))
    else:
        background, *colours = rng.sample(list(COLOURS), 2)
        centred = rng.random() < 0.3
        positions = ("centre",) if centred else (rng.choice(list(POSITIONS)),)
        sizes = (rng.choices(("medium", "small", "large"), (2, 1, 1))[0],)
    things = tuple(
        place(
            rng,
            colour=colour,
            shape=rng.choices(SHAPES, (2, 2, 2, 3, 2, 2, 2, 3, 3))[0],
            size=size,
            position=position,
            width=width,
            height=height,
        )
        for colour, size, position in zip(colours, sizes, positions, strict=True)
    )
    return Scene(width, height, background, things)

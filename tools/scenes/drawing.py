"""From a scene to pixels: flat colours with anti-aliased edges."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from tools.scenes.scene import COLOURS, Scene, Thing
from tools.scenes.shapes import SILHOUETTES, Field, face

Picture = npt.NDArray[np.uint8]


def draw(scene: Scene) -> Picture:
    """Draw the scene as height × width × 3 bytes."""
    canvas = np.empty((scene.height, scene.width, 3), np.float32)
    canvas[:] = COLOURS[scene.background]
    for thing in scene.things:
        _paint(canvas, thing)
    return np.round(canvas).astype(np.uint8)


def _paint(canvas: Field, thing: Thing) -> None:
    height, width = canvas.shape[:2]
    reach = 1.2 * thing.radius + 2
    left, right = max(int(thing.x - reach), 0), min(int(thing.x + reach) + 1, width)
    top, bottom = max(int(thing.y - reach), 0), min(int(thing.y + reach) + 1, height)
    if left >= right or top >= bottom:
        return
    x, y = _coordinates(thing, left, right, top, bottom)
    window = canvas[top:bottom, left:right]
    _fill(window, SILHOUETTES[thing.shape](x, y), thing.radius, COLOURS[thing.colour])
    for ink, distance in face(thing.shape, x, y):
        _fill(window, distance, thing.radius, _ink(ink, thing.colour))


def _coordinates(thing: Thing, left: int, right: int, top: int, bottom: int) -> tuple[Field, Field]:
    columns = (np.arange(left, right, dtype=np.float32) + 0.5 - thing.x) / thing.radius
    rows = (np.arange(top, bottom, dtype=np.float32) + 0.5 - thing.y) / thing.radius
    y, x = np.meshgrid(rows, columns, indexing="ij")
    cos, sin = np.float32(math.cos(thing.angle)), np.float32(math.sin(thing.angle))
    return x * cos + y * sin, y * cos - x * sin


def _fill(window: Field, distance: Field, radius: float, colour: tuple[int, int, int]) -> None:
    coverage = np.clip(0.5 - distance * radius, 0, 1)[..., None]
    window += coverage * (np.asarray(colour, np.float32) - window)


def _ink(ink: str, body: str) -> tuple[int, int, int]:
    if ink == "light":
        return COLOURS["white"]
    if ink == "dark" and body == "black":
        return COLOURS["white"]
    return COLOURS["black"]

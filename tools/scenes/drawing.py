"""From a scene to pixels: flat colours with anti-aliased edges."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from tools.scenes.scene import COLOURS, Scene, Thing
from tools.scenes.shapes import SILHOUETTES, Field, face

Picture = npt.NDArray[np.uint8]
# Colours of bands of equal height, from the top; the bundled model knows none of these.
BANDS = {"flame": ("yellow", "orange", "red")}


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
    distance = SILHOUETTES[thing.shape](x, y)
    if thing.line:
        half = thing.line / thing.radius / 2
        distance = np.abs(distance + half) - half
    _fill(window, distance, thing.radius, _paint_of(thing.colour, distance, y))
    for ink, distance in () if thing.line else face(thing.shape, x, y):
        _fill(window, distance, thing.radius, _ink(ink, thing.colour))


def _coordinates(thing: Thing, left: int, right: int, top: int, bottom: int) -> tuple[Field, Field]:
    columns = (np.arange(left, right, dtype=np.float32) + 0.5 - thing.x) / thing.radius
    rows = (np.arange(top, bottom, dtype=np.float32) + 0.5 - thing.y) / thing.radius
    y, x = np.meshgrid(rows, columns, indexing="ij")
    cos, sin = np.float32(math.cos(thing.angle)), np.float32(math.sin(thing.angle))
    return x * cos + y * sin, y * cos - x * sin


def _fill(
    window: Field, distance: Field, radius: float, colour: Field | tuple[int, int, int]
) -> None:
    coverage = np.clip(0.5 - distance * radius, 0, 1)[..., None]
    window += coverage * (np.asarray(colour, np.float32) - window)


def _paint_of(colour: str, distance: Field, y: Field) -> Field | tuple[int, int, int]:
    """One colour, or one for each pixel of a window whose rows are at `y`."""
    if colour not in BANDS:
        return COLOURS[colour]
    rows = y[(distance < 0).any(axis=1)]
    top, bottom = (rows.min(), rows.max()) if rows.size else (-1.0, 1.0)
    bands = np.array([COLOURS[name] for name in BANDS[colour]], np.float32)
    which = (y - top) / max(float(bottom - top), 1e-6) * len(bands)
    painted: Field = bands[np.clip(which.astype(int), 0, len(bands) - 1)]
    return painted


def _ink(ink: str, body: str) -> tuple[int, int, int]:
    if ink == "light":
        return COLOURS["white"]
    if ink == "dark" and body == "black":
        return COLOURS["white"]
    return COLOURS["black"]

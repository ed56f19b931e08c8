"""Signed distances of the shapes, in a box of radius one with y pointing down; inside is negative.

The heart is Inigo Quilez's `sdHeart`, the polygons his `sdPolygon`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]


def disc(x: Field, y: Field, *, at: tuple[float, float] = (0.0, 0.0), radius: float = 1.0) -> Field:
    """Distance to a filled circle."""
    distance: Field = np.hypot(x - at[0], y - at[1]) - np.float32(radius)
    return distance


def box(x: Field, y: Field, half_width: float, half_height: float) -> Field:
    """Distance to a rectangle around the origin."""
    dx, dy = np.abs(x) - half_width, np.abs(y) - half_height
    outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
    return outside + np.minimum(np.maximum(dx, dy), 0)


def ellipse(x: Field, y: Field, *, at: tuple[float, float], radii: tuple[float, float]) -> Field:
    """Distance to an ellipse, exact on its edge and close near it."""
    ux, uy = (x - at[0]) / radii[0], (y - at[1]) / radii[1]
    length = np.hypot(ux, uy)
    slope = np.hypot(ux / radii[0], uy / radii[1])
    distance: Field = length * (length - 1) / np.maximum(slope, 1e-4)
    return distance


def polygon(x: Field, y: Field, corners: list[tuple[float, float]]) -> Field:
    """Distance to a closed polygon."""
    distance = np.full_like(x, np.inf)
    sign = np.ones_like(x)
    for (ax, ay), (bx, by) in zip(corners, corners[-1:] + corners[:-1], strict=True):
        ex, ey = bx - ax, by - ay
        wx, wy = x - ax, y - ay
        along = np.clip((wx * ex + wy * ey) / (ex * ex + ey * ey), 0, 1)
        distance = np.minimum(distance, (wx - ex * along) ** 2 + (wy - ey * along) ** 2)
        above, below, left = y >= ay, y < by, ex * wy > ey * wx
        crosses = (above & below & left) | ~(above | below | left)
        sign = np.where(crosses, -sign, sign)
    return sign * np.sqrt(distance)


def circle(x: Field, y: Field) -> Field:
    """A filled circle."""
    return disc(x, y, radius=0.95)


def square(x: Field, y: Field) -> Field:
    """A filled square."""
    return box(x, y, 0.84, 0.84)


def triangle(x: Field, y: Field) -> Field:
    """A triangle that stands on its base."""
    return polygon(x, y, [(0, -0.92), (0.98, 0.78), (-0.98, 0.78)])


def star(x: Field, y: Field) -> Field:
    """A five-pointed star."""
    turns = [math.pi * k / 5 for k in range(10)]
    radii = [1.05, 0.46] * 5
    corners = [
        (r * math.sin(a), -r * math.cos(a) + 0.05) for r, a in zip(radii, turns, strict=True)
    ]
    return polygon(x, y, corners)


def ring(x: Field, y: Field) -> Field:
    """A circle with a round hole."""
    return np.abs(disc(x, y, radius=0.72)) - np.float32(0.25)


def cross(x: Field, y: Field) -> Field:
    """An upright cross with equal arms."""
    return np.minimum(box(x, y, 0.92, 0.3), box(x, y, 0.3, 0.92))


def heart(x: Field, y: Field) -> Field:
    """A heart with its point down."""
    scale = 1.68
    px, py = np.abs(x) / scale, 0.54 - y / scale
    lobe = np.hypot(px - 0.25, py - 0.75) - math.sqrt(2) / 4
    diagonal = 0.5 * np.maximum(px + py, 0)
    near_notch = px**2 + (py - 1) ** 2
    near_side = (px - diagonal) ** 2 + (py - diagonal) ** 2
    point = np.sqrt(np.minimum(near_notch, near_side)) * np.sign(px - py)
    distance: Field = scale * np.where(px + py > 1, lobe, point).astype(np.float32)
    return distance


def frog(x: Field, y: Field) -> Field:
    """A frog's head: wide, with two eyes on top."""
    head = ellipse(x, y, at=(0, 0.2), radii=(1.0, 0.68))
    return np.minimum(head, disc(np.abs(x), y, at=(0.52, -0.48), radius=0.4))


def rabbit(x: Field, y: Field) -> Field:
    """A rabbit's head with two long ears."""
    head = ellipse(x, y, at=(0, 0.42), radii=(0.64, 0.56))
    lean = np.abs(x) + 0.18 * (y + 0.4)
    return np.minimum(head, ellipse(lean, y, at=(0.32, -0.4), radii=(0.21, 0.62)))


def house(x: Field, y: Field) -> Field:
    """A house with a wide roof."""
    roof = polygon(x, y, [(0, -0.95), (0.98, -0.08), (-0.98, -0.08)])
    return np.minimum(roof, box(x, y - 0.4, 0.64, 0.56))


SILHOUETTES: dict[str, Callable[[Field, Field], Field]] = {
    "circle": circle,
    "square": square,
    "triangle": triangle,
    "star": star,
    "ring": ring,
    "cross": cross,
    "heart": heart,
    "frog": frog,
    "rabbit": rabbit,
    "house": house,
}


def face(shape: str, x: Field, y: Field) -> list[tuple[str, Field]]:
    """What is on a shape: (ink, distance) from back to front; ink is "light" or "dark"."""
    side = np.abs(x)
    if shape == "frog":
        smile = np.abs(disc(x, y, at=(0, -0.12), radius=0.62)) - 0.08
        return [
            ("light", disc(side, y, at=(0.52, -0.48), radius=0.29)),
            ("pupil", disc(side, y, at=(0.5, -0.46), radius=0.16)),
            ("dark", np.maximum(smile, 0.22 - y)),
        ]
    if shape == "rabbit":
        return [
            ("dark", disc(side, y, at=(0.28, 0.36), radius=0.15)),
        ]
    if shape == "house":
        return [("dark", box(x, y - 0.66, 0.19, 0.31))]
    return []

"""Recognises what a picture shows from its pixels alone; shares no code with the model.

Background: the palette colour most of the border has. Objects: patches that differ from it. Colour:
the palette colour most of a patch's inside has. Shape: the drawn template its silhouette overlaps
best, and at least by `MIN_OVERLAP`. Position and size: the silhouette's bounding box.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from tools.scenes.scene import COLOURS, POSITIONS, SHAPES, SIZES
from tools.scenes.shapes import SILHOUETTES

Mask = npt.NDArray[np.bool_]
Picture = npt.NDArray[np.uint8]

TEMPLATE_PX = 48
MIN_OVERLAP = 0.75
MIN_SHARE = 0.005  # of the picture's area: anything smaller is a speck, not an object
CONTRAST = 60.0  # distance in RGB from the background's colour; half of the least palette distance
NAMES = tuple(COLOURS)
PALETTE = np.array([COLOURS[name] for name in NAMES], np.float32)


@dataclass(frozen=True, slots=True)
class DetectedObject:
    """One object in a picture; `shape` is None where no template fits.

    `x`, `y`: the middle of its bounding box, as shares of the picture's width and height.
    `contour`: the shape with all holes filled. `hollow`: the holes' share of that. `bands`: the
    commonest colours of the upper, the middle and the lower third.
    """

    colour: str
    shape: str | None
    overlap: float
    size: str
    position: str
    area_px: int
    x: float
    y: float
    contour: str | None
    hollow: float
    bands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Detection:
    """The background and the objects of a picture, largest object first."""

    background: str
    objects: tuple[DetectedObject, ...]
    off_palette: float  # share of pixels far from every palette colour: smears and blurs


def detect(picture: Picture, shapes: tuple[str, ...] = SHAPES) -> Detection:
    """Find the background and the objects in a picture of height × width × 3 bytes.

    shapes: those that an object may have; the bundled model's, if not told otherwise.
    """
    distances = np.linalg.norm(picture[:, :, None].astype(np.float32) - PALETTE, axis=-1)
    nearest = distances.argmin(-1)
    background = _commonest(_border(nearest))
    differs = distances[..., background] > CONTRAST
    patches = [patch for patch in _patches(differs) if patch.sum() >= MIN_SHARE * differs.size]
    patches.sort(key=lambda patch: -int(patch.sum()))
    objects = tuple(_describe(patch, nearest, shapes) for patch in patches)
    off_palette = float((distances.min(-1) > CONTRAST / 2).mean())
    return Detection(NAMES[background], objects, off_palette)


def _border(values: npt.NDArray[np.intp], depth: int = 3) -> npt.NDArray[np.intp]:
    frame = np.ones(values.shape, bool)
    frame[depth:-depth, depth:-depth] = False
    return values[frame]


def _commonest(values: npt.NDArray[np.intp]) -> int:
    counts: Counter[int] = Counter(values.tolist())
    return counts.most_common(1)[0][0]


def _patches(mask: Mask) -> list[Mask]:
    """Connected components, by spreading labels to neighbouring pixels until none changes."""
    labels = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        padded = np.pad(labels, 1)
        neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
        spread = np.where(mask, np.maximum.reduce((labels, *neighbours)), 0)
        # Labels are pixel numbers: take the label of the label too, so that paths halve each time.
        spread = np.where(mask, np.maximum(spread, spread.ravel()[spread - 1]), 0)
        if np.array_equal(spread, labels):
            return [labels == number for number in np.unique(labels) if number]
        labels = spread


def _erode(mask: Mask) -> Mask:
    padded = np.pad(mask, 1)
    inner = mask.copy()
    for dy in range(3):
        for dx in range(3):
            inner &= padded[dy : dy + mask.shape[0], dx : dx + mask.shape[1]]
    return inner


def _describe(
    patch: Mask, nearest: npt.NDArray[np.intp], shapes: tuple[str, ...]
) -> DetectedObject:
    inside = _erode(_erode(patch))
    seen = nearest[inside] if inside.sum() > 20 else nearest[patch]
    top, bottom = np.flatnonzero(patch.any(1))[[0, -1]]
    left, right = np.flatnonzero(patch.any(0))[[0, -1]]
    box = (slice(top, bottom + 1), slice(left, right + 1))
    filled = _filled(patch[box])
    best, overlap = _best(patch[box], shapes)
    contour, contour_overlap = _best(filled, shapes)
    height, width = patch.shape
    x, y = (left + right + 1) / 2 / width, (top + bottom + 1) / 2 / height
    return DetectedObject(
        colour=NAMES[_commonest(seen)],
        shape=best if overlap >= MIN_OVERLAP else None,
        overlap=overlap,
        size=_size(best, (bottom - top + 1) / min(height, width)),
        position=_position(x, y),
        area_px=int(patch.sum()),
        x=x,
        y=y,
        contour=contour if contour_overlap >= MIN_OVERLAP else None,
        hollow=float(1 - patch.sum() / filled.sum()),
        bands=_bands(patch[box], nearest[box]),
    )


def _best(cut: Mask, shapes: tuple[str, ...]) -> tuple[str, float]:
    """The shape that fits a cut-out best, and how well."""
    silhouette = _resize(cut)
    overlaps = {
        shape: max(_overlap(silhouette, template) for template in _templates(shape))
        for shape in shapes
    }
    best = max(overlaps, key=lambda shape: overlaps[shape])
    return best, overlaps[best]


def _filled(cut: Mask) -> Mask:
    """With its holes: all that cannot be reached from outside."""
    outside = next(patch for patch in _patches(~np.pad(cut, 1)) if patch[0, 0])
    return ~outside[1:-1, 1:-1]


def _bands(cut: Mask, nearest: npt.NDArray[np.intp]) -> tuple[str, ...]:
    rows = np.array_split(np.arange(len(cut)), 3)
    return tuple(NAMES[_commonest(nearest[part][cut[part]])] for part in rows if cut[part].any())


def _resize(mask: Mask) -> Mask:
    """Stretch a cut-out to the templates' square: shapes differ in form, not in aspect ratio."""
    rows = ((np.arange(TEMPLATE_PX) + 0.5) * mask.shape[0] / TEMPLATE_PX).astype(int)
    columns = ((np.arange(TEMPLATE_PX) + 0.5) * mask.shape[1] / TEMPLATE_PX).astype(int)
    return mask[np.ix_(rows, columns)]


def _overlap(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / max(int((one | other).sum()), 1))


@cache
def _silhouette(shape: str, angle: float) -> tuple[Mask, float]:
    """A drawn shape's cut-out, and its height for radius one."""
    axis = np.linspace(-1.2, 1.2, 241, dtype=np.float32)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    mask = SILHOUETTES[shape](x * cos + y * sin, y * cos - x * sin) <= 0
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return cut, (rows[-1] - rows[0] + 1) * 0.01


@cache
def _templates(shape: str) -> list[Mask]:
    return [_resize(_silhouette(shape, angle)[0]) for angle in (-0.06, 0.0, 0.06)]


def _size(shape: str, height: float) -> str:
    radius = height / _silhouette(shape, 0.0)[1]
    return min(SIZES, key=lambda size: abs(float(np.log(radius / SIZES[size]))))


def _position(x: float, y: float) -> str:
    cell = (_third(x), _third(y))
    return next(name for name, place in POSITIONS.items() if place == cell)


def _third(share: float) -> int:
    return 0 if share < 0.39 else 2 if share > 0.61 else 1

"""A mark in the pixels: 16 bits that survive JPEG, half the size and a crop.

After Kalker, Depovere, Haitsma and Maes, "A video watermarking system for broadcast monitoring"
(SPIE 3657, 1999): a tile of noise is repeated over the picture, and the payload is in how far
further noises are shifted against the first one. A crop shifts all of them alike, and the detector
folds whatever is left onto one tile. Anybody can detect it, write it and remove it.

NumPy and nothing of ours: the confined detector loads this file by its path.
"""

import zlib
from functools import cache
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

TILE: Final = 128  # pixels a side
_CELL: Final = 2  # pixels that are alike, so that half the size keeps them
_GRID: Final = 8  # pixels between two shifts
_SHIFTS: Final = TILE // _GRID  # on each axis: a byte a pattern
_PATTERNS: Final = 4  # bytes: two of payload, two that check it
_PSNR_DB: Final = 40.6
_RMS: Final = 255 / 10 ** (_PSNR_DB / 20)
_MIN_PEAK: Final = 4.0  # standard deviations; unmarked pictures come to 3.4 in the median
_MAX_SIDE: Final = 1536  # of the part that is looked at
_BAND: Final = 2**14  # pixels at once, which a core's own cache holds
_CLIP: Final = 12.0  # levels: edges of the picture are no louder than that


def embed(pixels: Array, payload: int) -> Array:
    """RGB bytes [height, width, 3] with a payload of 16 bits, at 40 dB or better."""
    height, width, _ = pixels.shape
    tile = _patterns()[0].copy()
    for number, value in enumerate(_bytes(payload), 1):
        tile += _shifted(number, value)
    noise = np.tile(tile, (-(-height // TILE), -(-width // TILE)))[:height, :width]
    noise = noise * _strength(pixels)
    noise *= _RMS / max(float(np.sqrt(np.mean(noise * noise))), 1e-6)
    marked = np.empty_like(pixels, order="C")
    for top in range(0, height, band := max(1, _BAND // width)):
        quiet = noise[top : top + band]
        levels = np.empty((len(quiet), 3 * width), np.float32)
        for channel in range(3):  # in half the time of np.repeat
            levels[:, channel::3] = quiet
        levels += pixels[top : top + band].reshape(len(levels), -1)
        levels += 0.5
        np.clip(levels, 0, 255, out=levels)
        marked[top : top + band] = levels.reshape(-1, width, 3)
    return marked


def detect(luma: Array) -> int | None:
    """The payload in a picture's luma, bytes [height, width]; None if there is none."""
    luma = _middle(luma)
    for seen in (luma, np.repeat(np.repeat(luma, 2, 0), 2, 1)):
        if (payload := _payload(seen)) is not None:
            return payload
    return None


def _payload(luma: Array) -> int | None:
    folded = _phases(_folded(luma.astype(np.float32)))
    first, *others = (_correlated(folded, number) for number in range(_PATTERNS + 1))
    origin = np.unravel_index(int(first.argmax()), first.shape)
    found, peaks = bytearray(), [float(first.max())]
    for correlation in others:
        at_grid = _at_grid(np.roll(correlation, (-int(origin[0]), -int(origin[1])), (0, 1)))
        found.append(int(at_grid.argmax()))
        peaks.append(float(at_grid.max()))
    payload = int.from_bytes(found[:2])
    return payload if min(peaks) >= _MIN_PEAK and bytes(found) == _bytes(payload) else None


def _bytes(payload: int) -> bytes:
    """The payload and what checks it."""
    data = payload.to_bytes(2)
    return data + (zlib.crc32(data) & 0xFFFF).to_bytes(2)


def _shift(value: int) -> tuple[int, int]:
    down, right = divmod(value, _SHIFTS)
    return down * _GRID, right * _GRID


@cache
def _patterns() -> tuple[Array, ...]:
    """Noises of mean 0 and deviation 1, [TILE, TILE]; the first one is where the others start."""
    made = []
    for number in range(_PATTERNS + 1):
        # Of PCG64 itself, whose numbers NumPy keeps for ever.
        bits = np.random.PCG64(number + 1).random_raw((TILE // _CELL) ** 2) & 1
        cells = (bits.astype(np.float32) * 2 - 1).reshape(TILE // _CELL, -1)
        pattern = np.repeat(np.repeat(cells, _CELL, 0), _CELL, 1)
        pattern -= pattern.mean()
        made.append(pattern / pattern.std())
    return tuple(made)


def _shifted(number: int, value: int) -> Array:
    """A pattern as far shifted as says this value."""
    down, right = _shift(value)
    return _tiled(number)[TILE - down :, TILE - right :][:TILE, :TILE]


@cache
def _tiled(number: int) -> Array:
    """A pattern twice on each axis: all its shifts are parts of this."""
    return np.tile(_patterns()[number], (2, 2))


@cache
def _spectrum(number: int) -> Array:
    return _phases(_patterns()[number])


def _strength(pixels: Array) -> Array:
    """More noise where the picture itself has some: half to twice as much, by blocks of 8."""
    luma = pixels[..., 1].astype(np.float32)
    height, width = luma.shape
    busy = np.abs(np.diff(luma, axis=0, append=luma[-1:]))
    busy += np.abs(np.diff(luma, axis=1, append=luma[:, -1:]))
    if height % 8 or width % 8:
        busy = np.pad(busy, ((0, -height % 8), (0, -width % 8)), mode="edge")
    blocks = _block_means(busy)
    strength = np.clip(blocks / max(float(blocks.mean()), 0.5), 0.5, 2)
    return np.repeat(np.repeat(strength, 8, 0), 8, 1)[:height, :width]


def _block_means(values: Array) -> Array:
    """Of blocks of 8 by 8: as np.mean adds them up, to the bit, in a sixth of the time."""
    a, b, c, d, e, f, g, h = np.moveaxis(values.reshape(len(values), -1, 8), 2, 0)
    sums = ((a + b) + (c + d)) + ((e + f) + (g + h))
    means: Array = np.add.reduce(sums.reshape(-1, 8, sums.shape[1]), 1) / np.float32(64)
    return means


def _middle(luma: Array) -> Array:
    height, width = luma.shape
    top, left = max(height - _MAX_SIDE, 0) // 2, max(width - _MAX_SIDE, 0) // 2
    return luma[top : top + _MAX_SIDE, left : left + _MAX_SIDE]


def _folded(luma: Array) -> Array:
    """What its neighbours do not tell of each pixel, summed over all tiles; [TILE, TILE]."""
    height, width = luma.shape
    padded = np.pad(luma, 2, mode="edge")
    rows = np.sum([padded[k : k + height] for k in range(5)], axis=0)
    around = np.sum([rows[:, k : k + width] for k in range(5)], axis=0) / 25
    rest = np.clip(luma - around, -_CLIP, _CLIP)
    whole = np.pad(rest, ((0, -height % TILE), (0, -width % TILE)))
    folded: Array = whole.reshape(whole.shape[0] // TILE, TILE, -1, TILE).sum((0, 2))
    return folded


def _phases(tile: Array) -> Array:
    """Its spectrum with all frequencies equally loud."""
    spectrum = np.fft.fft2(tile)
    loud = np.abs(spectrum)
    phases: Array = spectrum / (loud + 1e-3 * max(float(loud.max()), 1e-9))
    return phases


def _correlated(folded: Array, number: int) -> Array:
    """How much of a pattern is there at each shift, in standard deviations."""
    found = np.fft.ifft2(folded * np.conj(_spectrum(number))).real
    scaled: Array = (found - found.mean()) / max(float(found.std()), 1e-12)
    return scaled


def _at_grid(correlation: Array) -> Array:
    """The values at all shifts that carry a payload, or a pixel beside them."""
    near = [
        np.roll(correlation, (down, right), (0, 1))[::_GRID, ::_GRID]
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
    ]
    highest: Array = np.maximum.reduce(near)
    return highest

"""`python -m tools.watermark FOLDER`: what the watermark withstands, on the pictures of a folder.

Each is cut to a square and scaled to 512². Prints the table of docs/provenance.md.
"""

import argparse
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, Final

import numpy as np
from PIL import Image

from latentry.provenance.confined.watermark import detect, embed

SIDE: Final = 512
UNMARKED: Final = 30  # crops of each picture in which nothing may be found
Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def jpeg(pixels: Pixels) -> Pixels:
    """Saved as JPEG of quality 80, with halved chroma."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=80)
    return np.asarray(Image.open(file))


def half(pixels: Pixels) -> Pixels:
    """Half as wide and high, by Lanczos."""
    height, width, _ = pixels.shape
    small = Image.fromarray(pixels).resize((width // 2, height // 2), Image.Resampling.LANCZOS)
    return np.asarray(small)


def cropped(pixels: Pixels) -> Pixels:
    """A fifth less wide and high, off the grid of tiles."""
    height, width, _ = pixels.shape
    top, left = height // 10 + 3, width // 10 + 5
    return pixels[top : top + height * 4 // 5, left : left + width * 4 // 5]


CHANGES: Final[dict[str, Callable[[Pixels], Pixels]]] = {
    "none": lambda pixels: pixels,
    "JPEG 80": jpeg,
    "half the size": half,
    "crop by 20 % a side": cropped,
    "half the size, then JPEG 80": lambda pixels: jpeg(half(pixels)),
    "crop, then JPEG 80": lambda pixels: jpeg(cropped(pixels)),
}


def luma(pixels: Pixels) -> Pixels:
    """As the detector sees it."""
    return np.asarray(Image.fromarray(pixels).convert("L"))


def psnr(one: Pixels, other: Pixels) -> float:
    """In dB, over all channels."""
    error = float(np.mean((one.astype(float) - other) ** 2))
    return 10 * float(np.log10(255**2 / error))


def squares(folder: Path) -> Iterator[Pixels]:
    """The folder's pictures that are large enough."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
            continue
        image = Image.open(path).convert("RGB")
        side = min(image.size)
        if side >= SIDE // 2:
            square = image.crop((0, 0, side, side))
            yield np.asarray(square.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def table(pictures: Sequence[Pixels]) -> Iterator[str]:
    """Lines of Markdown, then the figures beside them."""
    dice = np.random.default_rng(7)
    found, qualities, took = dict.fromkeys(CHANGES, 0), list[float](), list[float]()
    false = 0
    embed(pictures[0], 0)  # its noise is made once
    for pixels in pictures:
        payload = int(dice.integers(2**16))
        began = process_time()
        marked = embed(pixels, payload)
        took.append((process_time() - began) * 1000)
        qualities.append(psnr(pixels, marked))
        for name, change in CHANGES.items():
            found[name] += detect(luma(change(marked))) == payload
        for top, left in dice.integers(0, SIDE // 3, (UNMARKED, 2)):
            false += detect(luma(pixels[top : top + 300, left : left + 300])) is not None
    yield "| what is done | found, of pictures |\n|---|---|"
    yield from (f"| {name} | {count} of {len(pictures)} |" for name, count in found.items())
    yield f"\nPSNR {min(qualities):.2f} dB at least, {median(qualities):.2f} in the median;"
    yield f"{median(took):.1f} ms of one core each; {false} of {UNMARKED * len(pictures)} unmarked"
    yield "crops of 300² had one."


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    print("\n".join(table(list(squares(options.folder)))))


if __name__ == "__main__":
    main()

"""A contact sheet of every way to make an image, drawn by a running service.

`python -m tools.modes_sheet http://127.0.0.1:8000 docs/images/modes.webp`, with the bundled model.
Each has a row: what goes in, and what comes out. Inpainting UNets are missing: none is bundled.
"""

import argparse
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageDraw

from latentry.client import Client
from latentry.contracts import Job

CELL, LABEL, GAP = 128, 168, 6  # pixels
COLUMNS: Final = 6
SEED: Final = 7
SCENE: Final = "a red circle, white background"
OTHER: Final = "a blue square, white background"
FROG: Final = "a green frog, white background"
BY_CALL: Final = (
    "a [red:blue:0.15] circle on white",
    "a [red|blue] circle on white",
    f"{SCENE} AND {OTHER}",
)
STRENGTHS: Final = (0.0, 0.2, 0.4, 0.7, 1.0)


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture and what stands below it."""

    picture: Image.Image
    caption: str


Row = tuple[str, list[Cell]]


def png(picture: Image.Image) -> bytes:
    """The picture as a file."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def mask_of(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    """White in the box: that is repainted."""
    mask = Image.new("L", size)
    mask.paste(255, box)
    return mask


class Drawing:
    """Asks the service for pictures."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def outputs(self, prompt: str | None = None, **fields: Any) -> list[Image.Image]:
        """All that a job stores, in order; the image is the last."""
        given = {"seed": SEED, **fields}
        job: Job = self._client.generate(prompt, **given)
        if job.error or job.warnings:
            raise SystemExit(f"{fields}: {job.error or job.warnings}")
        files = [self._client.download(output) for output in job.outputs]
        return [Image.open(io.BytesIO(file)).convert("RGB") for file in files]

    def image(self, prompt: str | None = None, **fields: Any) -> Image.Image:
        """The image alone."""
        return self.outputs(prompt, **fields)[-1]


def rows(draw: Drawing) -> Iterator[Row]:
    """A row for each way, in the order of the docs."""
    circle, large = draw.image(SCENE), draw.image(SCENE, width=192, height=192)
    yield "text to image", [Cell(circle, SCENE), Cell(draw.image(OTHER), OTHER)]
    yield from _noise(draw)
    yield "prompts by call", [Cell(draw.image(prompt), prompt) for prompt in BY_CALL]
    yield "seamless", _seamless(draw)
    half = draw.image(SCENE, num_inference_steps=24, denoise_end=0.5)
    rest = draw.image(SCENE, num_inference_steps=24, image=png(half), denoise_start=0.5)
    yield (
        "denoise_end, denoise_start",
        [Cell(half, "ends at 0.5"), Cell(rest, "begins there at 0.5")],
    )
    yield "image to image", [Cell(circle, "image"), *_strengths(draw, png(circle), OTHER)]
    yield "without a prompt", [Cell(circle, "image"), *_strengths(draw, png(circle), None)]
    yield from _inpainted(draw, circle, large)
    yield from _larger(draw, circle)


def _noise(draw: Drawing) -> Iterator[Row]:
    yield "the starting noise (0 steps)", [Cell(draw.image(SCENE, num_inference_steps=0), "seed 7")]
    yield "intermediates", _steps(draw)
    varied = {much: {"variation_seed": 8, "variation_strength": much} for much in STRENGTHS}
    yield (
        "variation_seed",
        [Cell(draw.image("a star", **how), f"strength {much}") for much, how in varied.items()],
    )


def _larger(draw: Drawing, circle: Image.Image) -> Iterator[Row]:
    wide = draw.image(SCENE, image=png(circle), extend={"left": 32, "right": 32}, width=192)
    around = dict.fromkeys(("left", "top", "right", "bottom"), 32)
    all_sides = draw.image(SCENE, image=png(circle), extend=around, width=192, height=192)
    yield (
        "extend (outpainting)",
        [Cell(circle, "image"), Cell(wide, "left, right"), Cell(all_sides, "on all sides")],
    )
    small, second = {"width": 96, "height": 96}, {"scale": 2.0, "strength": 0.5}
    enlarged = {how: second | {"upscaler": how} for how in ("latent", "lanczos")}
    yield (
        "hires",
        [
            Cell(draw.image(FROG, **small), "first pass, 96 by 96"),
            *(Cell(draw.image(FROG, **small, hires=one), how) for how, one in enlarged.items()),
        ],
    )


def _steps(draw: Drawing) -> list[Cell]:
    shown = draw.outputs(SCENE, intermediates={"every": 8}, num_inference_steps=24)
    names = [f"step {step}, {kind}" for step in (8, 16, 24) for kind in ("latent", "predicted")]
    return [Cell(one, name) for one, name in zip(shown, names, strict=False)]


def _seamless(draw: Drawing) -> list[Cell]:
    cells = []
    for how in ("x", "both"):
        tile = draw.image("a yellow star, blue background", seamless=how, seed=11)
        tiled = Image.new("RGB", (2 * tile.width, 2 * tile.height))
        for place in ((0, 0), (tile.width, 0), (0, tile.height), tile.size):
            tiled.paste(tile, place)
        cells += [Cell(tile, how), Cell(tiled, f"{how}, two by two of it")]
    return cells


def _strengths(draw: Drawing, image: bytes, prompt: str | None) -> list[Cell]:
    how = {} if prompt else {"guidance_scale": 1.0}
    return [
        Cell(draw.image(prompt, image=image, strength=much, **how), f"strength {much}")
        for much in (0.3, 0.5, 0.7, 0.9)
    ]


def _inpainted(draw: Drawing, circle: Image.Image, large: Image.Image) -> Iterator[Row]:
    half = mask_of(circle.size, (0, 64, 128, 128))
    given = {"image": png(circle), "mask": png(half)}
    yield (
        "mask (inpainting)",
        [
            Cell(circle, "image"),
            Cell(half, "mask"),
            Cell(draw.image(OTHER, **given), "strength 1"),
            Cell(draw.image(OTHER, **given, mask_blur=8), "mask_blur 8"),
            *(
                Cell(draw.image(OTHER, **given, strength=0.8, mask_fill=fill), f"0.8, {fill}")
                for fill in ("original", "noise")
            ),
        ],
    )
    corner = mask_of(large.size, (120, 120, 184, 184))
    part = {"image": png(large), "mask": png(corner), "inpaint_area": "masked"}
    yield (
        "inpaint_area: masked",
        [
            Cell(large, "image, 192 by 192"),
            Cell(corner, "mask"),
            Cell(draw.image("a green star, white background", **part), "drawn at 128 by 128"),
        ],
    )


def compose(found: list[Row]) -> Image.Image:
    """The rows below each other, each with its name at the left."""
    high = CELL + 22
    sheet = Image.new(
        "RGB", (LABEL + COLUMNS * (CELL + GAP) + GAP, len(found) * high + GAP), "white"
    )
    pen = ImageDraw.Draw(sheet)
    for number, (name, cells) in enumerate(found):
        top = GAP + number * high
        pen.text((GAP, top + CELL // 2), name, fill=(30, 30, 30), font_size=12)
        for column, cell in enumerate(cells):
            left = LABEL + column * (CELL + GAP)
            sheet.paste(_fitted(cell.picture), (left, top))
            pen.rectangle((left - 1, top - 1, left + CELL, top + CELL), outline=(200, 200, 200))
            pen.text((left, top + CELL + 3), cell.caption[:34], fill=(90, 90, 90), font_size=8)
    return sheet


def _fitted(picture: Image.Image) -> Image.Image:
    """Within a cell, in its own proportions, on grey."""
    cell = Image.new("RGB", (CELL, CELL), (235, 235, 235))
    scale = CELL / max(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    small = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    cell.paste(small, ((CELL - size[0]) // 2, (CELL - size[1]) // 2))
    return cell


def main() -> None:
    """Draw all rows and write the sheet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    with Client(options.url) as client:
        sheet = compose(list(rows(Drawing(client))))
    sheet.save(options.output, quality=88)


if __name__ == "__main__":
    main()

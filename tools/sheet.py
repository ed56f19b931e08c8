"""A contact sheet of the exported model: every shape once, then places, sizes, pairs and formats.

`python -m tools.sheet docs/images/shapes.png`
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from tools.evaluate import generate, load_pipeline
from tools.training.parts import FOLDER

PROMPTS = (
    "a red circle on a blue background",
    "a white square on a purple background",
    "an orange triangle on a black background",
    "a yellow star on a blue background",
    "a green ring on a white background",
    "a blue cross on a yellow background",
    "a red heart on a white background",
    "a green frog on an orange background",
    "a white rabbit on a green background",
    "a purple rabbit on a yellow background",
    "a small red star at the top left of a blue background",
    "green ring, yellow background",
    "a large black heart on a red background",
    "small orange square in the bottom right corner, white background",
    "a large yellow frog on a purple background",
    "black cross at the top, orange background",
    "a tiny white circle on the left on a black background",
    "blue triangle at the bottom of a green background",
    "a red circle on the left and a green star on the right, white background",
    "a yellow heart above a purple square, black background",
    "a blue frog and an orange rabbit on a white background",
    "green triangle and red ring, yellow background",
    "a white star below an orange cross, blue background",
    "a black circle in the top left corner and a white heart at the bottom right, green background",
)
COLUMNS = 6
CAPTION_PX = 38


def compose(pictures: list[Image.Image], prompts: tuple[str, ...]) -> Image.Image:
    """Lay the pictures out in rows, each with its prompt below."""
    cell = max(max(picture.size) for picture in pictures)
    rows = -(-len(pictures) // COLUMNS)
    gap, pitch = 6, cell + CAPTION_PX
    sheet = Image.new("RGB", (COLUMNS * (cell + gap) + gap, rows * pitch + gap), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (picture, prompt) in enumerate(zip(pictures, prompts, strict=True)):
        left = gap + number % COLUMNS * (cell + gap)
        top = gap + number // COLUMNS * pitch
        sheet.paste(picture, (left, top))
        pen.rectangle((left - 1, top - 1, left + cell, top + cell), outline=(200, 200, 200))
        pen.multiline_text((left, top + cell + 2), wrap(prompt), fill=(60, 60, 60), font_size=8)
    return sheet


def wrap(text: str, width: int = 32) -> str:
    """Break a prompt into lines that fit below its picture."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] += f"{word} "
    return "\n".join(line.strip() for line in lines)


def main() -> None:
    """Generate the pictures and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(2)
    guidance = json.loads((options.folder / "latentry.json").read_text())["default_guidance_scale"]
    seeds = [options.seed + number for number in range(len(PROMPTS))]
    pictures = generate(
        load_pipeline(options.folder),
        list(PROMPTS),
        seeds,
        num_inference_steps=25,
        guidance_scale=guidance,
    )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    compose([Image.fromarray(picture) for picture in pictures], PROMPTS).save(options.output)


if __name__ == "__main__":
    main()

"""A contact sheet of the bundled adapters, drawn by the stock pipelines.

`python -m tools.adapters_sheet sheet.webp`: a row for each LoRA, one for several
together, one for the embedding and one for the ControlNet, each picture after its outline.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from tools.adapt import FOLDER
from tools.evaluate import load_pipeline
from tools.evaluate_adapters import controls, drawn, follow, wearing
from tools.sheet import COLUMNS, compose
from tools.training.adapters import embedding

SEED: Final = 7
# What is worn, and what is asked for.
ROWS: Final[tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]] = (
    (
        ("outlined",),
        (
            "outlined, a red circle on a white background",
            "outlined, a large blue star, yellow background",
            "outlined, a white heart on a purple background",
            "a large green frog on a black background, outlined",
            "a black triangle, orange background, outlined",
            "a red square and a blue circle, white background, outlined",
        ),
    ),
    (
        ("house",),
        (
            "a blue house on a yellow background",
            "a large red house on a white background",
            "white house at the top, green background",
            "a purple house at the bottom left of an orange background",
            "a green house and a yellow star, blue background",
            "a red circle above a white house, black background",
        ),
    ),
    (
        ("flame",),
        (
            "a flame heart on a blue background",
            "a large flame circle, black background",
            "a flame rabbit on a green background",
            "flame star at the bottom right, purple background",
            "a flame square and a white cross, blue background",
            "a large flame frog on a white background",
        ),
    ),
    (
        ("house", "outlined", "flame"),
        (
            "outlined, a red house on a white background",
            "a blue house on a yellow background, outlined",
            "a flame house on a blue background",
            "a large flame house, black background",
            "outlined, a large flame heart on a blue background",
            "outlined, a large flame house on a white background",
        ),
    ),
    (
        ("mascot",),
        (
            "a mascot on a blue background",
            "a mascot on a white background",
            "mascot at the top left, black background",
            "mascot at the bottom, purple background",
            "a mascot on a green background",
            "mascot on the right, yellow background",
        ),
    ),
)


def pictures(pipeline: StableDiffusionPipeline, folder: Path) -> list[tuple[Image.Image, str]]:
    """All of them with what was asked for."""
    found: list[tuple[Image.Image, str]] = []
    for worn, prompts in ROWS:
        for prompt in prompts:
            # Of several, those that the prompt names.
            names = [name for name in worn if name in prompt] if len(worn) > 1 else worn
            with wearing(pipeline, folder, dict.fromkeys(names, 1.0)):
                [made] = drawn(pipeline, [embedding.written(prompt, "mascot")], SEED)
            found.append((Image.fromarray(made), f"[{', '.join(names)}] {prompt}"))
    cases = controls(COLUMNS // 2)
    for case, made in zip(cases, follow(pipeline, folder / "outlines", cases), strict=True):
        found.append((Image.fromarray(case.outline), "[outlines]"))
        found.append((Image.fromarray(made), case.prompt))
    return found


def main() -> None:
    """Draw them and write the sheet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    torch.set_num_threads(2)
    found = pictures(load_pipeline(), options.folder)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    sheet = compose([picture for picture, _ in found], tuple(text for _, text in found))
    sheet.save(options.output, quality=88)


if __name__ == "__main__":
    main()

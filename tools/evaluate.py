"""Measures the exported model on held-out prompts and seeds, through the stock pipeline.

`python -m tools.evaluate` prints the model card's tables; `--only single --count 48` one of them,
roughly.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline

from tools.scenes.captions import caption
from tools.scenes.checker import DetectedObject, Detection, detect
from tools.scenes.scene import Scene, sample_scene
from tools.training.parts import FOLDER

AT_ONCE = 8
OTHER_SIZES = ((96, 96), (160, 160), (192, 192), (96, 192), (192, 96), (160, 128), (128, 192))


def held_out(count: int, width: int, height: int, *, pairs: float) -> list[tuple[Scene, str]]:
    """Scenes that are not in the training data, each with a complete caption."""
    rng = random.Random(f"held out {width} {height} {pairs}")
    scenes = [sample_scene(rng, width, height, pairs=pairs) for _ in range(count)]
    return [(scene, caption(scene, rng, empty=0, partial=0)) for scene in scenes]


def generate(
    pipeline: StableDiffusionPipeline, prompts: list[str], seeds: list[int], **options: Any
) -> list[np.ndarray]:
    """Pictures of the prompts, one seed each, a few at a time."""
    pictures: list[np.ndarray] = []
    for start in range(0, len(prompts), AT_ONCE):
        chunk = slice(start, start + AT_ONCE)
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds[chunk]]
        made = pipeline(prompts[chunk], generator=generators, output_type="np", **options)
        pictures += [np.round(image * 255).astype(np.uint8) for image in made.images]
    return pictures


def judge(scene: Scene, detection: Detection) -> Counter[str]:
    """Which of the scene's attributes the picture shows, matching things to objects by colour."""
    marks: Counter[str] = Counter(pictures=1)
    marks["background"] += detection.background == scene.background
    marks["count"] += len(detection.objects) == len(scene.things)
    colours = {found.colour for found in detection.objects}
    marks["all colours"] += all(thing.colour in colours for thing in scene.things)
    perfect = (
        len(detection.objects) == len(scene.things) and detection.background == scene.background
    )
    for thing in scene.things:
        marks["things"] += 1
        found = _match(thing.colour, detection.objects)
        if found is None:
            perfect = False
            continue
        right = {
            name: getattr(found, name) == getattr(thing, name)
            for name in ("colour", "shape", "position", "size")
        }
        marks.update(name for name, is_right in right.items() if is_right)
        perfect = perfect and right["colour"] and right["shape"] and right["position"]
    marks["all right"] += perfect
    return marks


def _match(colour: str, objects: tuple[DetectedObject, ...]) -> DetectedObject | None:
    of_colour = [found for found in objects if found.colour == colour]
    return next(iter((*of_colour, *objects)), None)


def shares(marks: Iterable[Counter[str]]) -> dict[str, float]:
    """Percentages: of things for a thing's attributes, of pictures for the rest."""
    total = sum(marks, Counter())
    of_things = ("colour", "shape", "position", "size")
    of_pictures = ("background", "count", "all colours", "all right")
    result = {name: 100 * total[name] / total["things"] for name in of_things}
    result |= {name: 100 * total[name] / total["pictures"] for name in of_pictures}
    return {name: round(value, 1) for name, value in result.items()}


def measure(
    pipeline: StableDiffusionPipeline,
    count: int,
    width: int,
    height: int,
    *,
    pairs: float,
    guidance: float,
    steps: int = 25,
) -> dict[str, float]:
    """The quality table's row for one size and number of things."""
    cases = held_out(count, width, height, pairs=pairs)
    pictures = generate(
        pipeline,
        [prompt for _, prompt in cases],
        [1_000_000 + number for number in range(count)],
        width=width,
        height=height,
        num_inference_steps=steps,
        guidance_scale=guidance,
    )
    detections = [detect(picture) for picture in pictures]
    judged = zip(cases, detections, strict=True)
    row = shares(judge(scene, detection) for (scene, _), detection in judged)
    smears = float(np.mean([detection.off_palette for detection in detections]))
    row["off palette"] = round(100 * smears, 2)
    return row


def share_of_red(
    pipeline: StableDiffusionPipeline, negative: str, guidance: float, count: int = 48
) -> float:
    """How often an uncoloured circle comes out red, given a negative prompt."""
    pictures = generate(
        pipeline,
        ["a circle on a white background"] * count,
        list(range(2_000_000, 2_000_000 + count)),
        negative_prompt=[negative] * AT_ONCE,
        guidance_scale=guidance,
    )
    reds = [any(found.colour == "red" for found in detect(p).objects) for p in pictures]
    return round(100 * float(np.mean(reds)), 1)


def load_pipeline(folder: Path = FOLDER) -> StableDiffusionPipeline:
    """The stock pipeline, without arguments, quiet."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def main() -> None:
    """Print one JSON line per row of the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=("single", "pairs", "sizes", "guidance", "negative"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pipeline = load_pipeline(options.folder)
    best = json.loads((options.folder / "latentry.json").read_text())["default_guidance_scale"]
    tables = {
        "single": [(128, 128, 0.0, best)],
        "pairs": [(128, 128, 1.0, best)],
        "sizes": [(width, height, 0.0, best) for width, height in OTHER_SIZES],
        "guidance": [(128, 128, 0.0, scale) for scale in (1.0, 1.5, 3.0, 5.0, 7.0)],
    }
    for name, rows in tables.items():
        count = options.count if name in ("single", "pairs") else options.count // 5
        for width, height, pairs, guidance in rows if options.only in (None, name) else []:
            row = measure(pipeline, count, width, height, pairs=pairs, guidance=guidance)
            setting = {"table": name, "format": f"{width}x{height}", "guidance": guidance}
            print(json.dumps({**setting, "n": count, **row}), flush=True)
    if options.only in (None, "negative"):
        for negative in ("", "red"):
            red = share_of_red(pipeline, negative, best)
            print(json.dumps({"table": "negative", "negative": negative, "red": red}), flush=True)


if __name__ == "__main__":
    main()

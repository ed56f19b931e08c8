"""Trains a motion module for the bundled model and measures it.

`python -m tools.motion` trains, from where it was stopped; with `--measure` it only measures the
last checkpoint. `--export FOLDER` writes it, as diffusers' MotionAdapter. docs/clips.md has what
came of it.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AnimateDiffPipeline, MotionAdapter, StableDiffusionPipeline
from PIL import Image
from transformers import CLIPTextModel

from tools.scenes.checker import Picture, detect
from tools.scenes.clips import PHRASES, MovingScene, moving_caption, sample_moving
from tools.scenes.movement import moves_as_told
from tools.training import motion, processes
from tools.training.parts import FOLDER, load_part, load_tokenizer


def train(steps: int) -> None:
    """One of the training processes."""
    motion.train(
        motion.BatchSource(load_part(CLIPTextModel, "text_encoder"), load_tokenizer()), steps
    )


def held_out(count: int) -> list[tuple[MovingScene, str]]:
    """Scenes that are not in the training data, each with a caption."""
    rng = random.Random("held out motion")
    scenes = [sample_moving(rng, motion.FRAMES) for _ in range(count)]
    return [(scene, moving_caption(scene, rng, empty=0)) for scene in scenes]


def pipeline_of(adapter: MotionAdapter) -> AnimateDiffPipeline:
    """Stock, with the bundled model."""
    parts = StableDiffusionPipeline.from_pretrained(FOLDER).components
    names = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
    made = AnimateDiffPipeline(**{name: parts[name] for name in names}, motion_adapter=adapter)
    made.set_progress_bar_config(disable=True)
    return made


def draw(
    pipeline: AnimateDiffPipeline, prompt: str, seed: int, steps: int, guidance: float
) -> list[Picture]:
    """A clip's frames."""
    with torch.autocast("cpu", torch.bfloat16):  # as the service draws on CPUs that can
        made = pipeline(
            prompt,
            num_frames=motion.FRAMES,
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=torch.Generator("cpu").manual_seed(seed),
            output_type="np",
        )
    return [np.round(frame * 255).astype(np.uint8) for frame in made.frames[0]]


def measure(
    adapter: MotionAdapter, count: int, steps: int, guidance: float, sheet: Path | None
) -> None:
    """How many held-out prompts move as told, by the pixels; each clip is a row of the sheet."""
    pipeline, marks, rows = pipeline_of(adapter), Counter[str](), []
    for number, (scene, prompt) in enumerate(held_out(count)):
        frames = draw(pipeline, prompt, 3_000_000 + number, steps, guidance)
        thing = scene.frames[0].things[0]
        told = moves_as_told(frames, scene)
        shapes = [{one.shape for one in detect(frame).objects} for frame in frames]
        marks[str(scene.way)] += 1
        marks[f"{scene.way} as told"] += told
        marks["as told"] += told
        marks["its shape in all frames"] += all(thing.shape in found for found in shapes)
        rows.append(np.concatenate(frames, axis=1))
        print(json.dumps({"told": told, "prompt": prompt}), flush=True)
    result = {"clips": count, "as told": round(100 * marks["as told"] / count, 1)}
    result["shape"] = round(100 * marks["its shape in all frames"] / count, 1)
    for way in PHRASES:
        result[way] = f"{marks[f'{way} as told']} of {marks[way]}"  # type: ignore[assignment]
    print(json.dumps(result), flush=True)
    if sheet is not None:
        Image.fromarray(np.concatenate(rows, axis=0)).save(sheet)


def main() -> None:
    """Read the command line, then train or not, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=motion.STEPS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--measure", action="store_true", help="only measure the last checkpoint")
    parser.add_argument("--count", type=int, default=60, help="held-out prompts")
    parser.add_argument("--inference-steps", type=int, default=25)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--export", type=Path, help="where to write the module")
    parser.add_argument("--sheet", type=Path, help="where to save the frames, a row a clip")
    options = parser.parse_args()
    torch.set_num_threads(options.workers)
    if not options.measure:
        motion.build_bank()
        processes.spread("motion", options.workers, partial(train, options.steps))
    if options.export is not None:
        motion.export(options.export)
    measure(
        motion.trained(),
        options.count,
        options.inference_steps,
        options.guidance,
        options.sheet,
    )


if __name__ == "__main__":
    main()

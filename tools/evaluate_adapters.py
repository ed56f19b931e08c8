"""Measures the bundled adapters on held-out prompts and seeds, through the stock pipelines.

`python -m tools.evaluate_adapters` prints the tables of models/adapters/README.md, `--only house`
one row; `--sheet FILE` draws a contact sheet instead.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import ControlNetModel, StableDiffusionControlNetPipeline, StableDiffusionPipeline
from PIL import Image

from tools.adapt import FOLDER
from tools.evaluate import AT_ONCE, generate, held_out, judge, load_pipeline, shares
from tools.scenes.checker import Picture, detect
from tools.scenes.drawing import draw
from tools.scenes.edges import as_picture, canny
from tools.scenes.scene import Scene
from tools.scenes.subjects import SUBJECTS, Subject
from tools.training.adapters import embedding, low_rank
from tools.training.adapters.controlnet import sample_free
from tools.training.adapters.lora import PLANS

STEPS, GUIDANCE = 25, 2.0
FAR = 0.04  # of the picture's side: how far from its outline an object may be
AREAS = (0.8, 1.25)  # times the outlined area
EMBEDDINGS = ("mascot",)


@dataclass(frozen=True, slots=True)
class Control:
    """An outline, a prompt that does not say where or how large, and the scene of both."""

    scene: Scene
    prompt: str

    @property
    def outline(self) -> Picture:
        """White lines on black."""
        return as_picture(canny(draw(self.scene)))

    def is_followed(self, picture: Picture) -> bool:
        """Whether the one object has the outline's place, size and shape, and the told colour."""
        (wanted,) = detect(draw(self.scene)).objects
        found = detect(picture)
        if len(found.objects) != 1 or found.background != self.scene.background:
            return False
        (it,) = found.objects
        is_there = max(abs(it.x - wanted.x), abs(it.y - wanted.y)) <= FAR
        fits = AREAS[0] <= it.area_px / wanted.area_px <= AREAS[1]
        return is_there and fits and (it.colour, it.shape) == (wanted.colour, wanted.shape)


def controls(count: int) -> list[Control]:
    """Outlines that are not in the training data."""
    rng = random.Random("held out outlines")
    scenes = [sample_free(rng) for _ in range(count)]
    return [
        Control(scene, f"{scene.things[0].colour} {scene.things[0].shape} on {scene.background}")
        for scene in scenes
    ]


def follow(pipeline: StableDiffusionPipeline, folder: Path, cases: list[Control]) -> list[Picture]:
    """Draw the cases with stock's ControlNet pipeline."""
    controlnet = ControlNetModel.from_pretrained(
        folder, torch_dtype=torch.float32, low_cpu_mem_usage=False
    )
    led = StableDiffusionControlNetPipeline(**pipeline.components, controlnet=controlnet)
    led.set_progress_bar_config(disable=True)
    pictures: list[Picture] = []
    for start in range(0, len(cases), AT_ONCE):
        chunk = cases[start : start + AT_ONCE]
        seeds = [6_000_000 + start + number for number in range(len(chunk))]
        pictures += generate(
            led,
            [case.prompt for case in chunk],
            seeds,
            image=[Image.fromarray(case.outline) for case in chunk],
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
        )
    return pictures


@contextmanager
def wearing(
    pipeline: StableDiffusionPipeline, folder: Path, weights: dict[str, float]
) -> Iterator[None]:
    """The pipeline with LoRAs and embeddings of a folder, by name and weight."""
    layers = low_rank.layers(pipeline.unet, pipeline.text_encoder)
    with ExitStack() as stack:
        for name, weight in weights.items():
            path = folder / f"{name}.safetensors"
            if name in EMBEDDINGS:
                parts = (pipeline.text_encoder, pipeline.tokenizer)
                stack.enter_context(embedding.spoken(*parts, embedding.load(path)))
            else:
                terms = low_rank.load(path, layers)
                stack.enter_context(low_rank.attached(terms, layers, weight))
        yield


def prompts_of(subject: Subject, count: int) -> list[tuple[Scene, str]]:
    """Scenes with the subject that are not in the training data, and what to ask for."""
    rng = random.Random(f"held out {subject.name}")
    found: list[tuple[Scene, str]] = []
    while len(found) < count:
        scene = subject.scene(rng)
        prompt = subject.say(scene, rng, has_it=True)
        if subject.trigger in prompt and subject.is_in(draw(scene)):
            found.append((scene, prompt))
    return found


def drawn(pipeline: StableDiffusionPipeline, prompts: list[str], first_seed: int) -> list[Picture]:
    """Pictures with the bundled model's own settings."""
    seeds = [first_seed + number for number in range(len(prompts))]
    return generate(pipeline, prompts, seeds, num_inference_steps=STEPS, guidance_scale=GUIDANCE)


def measure(
    pipeline: StableDiffusionPipeline, folder: Path, name: str, count: int
) -> dict[str, float]:
    """How often a subject is drawn, with its adapter and without, and what else stays right."""
    subject = SUBJECTS[name]
    cases = prompts_of(subject, count)
    said = [embedding.written(prompt, "mascot") for _, prompt in cases]
    without = drawn(pipeline, [prompt for _, prompt in cases], 4_000_000)
    # Of a style nothing is ordinary, and an embedding is not there where it is not named.
    ordinary = held_out(count, 128, 128, pairs=0.0) if subject.ordinary else []
    with wearing(pipeline, folder, {name: 1.0}):
        pictures = drawn(pipeline, said, 4_000_000)
        others = drawn(pipeline, [prompt for _, prompt in ordinary], 5_000_000)
    row = {"with": _share([subject.is_in(picture) for picture in pictures])}
    row["without"] = _share([subject.is_in(picture) for picture in without])
    grounds = [detect(picture).background for picture in pictures]
    right = [ground == scene.background for ground, (scene, _) in zip(grounds, cases, strict=True)]
    row["background"] = _share(right)
    if ordinary:
        judged = zip(ordinary, others, strict=True)
        row["ordinary all right"] = shares(
            judge(scene, detect(picture)) for (scene, _), picture in judged
        )["all right"]
    return row


def _share(marks: list[bool]) -> float:
    return round(100 * float(np.mean(marks)), 1)


def main() -> None:
    """Print one JSON line for each adapter, or draw them."""
    names = (*PLANS, *EMBEDDINGS, "outlines")
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=names)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pipeline = load_pipeline()
    for name in [options.only] if options.only else names:
        if name == "outlines":
            cases = controls(options.count)
            with_it = follow(pipeline, options.folder / name, cases)
            without = drawn(pipeline, [case.prompt for case in cases], 6_000_000)
            row = {
                key: _share([c.is_followed(p) for c, p in zip(cases, pictures, strict=True)])
                for key, pictures in (("with", with_it), ("without", without))
            }
        else:
            row = measure(pipeline, options.folder, name, options.count)
        print(json.dumps({"adapter": name, "n": options.count, **row}), flush=True)


if __name__ == "__main__":
    main()

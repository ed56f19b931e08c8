"""`python -m tools.classifier` trains models/frogs: whether a picture shows a frog.

It is what the tests look at pictures with, and an example of a classifier for LATENTRY_CLASSIFIER.
A small convolutional network learns from scenes as they are drawn here, and from pictures that the
bundled model draws of captions; it is measured on 200 of each that it has never seen. Needs the
package `onnx`, with which torch writes the file.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Final

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from torch import nn
from torch.nn import functional

from tools.evaluate import generate
from tools.scenes.captions import caption
from tools.scenes.drawing import draw
from tools.scenes.scene import Scene, sample_scene
from tools.training.parts import FOLDER as SHAPES

FOLDER: Final = Path(__file__).parents[1] / "models" / "frogs"
SIDE: Final = 96
SHAPE: Final = "frog"
HELD_OUT: Final = 200
_SIZES: Final = ((128, 128), (128, 128), (96, 96), (192, 128), (128, 192), (160, 160))
_BATCH: Final = 48
_RENDERED: Final = 3000
_DRAWN_SHARE: Final = 0.2  # of a batch: pictures of the model's
_CHANNELS: Final = (12, 24, 32, 48)


def network() -> nn.Sequential:
    """[n, 3, SIDE, SIDE] RGB from 0 to 1 to [n, 1], the probability of a frog."""
    before, *others = _CHANNELS
    layers: list[nn.Module] = [nn.Conv2d(3, before, 5, stride=2, padding=2), nn.ReLU()]
    for channels in others:
        layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        before = channels
    layers += [nn.Conv2d(before, before, 3, padding=1), nn.ReLU(), nn.AdaptiveMaxPool2d(1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before, 1), nn.Sigmoid())


def scenes(count: int, seed: str) -> list[Scene]:
    """Scenes of several sizes, half of them with a frog."""
    rng = random.Random(seed)
    found: list[Scene] = []
    while len(found) < count:
        width, height = rng.choice(_SIZES)
        scene = sample_scene(rng, width, height)
        if shows_frog(scene) == bool(len(found) % 2):
            found.append(scene)
    return found


def shows_frog(scene: Scene) -> bool:
    """Whether one of its things is a frog."""
    return any(thing.shape == SHAPE for thing in scene.things)


def drawn_by_the_model(count: int, seed: str, folder: Path) -> list[np.ndarray]:
    """Pictures of as many scenes' captions, drawn by the bundled model; kept in `folder`."""
    pipeline = None
    pictures = []
    for number, scene in enumerate(scenes(count, seed)):
        file = folder / seed / f"{number:05d}.png"
        if not file.exists():
            if pipeline is None:
                pipeline = StableDiffusionPipeline.from_pretrained(SHAPES)
                pipeline.set_progress_bar_config(disable=True)
            text = caption(scene, random.Random(f"{seed} {number}"), empty=0, partial=0)
            [picture] = generate(
                pipeline, [text], [number], guidance_scale=2.0, num_inference_steps=15,
                width=scene.width, height=scene.height,
            )  # fmt: skip
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(file)
        pictures.append(np.asarray(Image.open(file)))
    return pictures


def rendered(count: int, seed: str) -> tuple[list[np.ndarray], list[bool]]:
    """Scenes as they are drawn here, and whether each has a frog."""
    found = scenes(count, seed)
    return [draw(scene) for scene in found], [shows_frog(scene) for scene in found]


def as_input(pictures: list[np.ndarray]) -> torch.Tensor:
    """Pictures of any size as the network takes them."""
    return torch.stack(
        [
            torch.from_numpy(
                np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
                .transpose(2, 0, 1)
                .copy()
            ).float()
            / 255
            for one in pictures
        ]
    )


def varied(pictures: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Mirrored, moved, lightened, blurred and grainy: drawn pictures become like painted ones."""
    if rng.random() < 0.5:
        pictures = pictures.flip(3)
    down, right = (int(step) for step in rng.integers(-6, 7, 2))
    pictures = pictures.roll((down, right), (2, 3))
    if rng.random() < 0.5:
        small = functional.interpolate(pictures, scale_factor=0.6, mode="bilinear")
        pictures = functional.interpolate(small, size=(SIDE, SIDE), mode="bilinear")
    pictures = pictures * float(rng.uniform(0.85, 1.1)) + float(rng.uniform(-0.08, 0.08))
    noise = torch.randn(pictures.shape) * float(rng.uniform(0, 0.06))
    return (pictures + noise).clamp(0, 1)


def train(steps: int, painted: list[np.ndarray], seed: int = 0) -> nn.Sequential:
    """A network that was trained on new scenes and on these pictures, which are of `scenes`."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    pictures, frogs = rendered(_RENDERED, "rendered")
    frogs += [shows_frog(one) for one in scenes(len(painted), "training")]
    known, truths = as_input(pictures + painted), torch.tensor(frogs).float()
    from_model = int(_BATCH * _DRAWN_SHARE)
    for step in range(steps):
        ours = rng.choice(len(pictures), _BATCH - from_model)
        theirs = len(pictures) + rng.choice(len(painted), from_model)
        chosen = np.concatenate([ours, theirs])
        shown, truth = known[chosen], truths[chosen]
        loss = functional.binary_cross_entropy(model(varied(shown, rng))[:, 0], truth)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)
    return model.eval()


def right(model: nn.Module, pictures: list[np.ndarray], truths: list[bool]) -> float:
    """The share of pictures that it is right about."""
    with torch.inference_mode():
        found = model(as_input(pictures))[:, 0] >= 0.5
    return float((found == torch.tensor(truths)).float().mean())


def export(model: nn.Module, folder: Path) -> None:
    """Write the network and the description of what it takes."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        model,
        (torch.zeros(1, 3, SIDE, SIDE),),
        folder / "classifier.onnx",
        dynamo=False,
        input_names=["pictures"],
        output_names=["scores"],
        dynamic_axes={"pictures": {0: "n"}, "scores": {0: "n"}},
    )
    (folder / "classifier.json").write_text(json.dumps({"labels": [SHAPE]}) + "\n")


def main() -> None:
    """Train, measure and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder for drawn pictures")
    parser.add_argument("--count", type=int, default=60, help="pictures of the model to learn from")
    parser.add_argument("--steps", type=int, default=900)
    given = parser.parse_args()
    unseen = drawn_by_the_model(HELD_OUT, "held out", given.cache)
    model = train(given.steps, drawn_by_the_model(given.count, "training", given.cache))
    truths = [shows_frog(scene) for scene in scenes(HELD_OUT, "held out")]
    print(f"drawn by the model: {right(model, unseen, truths):.1%} of {HELD_OUT}")
    print(f"drawn here: {right(model, *rendered(HELD_OUT, 'unseen')):.1%} of {HELD_OUT}")
    export(model, FOLDER)


if __name__ == "__main__":
    main()

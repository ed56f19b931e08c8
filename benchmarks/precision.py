"""What bfloat16 changes in pictures, beside float32.

python -m benchmarks.precision [--pictures 200] [--model FOLDER_OR_FILE --side 512 --steps 4]

The bundled model draws held-out prompts in both precisions; tools/scenes/checker.py recognises
colour, background and shape. Of another model, whose weights may be random, latents and pictures
are compared: with its parts in bfloat16, and with some of them left in float32.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from benchmarks.skipping import RIGHT, SHAPES, SIDE, draw
from benchmarks.tables import number, share, table
from latentry.contracts import ResolvedRequest
from tools.evaluate import held_out, judge, shares
from tools.scenes.checker import detect
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Engine, Order, Pixels

PAIRS: Final = 0.3  # of the prompts ask for two things
KINDS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "float32": ("float32", ()),
    "bfloat16": ("bfloat16", ()),
    "bfloat16, VAE in float32": ("bfloat16", ("vae",)),
}


def backend(kind: str, source: Path, threads: int) -> Diffusion:
    """With this model, in a precision, and with some of its parts in float32."""
    dtype, parts = KINDS[kind]
    opened = Diffusion(device="cpu", dtype=dtype, threads=threads)
    opened.load("shapes", source)
    for part in parts:
        getattr(opened.models["shapes"], part).float()
    return opened


def bundled(pictures: int, threads: int) -> Iterator[list[str]]:
    """For each kind: how much it changes, and how many pictures show what was asked for."""
    scenes = held_out(pictures, SIDE, SIDE, pairs=PAIRS)
    drawn: dict[str, Sequence[Pixels]] = {}
    for kind in KINDS:
        prompts = [prompt for _, prompt in scenes]
        drawn[kind] = draw(Engine(backend(kind, SHAPES, threads)), prompts, {})
        cases = zip(scenes, drawn[kind], strict=True)
        found = shares(judge(scene, detect(picture)) for (scene, _), picture in cases)
        pairs = zip(drawn[kind], drawn["float32"], strict=True)
        moved = float(np.mean([_moved(*pair) for pair in pairs]))
        right = [number(found[name], 1) for name in (*RIGHT, "all right")]
        yield [kind, number(moved, 2), *right]


def other(source: Path, side: int, steps: int, threads: int) -> Iterator[list[str]]:
    """For each kind: the distance of its final latent, and of its picture, from float32's."""
    latents: dict[str, torch.Tensor] = {}
    pictures: dict[str, Any] = {}
    for kind in KINDS:
        opened = backend(kind, source, threads)
        fields = opened.models["shapes"].card.defaults.model_dump()
        fields |= {"width": side, "height": side, "num_inference_steps": steps}
        request = ResolvedRequest(model="shapes", prompt="a lighthouse", seed=1, **fields)
        order = Order("job", 0, request, 1)
        member, _ = opened.begin(order, opened.plan(order))
        while member.calls_left:
            opened.advance([member], member.rows)
        latents[kind] = member.latent
        [pictures[kind]] = opened.decode([member]).take()
        error = latents[kind] - latents["float32"]
        yield [
            kind,
            share(float(error.norm() / latents["float32"].norm())),
            number(float(error.abs().max() / latents["float32"].abs().max()), 3),
            number(_moved(pictures[kind], pictures["float32"]), 2),
        ]


def _moved(one: Pixels, other: Pixels) -> float:
    """The mean difference of two pictures, in levels of 255."""
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--model", type=Path)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    if options.model:
        head = ["kind", "latent, relative norm", "largest, relative", "picture, levels"]
        rows = other(options.model, options.side, options.steps, options.threads)
    else:
        head = ["kind", "mean change, levels", *RIGHT, "all right"]
        rows = bundled(options.pictures, options.threads)
    print("\n".join(table(head, rows)))


if __name__ == "__main__":
    main()

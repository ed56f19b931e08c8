"""Teaches the bundled model something: LoRAs, an embedding, DreamBooth, a ControlNet.

`python -m tools.adapt lora house` trains, from where it was stopped, and writes
`models/adapters/house.safetensors`; `python -m tools.evaluate_adapters` measures what came of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch

from tools.scenes.subjects import SUBJECTS
from tools.training.adapters import controlnet, dreambooth, embedding, lora

FOLDER = Path("models/adapters")


def teach_lora(what: str, steps: int | None, output: Path | None) -> None:
    """Train and write a LoRA."""
    subject = SUBJECTS[what]
    lora.train(subject, steps)
    lora.export(subject, output or FOLDER / f"{what}.safetensors")


def teach_embedding(what: str, steps: int | None, output: Path | None) -> None:
    """Train and write an embedding."""
    subject = SUBJECTS[what]
    embedding.train(subject, steps)
    embedding.export(subject, output or FOLDER / f"{what}.safetensors")


def teach_dreambooth(what: str, steps: int | None, output: Path | None) -> None:
    """Train, and write a model's folder, or a LoRA if the output is a `.safetensors` file."""
    subject = SUBJECTS[what]
    dreambooth.train(subject, steps)
    target = output or Path(".latentry/models") / what
    write = dreambooth.export_lora if target.suffix == ".safetensors" else dreambooth.export_folder
    write(subject, target)


def teach_controlnet(what: str, steps: int | None, output: Path | None) -> None:
    """Train and write a ControlNet."""
    controlnet.train(steps)
    controlnet.export(output or FOLDER / what)


WAYS: dict[str, tuple[Callable[[str, int | None, Path | None], None], list[str]]] = {
    "lora": (teach_lora, list(lora.PLANS)),
    "embedding": (teach_embedding, ["mascot"]),
    "dreambooth": (teach_dreambooth, ["house", "flame"]),
    "controlnet": (teach_controlnet, ["outlines"]),
}


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    ways = parser.add_subparsers(dest="way", required=True)
    for way, (teach, subjects) in WAYS.items():
        added = ways.add_parser(way, help=teach.__doc__)
        added.add_argument("what", choices=subjects)
        added.add_argument("--steps", type=int, help="another number than planned")
        added.add_argument("--output", type=Path, help="a file, or a folder")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    teach, _ = WAYS[options.way]
    teach(options.what, options.steps, options.output)


if __name__ == "__main__":
    main()

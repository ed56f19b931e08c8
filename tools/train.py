"""Trains the bundled model from scratch into `models/shapes`; it resumes where it was stopped.

`python -m tools.train` runs all stages; `--stages unet export` only these.
"""

from __future__ import annotations

import argparse
import random
from functools import partial

import torch
from diffusers import AutoencoderKL

from tools.scenes.scene import sample_scene
from tools.training import bank, checkpoints, export, processes, text, tokenizer, unet, vae

STAGES = ("vae", "text", "bank", "unet", "export")


def folded_vae() -> AutoencoderKL:
    """The trained autoencoder, its latents folded to mean 0 and deviation 1."""
    model = vae.trained()
    scenes = [sample_scene(random.Random(f"fold {number}")) for number in range(256)]
    latents = bank.encode(model, scenes).float()
    export.fold(model, latents.mean((0, 2, 3)), latents.std((0, 2, 3)))
    return model


def train_unet(steps: int) -> None:
    """One of the UNet's training processes."""
    words = tokenizer.load(checkpoints.RUNS / "tokenizer")
    unet.train(unet.BatchSource(bank.load(), text.trained(words), words), steps)


def run(stages: list[str], steps: int, workers: int) -> None:
    """Run the named stages in their order."""
    words = tokenizer.write(checkpoints.RUNS / "tokenizer")
    if "vae" in stages:
        vae.train()
    if "text" in stages:
        text.train(words)
    if "bank" in stages:
        bank.build(folded_vae())
    if "unet" in stages:
        processes.spread("unet", workers, partial(train_unet, steps))
    if "export" in stages:
        export.export(vae=folded_vae(), encoder=text.trained(words), unet=unet.trained())


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--steps", type=int, default=unet.STEPS, help="total steps of the UNet")
    parser.add_argument("--workers", type=int, default=2, help="threads, or UNet processes")
    options = parser.parse_args()
    torch.set_num_threads(options.workers)
    run(options.stages, options.steps, options.workers)


if __name__ == "__main__":
    main()

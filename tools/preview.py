"""Trains `models/shapes/taesd`, the tiny decoder of previews, from the model's autoencoder.

`python -m tools.preview` trains, writes and measures; with `--measure` it only measures.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from statistics import median

import torch
from diffusers import AutoencoderKL, AutoencoderTiny

from tools.scenes.scene import sample_scene
from tools.training import bank, loop
from tools.training.loop import Course, adamw, cosine
from tools.training.parts import FOLDER, load_part

STEPS = 3000
PICTURES = 384
BATCH = 16
CROP = 8  # latent cells a side, 64 pixels
RATE = 3e-3
# Noise on the latents, whose deviation is 1: those of an unfinished picture are not exact.
NOISE = 0.05
HELD_OUT = 64
ROUNDS = 15


def build() -> AutoencoderTiny:
    """An untrained decoder: few channels and no norms, because it runs between steps.

    The encoder is never used; the one that the class requires is a stub of 700 weights.
    """
    return AutoencoderTiny(
        encoder_block_out_channels=(4, 4, 4, 4),
        num_encoder_blocks=(0, 0, 0, 0),
        decoder_block_out_channels=(24, 24, 24, 24),
        num_decoder_blocks=(2, 2, 1, 0),
    )


def load_vae() -> AutoencoderKL:
    """The autoencoder to learn from."""
    vae: AutoencoderKL = load_part(AutoencoderKL, "vae").to(memory_format=torch.channels_last)
    return vae


@torch.no_grad()
def pairs(vae: AutoencoderKL, count: int, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents of drawn scenes, and what the autoencoder makes of them."""
    scenes = [sample_scene(random.Random(f"{name} {number}")) for number in range(count)]
    latents = bank.encode(vae, scenes).float()
    decoded = [vae.decode(some).sample.clamp(-1, 1) for some in torch.split(latents, BATCH)]
    return latents, torch.cat(decoded)


def crops(
    latents: torch.Tensor, pictures: torch.Tensor, rng: random.Random
) -> tuple[torch.Tensor, torch.Tensor]:
    """Random squares of random pictures: cheaper than whole ones, and as full of edges."""
    factor, room = pictures.shape[-1] // latents.shape[-1], latents.shape[-1] - CROP
    inputs, targets = [], []
    for _ in range(BATCH):
        which, top, left = rng.randrange(len(latents)), rng.randint(0, room), rng.randint(0, room)
        inputs.append(latents[which, :, top : top + CROP, left : left + CROP])
        rows = slice(top * factor, (top + CROP) * factor)
        columns = slice(left * factor, (left + CROP) * factor)
        targets.append(pictures[which, :, rows, columns])
    return torch.stack(inputs), torch.stack(targets)


def train() -> AutoencoderTiny:
    """Distil the decoder by its mean absolute error, from the last checkpoint to the end."""
    torch.manual_seed(1)
    tiny = build().to(memory_format=torch.channels_last)
    latents, pictures = pairs(load_vae(), PICTURES, "preview")

    def loss_of(step: int) -> torch.Tensor:
        inputs, targets = crops(latents, pictures, random.Random(step))
        error = tiny.decode(inputs + NOISE * torch.randn_like(inputs)).sample - targets
        loss: torch.Tensor = error.abs().mean() + error.square().mean()
        return loss

    course = Course("preview", STEPS, cosine)
    loop.train(course, tiny.decoder, adamw(tiny.decoder, RATE, weight_decay=0), loss_of)
    return tiny.eval().requires_grad_(False)


def export(tiny: AutoencoderTiny) -> None:
    """Write it, without the option that diffusers adds and then warns of."""
    tiny.half().save_pretrained(FOLDER / "taesd")
    file = FOLDER / "taesd" / "config.json"
    config = json.loads(file.read_text())
    del config["block_out_channels"]
    file.write_text(json.dumps(config, indent=2) + "\n")


@torch.no_grad()
def measure() -> None:
    """Compare it with the autoencoder's decoder: how near it comes, and how long it takes."""
    vae = load_vae()
    tiny = AutoencoderTiny.from_pretrained(
        FOLDER / "taesd", torch_dtype=torch.float32, low_cpu_mem_usage=False
    )
    tiny = tiny.eval().to(memory_format=torch.channels_last)
    latents, pictures = pairs(vae, HELD_OUT, "preview held out")
    error = (tiny.decode(latents).sample.clamp(-1, 1) - pictures) / 2
    mse = error.square().mean().item()
    taken: dict[str, list[float]] = {"vae": [], "taesd": []}
    for number in range(ROUNDS):
        for name, decoder in (("vae", vae), ("taesd", tiny)):
            began = time.perf_counter()
            decoder.decode(latents[number : number + 1])
            taken[name].append(1000 * (time.perf_counter() - began))
    both = {name: median(some) for name, some in taken.items()}
    ratio = median(a / b for a, b in zip(taken["vae"], taken["taesd"], strict=True))
    print(f"MSE {mse:.6f}, PSNR {-10 * math.log10(mse):.1f} dB over {HELD_OUT} pictures")
    print(f"vae {both['vae']:.1f} ms, taesd {both['taesd']:.1f} ms, {ratio:.1f} times")


def main() -> None:
    """Read the command line, then train or not, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true", help="only measure the existing decoder")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if not options.measure:
        export(train())
    measure()


if __name__ == "__main__":
    main()

"""The autoencoder: its form, its training, and latents folded to mean 0 and deviation 1."""

from __future__ import annotations

import random

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch.nn.functional import avg_pool2d

from tools.scenes.drawing import draw
from tools.scenes.scene import COLOURS, SHAPES, SIZES, Scene, Thing, sample_scene
from tools.training import checkpoints, loop
from tools.training.loop import Course, adamw, cosine

JOINT_STEPS = 3200  # encoder and decoder; afterwards the decoder alone, so the latents stay
DECODER_STEPS = 1900
FULL_STEPS = 100  # the last ones, on whole pictures of every size
KL_WEIGHT = 3e-4
# Noise on the latents, as a share of their deviation: the decoder must forgive an imprecise UNet.
JOINT_NOISE = 0.06
DECODER_NOISE = 0.15
JOINT_RATE = 2.5e-3
DECODER_RATE = 1.5e-3
AVERAGE_DECAY = 0.99


def build() -> AutoencoderKL:
    """An untrained autoencoder, factor 8, light at full resolution because decoding is serving."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 64, 64),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        mid_block_add_attention=False,
        sample_size=128,
        scaling_factor=1.0,
    )


def to_tensor(pictures: list[np.ndarray]) -> torch.Tensor:
    """Stack pictures as the model's N × 3 × H × W in -1…1."""
    batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    return batch.float() / 127.5 - 1


def crop_scene(rng: random.Random, side: int = 64) -> Scene:
    """Things at their 128² sizes scattered over a small picture: many edges a pixel."""
    background, *colours = rng.sample(list(COLOURS), rng.choice((2, 3, 3)))
    return Scene(
        side,
        side,
        background,
        tuple(
            Thing(
                colour,
                rng.choice(SHAPES),
                "",
                "",
                x=rng.uniform(8, side - 8),
                y=rng.uniform(8, side - 8),
                radius=128 * rng.choice((*SIZES.values(), SIZES["small"])) * rng.uniform(0.7, 1.1),
                angle=rng.uniform(-0.06, 0.06),
            )
            for colour in colours
        ),
    )


def training_batch(rng: random.Random, step: int) -> torch.Tensor:
    """Crops first, because they are cheap; whole pictures of every size at the end."""
    if step < JOINT_STEPS + DECODER_STEPS - FULL_STEPS:
        return to_tensor([draw(crop_scene(rng)) for _ in range(16)])
    width, height = rng.choice(((128, 128), (128, 128), (96, 160), (160, 96), (192, 128)))
    return to_tensor([draw(sample_scene(rng, width, height)) for _ in range(6)])


def loss_of(vae: AutoencoderKL, pictures: torch.Tensor) -> torch.Tensor:
    """Absolute and squared error, that of areas of 8² once more, and how far from a Gaussian."""
    with torch.set_grad_enabled(vae.quant_conv.weight.requires_grad):
        posterior = vae.encode(pictures).latent_dist
    latents = posterior.sample()
    share = JOINT_NOISE if latents.requires_grad else DECODER_NOISE
    noise = torch.randn_like(latents) * (share * latents.detach().std())
    decoded = vae.decode(latents + noise).sample
    error = decoded - pictures
    flat = avg_pool2d(error, 8)
    loss: torch.Tensor = error.abs().mean() + 2 * error.square().mean() + 2 * flat.square().mean()
    spread: torch.Tensor = posterior.kl().mean() / latents[0].numel()
    return loss + KL_WEIGHT * spread


def share_at(step: int, _total: int) -> float:
    """One warm-up and cosine for both halves together, another for the decoder alone."""
    if step < JOINT_STEPS:
        return cosine(step, JOINT_STEPS)
    return DECODER_RATE / JOINT_RATE * cosine(step - JOINT_STEPS, DECODER_STEPS)


def train() -> None:
    """Train from the last checkpoint to the end, keeping an average of the weights."""
    torch.manual_seed(1)
    vae = build().to(memory_format=torch.channels_last)

    def loss_at(step: int) -> torch.Tensor:
        if step >= JOINT_STEPS:
            vae.encoder.requires_grad_(False)
            vae.quant_conv.requires_grad_(False)
        return loss_of(vae, training_batch(random.Random(step), step))

    course = Course("vae", JOINT_STEPS + DECODER_STEPS, share_at, AVERAGE_DECAY, save_every=200)
    loop.train(course, vae, adamw(vae, JOINT_RATE, weight_decay=0), loss_at)


def trained() -> AutoencoderKL:
    """The averaged weights of the last checkpoint."""
    model = build()
    model.load_state_dict(checkpoints.require("vae")["average"])
    return model.eval().requires_grad_(False).to(memory_format=torch.channels_last)

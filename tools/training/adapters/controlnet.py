"""The ControlNet of the bundled model: outlines say where a thing is and how large.

Zhang et al., "Adding conditional control to text-to-image diffusion models", 2023: a copy of the
UNet's encoder learns beside the frozen UNet, through layers that begin at zero.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch.nn.functional import max_pool2d, mse_loss
from transformers import CLIPTextModel, CLIPTokenizer

from tools.scenes.captions import caption
from tools.scenes.drawing import draw
from tools.scenes.edges import canny
from tools.scenes.scene import COLOURS, SHAPES, Scene, Thing, sample_scene
from tools.training import bank, checkpoints, loop
from tools.training.loop import Course, trapezoid
from tools.training.muon import muon_adamw
from tools.training.parts import hidden, load_part, load_tokenizer
from tools.training.unet import add_noise, noise_schedule

STEPS = 550
DECAY_STEPS = 200
BATCH = 20
COUNT = 4_000  # scenes in the bank
SIDE = 128
RADII = (0.14, 0.32)  # of things, as shares of the side
FREE_SHARE = 0.75  # of scenes whose thing is anywhere, of any size, and named without either
THICK_SHARE = 0.3  # of outlines that are three pixels wide
PEAK_RATE = 1e-3
MATRIX_RATE = 2e-3
AVERAGE_DECAY = 0.99
TIMESTEP_POWER = 0.6  # where a thing stands is decided while there is more noise than picture
# Of the layers that read the outlines. With diffusers' 16, 32, 96, 256 the file would be 6.5 MB.
OUTLINE_CHANNELS = (16, 32, 64, 64)


def build() -> ControlNetModel:
    """An untrained ControlNet: the UNet's encoder, what it adds multiplied by 0."""
    unet = load_part(UNet2DConditionModel, "unet")
    return ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=OUTLINE_CHANNELS)


def sample_free(rng: random.Random) -> Scene:
    """One thing anywhere, of any size, whose caption says neither."""
    background, colour = rng.sample(list(COLOURS), 2)
    radius = SIDE * rng.uniform(*RADII)
    x, y = (rng.uniform(radius, SIDE - radius) for _ in range(2))
    angle = rng.uniform(-0.06, 0.06)
    thing = Thing(colour, rng.choice(SHAPES), "medium", "centre", x, y, radius, angle)
    return Scene(SIDE, SIDE, background, (thing,))


def scenes() -> list[Scene]:
    """The scenes of the bank, always the same."""
    rng = random.Random("controlnet")
    return [
        sample_free(rng) if rng.random() < FREE_SHARE else sample_scene(rng) for _ in range(COUNT)
    ]


def build_bank() -> None:
    """Encode the scenes and find their outlines once, unless that was done before."""
    if checkpoints.load("controlnet-bank") is None:
        began = time.monotonic()
        vae = load_part(AutoencoderKL, "vae").to(memory_format=torch.channels_last)
        found = [torch.from_numpy(canny(draw(scene))) for scene in scenes()]
        latents = bank.encode(vae, scenes())
        checkpoints.save("controlnet-bank", {"latents": latents, "outlines": torch.stack(found)})
        checkpoints.log("controlnet bank", seconds=round(time.monotonic() - began))


@dataclass(frozen=True, slots=True)
class Batch:
    """Latents, their captions' embeddings, and outlines of three channels in 0…1."""

    latents: torch.Tensor
    words: torch.Tensor
    outlines: torch.Tensor


class BatchSource:
    """Draws scenes from the bank, with a new caption each time."""

    def __init__(self, encoder: CLIPTextModel, tokenizer: CLIPTokenizer) -> None:
        """Captions are encoded by this text encoder."""
        state = checkpoints.require("controlnet-bank")
        self.latents, self.outlines = state["latents"], state["outlines"]
        self.scenes = scenes()
        self.encoder, self.tokenizer = encoder, tokenizer

    @torch.no_grad()
    def draw(self, number: int) -> Batch:
        """The batch of this number; the same one on every call."""
        rng = random.Random(number)
        picked = rng.sample(range(COUNT), BATCH)
        captions = [caption(self.scenes[index], rng) for index in picked]
        outlines = self.outlines[picked].float()[:, None]
        thick = torch.tensor([rng.random() < THICK_SHARE for _ in picked])[:, None, None, None]
        outlines = torch.where(thick, max_pool2d(outlines, 3, 1, 1), outlines)
        return Batch(
            self.latents[picked].float(),
            hidden(self.encoder, self.tokenizer, captions),
            outlines.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last),
        )


def loss_of(
    controlnet: ControlNetModel, unet: UNet2DConditionModel, noising: DDIMScheduler, batch: Batch
) -> torch.Tensor:
    """Mean squared error of the velocity, computed in bfloat16."""
    noised = add_noise(noising, batch.latents, TIMESTEP_POWER)
    given = {"encoder_hidden_states": batch.words}
    with torch.autocast("cpu", torch.bfloat16):
        added = controlnet(
            noised.latents, noised.timesteps, **given, controlnet_cond=batch.outlines
        )
        predicted = unet(
            noised.latents,
            noised.timesteps,
            **given,
            down_block_additional_residuals=added.down_block_res_samples,
            mid_block_additional_residual=added.mid_block_res_sample,
        ).sample
    return mse_loss(predicted.float(), noised.velocity)


def train(steps: int | None = None) -> None:
    """Train from the last checkpoint to the end, keeping an average of the weights."""
    torch.manual_seed(5)
    build_bank()
    batches = BatchSource(load_part(CLIPTextModel, "text_encoder"), load_tokenizer())
    unet = load_part(UNet2DConditionModel, "unet").to(memory_format=torch.channels_last)
    controlnet = build().train().to(memory_format=torch.channels_last)
    for part in (unet, controlnet):
        part.set_attn_processor(AttnProcessor())
    noising = noise_schedule()
    course = Course("controlnet", steps or STEPS, trapezoid(50, DECAY_STEPS), AVERAGE_DECAY, 25, 50)
    loop.train(
        course,
        controlnet,
        muon_adamw(controlnet, PEAK_RATE, MATRIX_RATE),
        lambda number: loss_of(controlnet, unet, noising, batches.draw(number)),
    )


def trained() -> ControlNetModel:
    """The averaged weights of the last checkpoint."""
    controlnet = build()
    controlnet.load_state_dict(checkpoints.require("controlnet")["average"])
    return controlnet.eval().requires_grad_(False)


def export(folder: Path) -> None:
    """Write it in half precision, as diffusers' `ControlNetModel` in a folder."""
    trained().half().save_pretrained(folder)

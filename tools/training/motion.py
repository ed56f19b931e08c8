"""The motion module of the bundled model: temporal layers between the layers of its frozen UNet."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    MotionAdapter,
    UNet2DConditionModel,
    UNetMotionModel,
)
from diffusers.models.attention_processor import AttnProcessor
from torch.nn.functional import mse_loss
from transformers import CLIPTextModel, CLIPTokenizer

from tools.scenes.clips import MovingScene, moving_caption, sample_moving, sample_still
from tools.training import bank, checkpoints, loop
from tools.training.loop import Course, trapezoid
from tools.training.muon import muon_adamw
from tools.training.parts import hidden, load_part
from tools.training.unet import add_noise, noise_schedule

FRAMES = 8
STEPS = 1200
DECAY_STEPS = 500
CLIPS = 2  # in each process
MOVING_COUNT, STILL_COUNT = 480, 96  # in the bank
STILL_SHARE = 0.15
HARDEST = 3
PEAK_RATE = 1e-3
MATRIX_RATE = 2e-3
AVERAGE_DECAY = 0.99
# Where a thing stands is decided while there is more noise than picture: more of those timesteps.
TIMESTEP_POWER = 0.5
SAVE_EVERY = 25
LOOKING, PASSING = 2.0, 0.7  # of the attention's first weights


def build() -> MotionAdapter:
    """An untrained motion module that changes nothing: what its layers add is multiplied by 0.

    Its attention begins with each frame looking at itself and its nearest. Random weights look at
    all frames alike, so that no layer knows which frame it is at: after 400 steps none did.
    """
    adapter = MotionAdapter(
        block_out_channels=(64, 128, 128),
        motion_layers_per_block=1,
        motion_num_attention_heads=4,
        motion_norm_num_groups=16,
        motion_max_seq_length=FRAMES,
        use_motion_mid_block=True,
    )
    for name, weight in adapter.named_parameters():
        if ".proj_out." in name and "transformer_blocks" not in name:
            torch.nn.init.zeros_(weight)
        elif name.endswith(("to_q.weight", "to_k.weight")):
            _identity(weight, LOOKING)
        elif name.endswith(("to_v.weight", "to_out.0.weight")):
            _identity(weight, PASSING)
    return adapter


@torch.no_grad()
def _identity(weight: torch.Tensor, scale: float) -> None:
    weight.copy_(scale * torch.eye(len(weight)))


def scenes() -> list[MovingScene]:
    """The scenes of the bank, always the same: first those that move."""
    rng = random.Random("motion")
    moving = [sample_moving(rng, FRAMES) for _ in range(MOVING_COUNT)]
    return moving + [sample_still(rng, FRAMES) for _ in range(STILL_COUNT)]


def build_bank() -> None:
    """Encode the scenes' frames once, unless that was done before."""
    if checkpoints.load("motion-bank") is None:
        began = time.monotonic()
        vae = load_part(AutoencoderKL, "vae").to(memory_format=torch.channels_last)
        moving = [frame for scene in scenes()[:MOVING_COUNT] for frame in scene.frames]
        still = [scene.frames[0] for scene in scenes()[MOVING_COUNT:]]
        latents = {"moving": bank.encode(vae, moving), "still": bank.encode(vae, still)}
        checkpoints.save("motion-bank", latents)
        checkpoints.log("motion bank", seconds=round(time.monotonic() - began))


@dataclass(frozen=True, slots=True)
class Batch:
    """Latents of clips [clips, channels, frames, h, w], and their captions' embeddings."""

    latents: torch.Tensor
    words: torch.Tensor


class BatchSource:
    """Draws clips from the bank, forwards or backwards, with a new caption each time."""

    def __init__(self, encoder: CLIPTextModel, tokenizer: CLIPTokenizer) -> None:
        """Captions are encoded by this text encoder."""
        state = checkpoints.require("motion-bank")
        moving = state["moving"].unflatten(0, (MOVING_COUNT, FRAMES))
        still = state["still"][:, None].expand(-1, FRAMES, -1, -1, -1)
        self.latents, self.scenes = torch.cat([moving, still]), scenes()
        self.encoder, self.tokenizer = encoder, tokenizer

    @torch.no_grad()
    def draw(self, number: int) -> Batch:
        """The batch of this number; the same one on every call."""
        rng = random.Random(number)
        latents, captions = [], []
        for _ in range(CLIPS):
            is_still = rng.random() < STILL_SHARE
            start, count = (MOVING_COUNT, STILL_COUNT) if is_still else (0, MOVING_COUNT)
            index = start + rng.randrange(count)
            scene, clip = self.scenes[index], self.latents[index].float()
            if rng.random() < 0.5:
                scene, clip = scene.reversed(), clip.flip(0)
            latents.append(clip.transpose(0, 1))
            captions.append(moving_caption(scene, rng, hardest=HARDEST))
        return Batch(torch.stack(latents), hidden(self.encoder, self.tokenizer, captions))


def loss_of(unet: UNetMotionModel, noising: DDIMScheduler, batch: Batch) -> torch.Tensor:
    """Mean squared error of the velocity, each clip at one timestep, computed in bfloat16."""
    noised = add_noise(noising, batch.latents, TIMESTEP_POWER)
    words = batch.words.repeat_interleave(FRAMES, dim=0)
    with torch.autocast("cpu", torch.bfloat16):
        predicted = unet(noised.latents, noised.timesteps, encoder_hidden_states=words).sample
    return mse_loss(predicted.float(), noised.velocity)


def motion_layers(unet: UNetMotionModel) -> torch.nn.ModuleDict:
    """The temporal layers alone, the only ones that learn."""
    named = [(name, part) for name, part in unet.named_modules() if name.endswith("motion_modules")]
    return torch.nn.ModuleDict({name.replace(".", "-"): part for name, part in named})


def train(batches: BatchSource, total: int = STEPS) -> None:
    """Train from the last checkpoint to the end, keeping an average of the weights."""
    torch.manual_seed(4)
    unet = UNetMotionModel.from_unet2d(load_part(UNet2DConditionModel, "unet"), build())
    # Backward through torch's fused attention took a third of a step on the CPU.
    unet.set_attn_processor(AttnProcessor())
    unet.freeze_unet2d_params()
    layers, noising = motion_layers(unet), noise_schedule()
    course = Course(
        "motion", total, trapezoid(50, DECAY_STEPS), AVERAGE_DECAY, SAVE_EVERY, SAVE_EVERY
    )
    loop.train(
        course,
        layers,
        muon_adamw(layers, PEAK_RATE, MATRIX_RATE),
        lambda number: loss_of(unet, noising, batches.draw(number)),
    )


def trained() -> MotionAdapter:
    """The averaged weights of the last checkpoint."""
    adapter = build()
    layers = checkpoints.require("motion")["average"]
    adapter.load_state_dict({name.replace("-", "."): weight for name, weight in layers.items()})
    return adapter.eval().requires_grad_(False)


def export(folder: Path) -> None:
    """Write the module in half precision, as diffusers' `MotionAdapter` in a folder."""
    trained().half().save_pretrained(folder)

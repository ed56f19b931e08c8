"""The motion module of the bundled model: temporal layers between the layers of its frozen UNet."""

from __future__ import annotations

import copy
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from tools.training import bank, checkpoints, text
from tools.training.export import FOLDER
from tools.training.muon import MuonAdamW
from tools.training.unet import follow, noise_schedule, share_gradients

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


def load_part(kind: Any, folder: str) -> Any:
    """A part of the bundled model, in float32, frozen."""
    part = kind.from_pretrained(FOLDER / folder, torch_dtype=torch.float32, low_cpu_mem_usage=False)
    return part.eval().requires_grad_(False)


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
        ids = text.tokenize(self.tokenizer, captions)
        return Batch(torch.stack(latents), self.encoder(ids).last_hidden_state)


def loss_of(unet: UNetMotionModel, noising: DDIMScheduler, batch: Batch) -> torch.Tensor:
    """Mean squared error of the velocity, each clip at one timestep."""
    count = len(batch.latents)
    spread = (torch.arange(count) + torch.rand(count)) / count
    timesteps = (spread**TIMESTEP_POWER * noising.config.num_train_timesteps).long()
    noise = torch.randn_like(batch.latents)
    noised = noising.add_noise(batch.latents, noise, timesteps)
    velocity = noising.get_velocity(batch.latents, noise, timesteps)
    words = batch.words.repeat_interleave(FRAMES, dim=0)
    predicted = unet(noised, timesteps, encoder_hidden_states=words).sample
    return mse_loss(predicted.float(), velocity)


def motion_layers(unet: UNetMotionModel) -> torch.nn.ModuleDict:
    """The temporal layers alone, the only ones that learn."""
    named = [(name, part) for name, part in unet.named_modules() if name.endswith("motion_modules")]
    return torch.nn.ModuleDict({name.replace(".", "-"): part for name, part in named})


def share_at(step: int, total: int) -> float:
    """Share of the peak learning rates: warm up, hold, and fall to zero over the last steps."""
    return min(1.0, (step + 1) / 50, max(total - step, 1) / DECAY_STEPS)


def train(batches: BatchSource, total: int = STEPS) -> None:
    """Train from the last checkpoint to the end, keeping an average of the weights.

    Every process of the group draws its own clips; their gradients are averaged.
    """
    torch.manual_seed(4)
    rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    unet = UNetMotionModel.from_unet2d(load_part(UNet2DConditionModel, "unet"), build())
    # Backward through torch's fused attention took a third of a step on the CPU.
    unet.set_attn_processor(AttnProcessor())
    unet.freeze_unet2d_params()
    layers, noising = motion_layers(unet), noise_schedule()
    average = copy.deepcopy(layers).requires_grad_(False)
    optimiser = MuonAdamW(layers, PEAK_RATE, MATRIX_RATE)
    step, began, smooth = 0, time.monotonic(), 1.0
    if state := checkpoints.load("motion"):
        layers.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        step, smooth = state["step"], state["loss"]
    while step < total:
        optimiser.set_share(share_at(step, total))
        torch.manual_seed(step * world + rank)
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(unet, noising, batches.draw(step * world + rank))
        torch.autograd.backward(loss)
        share_gradients(layers, world)
        torch.nn.utils.clip_grad_norm_(layers.parameters(), 1.0)
        optimiser.step()
        step += 1
        if rank > 0:
            continue
        follow(average, layers, step, AVERAGE_DECAY)
        smooth += max(0.02, 1 / step) * (loss.item() - smooth)
        if step % SAVE_EVERY == 0 or step == total:
            seconds = round(time.monotonic() - began)
            checkpoints.log("motion", step=step, loss=round(smooth, 5), seconds=seconds)
            state = {"model": layers.state_dict(), "average": average.state_dict()}
            state |= {"optimiser": optimiser.state_dict(), "step": step, "loss": smooth}
            checkpoints.save("motion", state)


def trained() -> MotionAdapter:
    """The averaged weights of the last checkpoint."""
    adapter = build()
    layers = checkpoints.require("motion")["average"]
    adapter.load_state_dict({name.replace("-", "."): weight for name, weight in layers.items()})
    return adapter.eval().requires_grad_(False)


def export(folder: Path) -> None:
    """Write the module in half precision, as diffusers' `MotionAdapter` in a folder."""
    trained().half().save_pretrained(folder)

"""Clips beside stock AnimateDiffPipeline: alone, two in a call, in every layout."""

from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers import AnimateDiffPipeline, MotionAdapter, StableDiffusionPipeline

from latentry.contracts import Sampler, Spacing
from tests.worker.engine import stock, tiny
from tests.worker.engine.clips import tiny_motion
from tests.worker.engine.clips.conftest import LAYOUTS
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.diffusion.trajectory import Trajectory
from worker.engine.loop import Order

pytestmark = stock.WARNINGS

SAMPLERS = [Sampler.DDIM, Sampler.EULER, Sampler.EULER_A, Sampler.DPMPP_2M, Sampler.HEUN]


@pytest.fixture(scope="session")
def pipelines(motion_folders: dict[str, Path]) -> dict[str, Any]:
    """Stock, which reads diffusers' layout only: of the published one the same module."""
    diffusers.logging.set_verbosity_error()
    diffusers.logging.disable_progress_bar()
    found = {}
    for name, folder in motion_folders.items():
        parts = StableDiffusionPipeline.from_pretrained(folder, low_cpu_mem_usage=False).components
        wanted = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
        module = motion_folders["epsilon" if name == "published" else name] / "motion_adapter"
        adapter = MotionAdapter.from_pretrained(module, low_cpu_mem_usage=False)
        parts = {part: parts[part] for part in wanted}
        found[name] = AnimateDiffPipeline(**parts, motion_adapter=adapter)
        found[name].set_progress_bar_config(disable=True)
        found[name].unet.to(memory_format=torch.channels_last)
    return found


def drawn(pipeline: Any, order: Order) -> torch.Tensor:
    """Stock's final latent of a clip, [C, frames · h, w]."""
    request = order.request
    pipeline.scheduler = stock.scheduler(tiny.EPSILON, request.sampler, request.spacing)
    latent: torch.Tensor = pipeline(
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        num_frames=request.frames,
        width=request.width,
        height=request.height,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        generator=torch.Generator().manual_seed(order.seed),
        output_type="latent",
    ).frames[0]
    return latent.flatten(1, 2)


def run(backend: Diffusion, *orders: Order) -> list[Trajectory]:
    """Draw clips, all in the same calls."""
    members = [backend.begin(order, backend.plan(order))[0] for order in orders]
    while members[0].calls_left:
        assert len({member.key for member in members}) == 1
        backend.advance(members, sum(member.rows for member in members))
    return members


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_a_clip_is_stocks(
    clip_backend: Diffusion, pipelines: dict[str, Any], sampler: Sampler, guidance: float
) -> None:
    order = tiny_motion.order(
        sampler=sampler, guidance_scale=guidance, negative_prompt="blur", seed=3
    )
    [clip] = run(clip_backend, order)
    assert stock.error(clip.latent, drawn(pipelines["epsilon"], order)) <= 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_stocks(
    clip_backend: Diffusion, pipelines: dict[str, Any], layout: str
) -> None:
    order = tiny_motion.order(model=layout, width=96, spacing=Spacing.DEFAULT)
    [clip] = run(clip_backend, order)
    assert stock.error(clip.latent, drawn(pipelines[layout], order)) <= 1


def test_two_clips_in_one_call_are_stocks(
    clip_backend: Diffusion, pipelines: dict[str, Any]
) -> None:
    orders = [
        tiny_motion.order("one", seed=1, num_inference_steps=5),
        tiny_motion.order("two", seed=2, prompt="a blue square", num_inference_steps=5),
    ]
    clips = run(clip_backend, *orders)
    for clip, order in zip(clips, orders, strict=True):
        assert stock.error(clip.latent, drawn(pipelines["epsilon"], order)) <= 1


def test_frames_of_a_clip_know_each_other(clip_backend: Diffusion) -> None:
    """Without the module's layers a longer clip would begin with the frames of a shorter one."""
    clips = [run(clip_backend, tiny_motion.order(frames=2, seed=seed))[0] for seed in (1, 1, 2)]
    first = [clip.latent.unflatten(1, (2, -1)) for clip in clips]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0][:, 0], first[0][:, 1])
    noise = [clip_backend.begin(one.order, clip_backend.plan(one.order))[0] for one in clips[:1]]
    swapped = noise[0]
    swapped.sampler.latents = swapped.sampler.latents.unflatten(2, (2, -1)).flip(2).flatten(2, 3)
    while swapped.calls_left:
        clip_backend.advance([swapped], swapped.rows)
    flipped = swapped.latent.unflatten(1, (2, -1)).flip(1)
    assert not torch.allclose(flipped, first[0], atol=1e-3), "frames know which is the first"

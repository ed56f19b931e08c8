"""`StableDiffusionPipeline` as its documentation says to use it, for one request or for equal ones.

Serving one at a time is dynamic batching with a cap of one. Its precision is that of the worker.
"""

import os
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
)
from diffusers.utils import logging
from PIL import Image
from transformers.utils import logging as transformers_logging

from benchmarks.child import Command, Inbox, Reply
from benchmarks.contenders.dynamic import next_group
from benchmarks.contenders.stock_loras import loras_of
from benchmarks.load.traces import Wish
from benchmarks.load.ways import pictures
from latentry.contracts import Sampler
from latentry.settings import Settings
from worker.engine.device import Device

SHAPES: Final = Path(__file__).parents[2] / "models" / "shapes"
SCHEDULERS: Final[dict[Sampler, Any]] = {
    Sampler.DDIM: DDIMScheduler,
    Sampler.EULER: EulerDiscreteScheduler,
    Sampler.EULER_A: EulerAncestralDiscreteScheduler,
    Sampler.DPMPP_2M: DPMSolverMultistepScheduler,
}


class Interrupted(Exception):
    """The requests were dropped while their pictures were drawn."""


class Stock:
    """A stock pipeline; by default with the bundled model."""

    def __init__(self, pipeline: Any = None) -> None:
        self._pipeline = pipeline or _shapes()
        self._pipeline.set_progress_bar_config(disable=True)
        self._loras = loras_of(self._pipeline)
        config = self._pipeline.scheduler.config
        self._kinds: dict[Any, Any] = {}
        self._samplers = {name: kind.from_config(config) for name, kind in SCHEDULERS.items()}

    def draw(self, wishes: Sequence[Wish], interrupted: threading.Event | None = None) -> list[Any]:
        """The pictures of equal wishes, in one call. Raises Interrupted between two steps."""

        def stop(_pipeline: Any, _step: int, _timestep: Any, kept: dict[str, Any]) -> Any:
            if interrupted is not None and interrupted.is_set():
                raise Interrupted
            return kept

        like = wishes[0]
        pipeline, options = self._kind_of(like, wishes)
        pipeline.scheduler = self._samplers[like.sampler]
        self._loras.wear(like.lora)
        images: list[Any] = pipeline(
            [wish.prompt for wish in wishes],
            num_inference_steps=like.num_inference_steps,
            guidance_scale=like.guidance_scale,
            **options,
            generator=[torch.Generator().manual_seed(wish.seed) for wish in wishes],
            callback_on_step_end=stop,
        ).images
        return images

    def _kind_of(self, like: Wish, wishes: Sequence[Wish]) -> tuple[Any, dict[str, Any]]:
        """The pipeline of the wishes' way, and what it takes besides prompts and steps.

        What stock has no pipeline for is drawn as a plain prompt, or as inpainting of the whole
        picture, which is never more work.
        """
        way, size = like.made, {"width": like.side, "height": like.side}
        if not way.brings:
            return self._pipeline, size
        brought = [pictures(wish.seed, like.side) for wish in wishes]
        options: dict[str, Any] = {
            "image": [Image.fromarray(one["image"]) for one in brought],
            "strength": way.strength,
        }
        if not (way.room or "mask" in way.brings):
            return self._of_kind(StableDiffusionImg2ImgPipeline), options
        masks = [Image.fromarray(one["mask"]).convert("L") for one in brought]
        inpainting = self._of_kind(StableDiffusionInpaintPipeline)
        return inpainting, {**options, **size, "mask_image": masks}

    def _of_kind(self, kind: Any) -> Any:
        """A pipeline of the same weights: what it begins with, and keeps of a picture, differs."""
        if kind not in self._kinds:
            made = kind(**self._pipeline.components, requires_safety_checker=False)
            made.set_progress_bar_config(disable=True)
            self._kinds[kind] = made
        return self._kinds[kind]

    def unet_s(self, rows: Sequence[int], side: int, rounds: int) -> dict[int, float]:
        """Median seconds of a UNet call for each count of rows, taken in turn."""
        unet = self._pipeline.unet
        text = self._pipeline.text_encoder.config

        def call(count: int) -> None:
            latents = torch.randn(count, unet.config.in_channels, side // 8, side // 8).to(
                unet.dtype
            )
            prompts = torch.randn(count, text.max_position_embeddings, text.hidden_size)
            prompts = prompts.to(unet.dtype)
            with torch.no_grad():
                unet(latents, torch.full((count,), 500), encoder_hidden_states=prompts)

        return medians(call, rows, rounds)


def dtype() -> torch.dtype:
    """The precision that a worker with these settings has on a CPU."""
    return Device.choose("cpu", Settings.from_env(os.environ).dtype).dtype


def _shapes() -> Any:
    logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    # Its parts are stored in several precisions.
    return StableDiffusionPipeline.from_pretrained(str(SHAPES)).to(dtype())


def medians(call: Callable[[int], object], sizes: Sequence[int], rounds: int) -> dict[int, float]:
    """Median seconds of a call at each size; the sizes take turns, and a first turn warms up."""
    took: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(1 + rounds):
        for size in sizes:
            begin = time.perf_counter()
            call(size)
            took[size].append(time.perf_counter() - begin)
    return {size: statistics.median(times[1:]) for size, times in took.items()}


def run(inbox: Inbox, reply: Reply) -> None:
    """Carry out commands until the input ends; equal requests run together, up to the cap."""
    stock, cap = Stock(), 1
    waiting: list[Command] = []
    while True:
        for command in inbox.take(wait=not waiting):
            match command.verb:
                case "draw":
                    waiting.append(command)
                case "clear":
                    inbox.interrupted.clear()
                    waiting.clear()
                    reply(command, {})
                case "cap":
                    cap = command.arguments["images"]
                    reply(command, {})
                case "costs":
                    reply(command, {"unet_s": stock.unet_s(**command.arguments)})
        if waiting:
            group = next_group(waiting, lambda command: command.wish.likeness, cap)
            waiting = [command for command in waiting if command not in group]
            _draw(stock, group, inbox.interrupted, reply)


def _draw(stock: Stock, group: list[Command], interrupted: threading.Event, reply: Reply) -> None:
    wishes = [command.wish for command in group]
    begin_s = time.monotonic()
    try:
        stock.draw(wishes, interrupted)
    except Interrupted:
        return
    step_s = (time.monotonic() - begin_s) / wishes[0].num_inference_steps
    for command in group:
        reply(command, {"wait_steps": (begin_s - command.received_s) / step_s})

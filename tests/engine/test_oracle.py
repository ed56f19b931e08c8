"""The engine against the stock diffusers pipeline with the same seed."""

import functools
import importlib
import random
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from latentry.contracts import ResolvedRequest, Sampler
from tests.engine import tiny
from worker.engine import Done, Engine, Order

# Stock diffusers 0.42 hands tensors to numpy 2.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't:DeprecationWarning"),
]

STOCK: dict[Sampler, tuple[str, str, dict[str, Any]]] = {
    Sampler.DDIM: ("scheduling_ddim", "DDIMScheduler", {"clip_sample": False}),
    Sampler.DDPM: ("scheduling_ddpm", "DDPMScheduler", {"clip_sample": False}),
    Sampler.PNDM: ("scheduling_pndm", "PNDMScheduler", {"skip_prk_steps": True}),
    Sampler.EULER: ("scheduling_euler_discrete", "EulerDiscreteScheduler", {}),
    Sampler.EULER_A: (
        "scheduling_euler_ancestral_discrete",
        "EulerAncestralDiscreteScheduler",
        {},
    ),
    Sampler.HEUN: ("scheduling_heun_discrete", "HeunDiscreteScheduler", {}),
    Sampler.DPMPP_2M: ("scheduling_dpmsolver_multistep", "DPMSolverMultistepScheduler", {}),
    Sampler.DPMPP_2M_SDE: (
        "scheduling_dpmsolver_multistep",
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "sde-dpmsolver++"},
    ),
    Sampler.DPMPP_SDE: (
        "scheduling_dpmsolver_singlestep",
        "DPMSolverSinglestepScheduler",
        {"algorithm_type": "sde-dpmsolver++"},
    ),
    Sampler.DPM2: ("scheduling_k_dpm_2_discrete", "KDPM2DiscreteScheduler", {}),
    Sampler.UNIPC: ("scheduling_unipc_multistep", "UniPCMultistepScheduler", {}),
    Sampler.LCM: ("scheduling_lcm", "LCMScheduler", {}),
}
# With zero terminal SNR these start at σ = 4096, where the stock step's `x + (x − x₀)/σ · Δσ` in
# fp32 leaves x on a grid of 0.0005: at few steps that alone is 40 times the tolerance (measured
# against itself in doubles). There the oracle is the stock code with its floats made doubles.
LOSES_DIGITS = {Sampler.EULER, Sampler.EULER_A}
Draw = Callable[..., tuple[torch.Tensor, np.ndarray]]


@contextmanager
def floats_as_doubles(module: Any, scheduler: Any) -> Iterator[None]:
    """Let a stock scheduler keep its σ in float64, and its `.to(torch.float32)` mean float64."""
    set_timesteps = scheduler.set_timesteps

    @functools.wraps(set_timesteps)
    def set_in_doubles(*args: Any, **options: Any) -> None:
        set_timesteps(*args, **options)
        scheduler.sigmas = scheduler.sigmas.double()

    with pytest.MonkeyPatch.context() as patch:
        names = {**vars(torch), "float32": torch.float64}
        patch.setattr(module, "torch", types.SimpleNamespace(**names))
        patch.setattr(scheduler, "set_timesteps", set_in_doubles)
        yield


@pytest.fixture(scope="module")
def stock(folders: dict[str, Path]) -> Draw:
    pipelines = {
        name: diffusers.StableDiffusionPipeline.from_pretrained(
            folder, safety_checker=None, low_cpu_mem_usage=False
        )
        for name, folder in folders.items()
    }

    @functools.cache
    def draw(
        request: str, seed: int, doubles: bool | None = None
    ) -> tuple[torch.Tensor, np.ndarray]:
        """Final latent [C, h, w] and pixels, as the stock pipeline makes them alone."""
        asked = ResolvedRequest.model_validate_json(request)
        pipeline, config = pipelines[asked.model], tiny.SCHEDULERS[asked.model]
        name, kind, options = STOCK[asked.sampler]
        module = importlib.import_module(f"diffusers.schedulers.{name}")
        if doubles is None:
            doubles = asked.model == "v_zero_snr" and asked.sampler in LOSES_DIGITS
        scheduler = pipeline.scheduler = getattr(module, kind).from_config(config, **options)
        pipeline.set_progress_bar_config(disable=True)
        with floats_as_doubles(module, scheduler) if doubles else nullcontext():
            latent = pipeline(
                prompt=asked.prompt,
                negative_prompt=asked.negative_prompt,
                width=asked.width,
                height=asked.height,
                num_inference_steps=asked.num_inference_steps,
                guidance_scale=asked.guidance_scale,
                generator=torch.Generator().manual_seed(seed),
                output_type="latent",
            ).images
        with torch.inference_mode():
            image = pipeline.vae.decode(latent / pipeline.vae.config.scaling_factor).sample
        image = pipeline.image_processor.postprocess(image, output_type="pil")[0]
        return latent[0], np.asarray(image)

    return draw


def assert_same(engine_latent: torch.Tensor, stock_latent: torch.Tensor) -> None:
    error = (engine_latent - stock_latent).abs().max().item()
    assert error <= 1e-5 * max(1.0, stock_latent.abs().max().item())


def finals(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """The latents that the engine is going to decode, by job, as they come."""
    latents: dict[str, torch.Tensor] = {}
    decode = engine._backend.decode

    def spy(members: list[Any]) -> Any:
        latents.update({one.order.job: one.latent.clone() for one in members})
        return decode(members)

    monkeypatch.setattr(engine._backend, "decode", spy)
    return latents


@pytest.mark.parametrize(("steps", "guidance"), [(1, 6.0), (4, 1.0), (7, 6.0)])
@pytest.mark.parametrize("model", tiny.SCHEDULERS)
@pytest.mark.parametrize("sampler", STOCK)
def test_a_lone_picture_equals_the_stock_pipelines(
    engine: Engine,
    stock: Draw,
    monkeypatch: pytest.MonkeyPatch,
    sampler: Sampler,
    model: str,
    steps: int,
    guidance: float,
) -> None:
    latents = finals(engine, monkeypatch)
    request = tiny.request(
        model, sampler=sampler, num_inference_steps=steps, guidance_scale=guidance, seed=11,
        negative_prompt="blur",
    )  # fmt: skip
    engine.submit(Order("job", 0, request, 11))
    events = [event for _ in range(2 * steps) for event in engine.step()]
    latent, pixels = stock(request.model_dump_json(), 11)
    assert_same(latents["job"], latent)
    done = events[-1]
    assert isinstance(done, Done)
    assert np.abs(done.pixels.astype(int) - pixels.astype(int)).max() <= 1


def test_euler_from_zero_terminal_snr_equals_even_the_stock_floats_at_25_steps(
    engine: Engine, stock: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    latents = finals(engine, monkeypatch)
    order = tiny.order(model="v_zero_snr", sampler="euler", num_inference_steps=25)
    engine.submit(order)
    while not engine.idle:
        engine.step()
    assert_same(latents["job"], stock(order.request.model_dump_json(), 0, doubles=False)[0])


@pytest.mark.parametrize("seed", range(3))
def test_a_picture_in_a_churning_mixed_batch_equals_the_stock_pipelines(
    engine: Engine, stock: Draw, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    latents = finals(engine, monkeypatch)
    orders = [mixed_order(chance, number) for number in range(14)]
    waiting, dropped = list(orders), set()
    while waiting or not engine.idle:
        while waiting and (engine.idle or chance.random() < 0.5):
            engine.submit(waiting.pop())
        if chance.random() < 0.1:
            dropped.add(victim := chance.choice(orders).job)
            engine.drop(victim)
        engine.step()
    assert len(latents) >= len(orders) - len(dropped)
    for order in orders:
        if order.job in latents:
            assert_same(latents[order.job], stock(order.request.model_dump_json(), order.seed)[0])


def mixed_order(chance: random.Random, number: int) -> Order:
    width, height = chance.choice([(64, 64), (96, 64), (64, 64), (64, 96)])
    return tiny.order(
        f"job-{number}",
        model=chance.choice(list(tiny.SCHEDULERS)),
        prompt=chance.choice(["a red circle", "a blue square on white", ""]),
        negative_prompt=chance.choice(["", "blurred"]),
        num_inference_steps=chance.choice([3, 4, 5, 8]),
        guidance_scale=chance.choice([0.0, 1.0, 3.0, 7.5]),
        sampler=chance.choice(list(STOCK)),
        width=width,
        height=height,
        seed=chance.randrange(5),
        determinism=chance.choice(["fast", "fast", "strict"]),
    )

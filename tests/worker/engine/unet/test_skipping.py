"""Work left out on request: guidance that stops early, and deep features that are reused."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel

from tests.worker.engine import tiny
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Done, Engine, Order
from worker.engine.unet.deepcache import kept_features, shallow_call
from worker.engine.unet.eager import eager
from worker.engine.unet.inputs import UNetInputs


class Spy:
    """A UNet that counts the rows of its whole calls."""

    def __init__(self, unet: Any) -> None:
        self.unet = unet
        self.rows: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unet, name)

    def __call__(self, x: torch.Tensor, *args: Any, **options: Any) -> Any:
        self.rows.append(len(x))
        return self.unet(x, *args, **options)


@pytest.fixture
def spy(backend: Diffusion) -> Spy:
    model = backend.models["epsilon"]
    spy = Spy(model.unet)
    backend.adopt("epsilon", dataclasses.replace(model, unet=spy))
    return spy


def finals(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    latents: dict[str, torch.Tensor] = {}
    decode = engine.backend.decode

    def watched(members: list[Any]) -> Any:
        latents.update({one.order.job: one.latent.clone() for one in members})
        return decode(members)

    monkeypatch.setattr(engine.backend, "decode", watched)
    return latents


def drain(engine: Engine) -> dict[str, np.ndarray]:
    done: dict[str, np.ndarray] = {}
    while not engine.idle:
        done |= {event.job: event.pixels for event in engine.step() if isinstance(event, Done)}
    return done


def test_guidance_that_stops_gives_its_row_back(engine: Engine, spy: Spy) -> None:
    engine.submit(tiny.order(num_inference_steps=5, guidance_stop=0.4))
    drain(engine)
    assert spy.rows == [2, 2, 1, 1, 1]


def test_guidance_that_stops_equals_the_stock_pipeline_with_a_callback_that_stops_it(
    engine: Engine, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(
        folders["epsilon"], safety_checker=None, low_cpu_mem_usage=False
    )
    pipeline.scheduler = DDIMScheduler.from_config(tiny.EPSILON, clip_sample=False)
    pipeline.set_progress_bar_config(disable=True)

    def stop(pipe: Any, step: int, _: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if step == 2:
            pipe._guidance_scale = 0.0
            tensors["prompt_embeds"] = tensors["prompt_embeds"][-1:]
        return tensors

    wanted = pipeline(
        "a red circle", negative_prompt="blur", width=64, height=64, num_inference_steps=6,
        guidance_scale=5.0, generator=torch.Generator().manual_seed(3), output_type="latent",
        callback_on_step_end=stop, callback_on_step_end_tensor_inputs=["prompt_embeds"],
    ).images[0]  # fmt: skip
    latents = finals(engine, monkeypatch)
    fields = {"num_inference_steps": 6, "guidance_scale": 5.0, "guidance_stop": 0.5, "seed": 3}
    engine.submit(tiny.order("job", negative_prompt="blur", **fields))
    engine.submit(tiny.order("other", num_inference_steps=9))
    drain(engine)
    error = (latents["job"] - wanted).abs().max()
    assert error <= 1e-5 * max(1, wanted.abs().max())


def test_one_call_in_so_many_is_whole(engine: Engine, spy: Spy) -> None:
    engine.submit(tiny.order(num_inference_steps=7, cache_interval=3))
    drain(engine)
    assert len(spy.rows) == 3


def test_reused_features_change_the_picture_a_little_and_fresh_ones_not_at_all(
    backend: Diffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(backend)
    latents = finals(engine, monkeypatch)
    for interval in (1, 2, 10):
        engine.submit(
            tiny.order(f"every {interval}", num_inference_steps=8, cache_interval=interval)
        )
    engine.submit(tiny.order("one step", num_inference_steps=1))
    engine.submit(tiny.order("one step reusing", num_inference_steps=1, cache_interval=5))
    drain(engine)
    assert torch.allclose(latents["one step"], latents["one step reusing"], atol=1e-5)
    whole = latents["every 1"]
    near = (latents["every 2"] - whole).abs().mean()
    far = (latents["every 10"] - whole).abs().mean()
    assert 0 < near < far < whole.abs().mean()


def test_a_picture_with_reused_features_does_not_depend_on_its_neighbours(
    backend: Diffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {"num_inference_steps": 7, "cache_interval": 3, "determinism": "strict", "seed": 4}
    alone, crowded = Engine(backend), Engine(backend)
    alone.submit(tiny.order("job", **fields))
    expected = drain(alone)["job"]
    crowded.submit(tiny.order("earlier", **(fields | {"seed": 5})))
    crowded.step()
    crowded.submit(tiny.order("fast", num_inference_steps=6))
    crowded.submit(tiny.order("job", **(fields | {"guidance_stop": 1.0})))
    crowded.submit(tiny.order("later", **(fields | {"seed": 6, "guidance_scale": 1.0})))
    assert np.array_equal(drain(crowded)["job"], expected)


def test_newcomers_join_at_a_whole_call_so_that_all_are_in_one_phase(
    engine: Engine, spy: Spy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.backend, "calls", list)  # no cost is learnt from a busy machine
    for number in range(3):
        engine.submit(tiny.order(f"job-{number}", num_inference_steps=9, cache_interval=3))
        engine.step()
    assert len(drain(engine)) == 3
    assert spy.rows == [2, 6, 6, 4]


@pytest.mark.parametrize("calls", range(1, 8))
def test_a_saved_picture_goes_on_from_its_last_whole_call_bit_for_bit(
    backend: Diffusion, calls: int
) -> None:
    fields = {
        "num_inference_steps": 8, "cache_interval": 3, "guidance_stop": 0.7, "seed": 4,
        "sampler": "euler_a", "determinism": "strict",
    }  # fmt: skip
    whole, first, second = Engine(backend), Engine(backend), Engine(backend)
    order = tiny.order("job", **fields)
    whole.submit(order)
    first.submit(order)
    for _ in range(calls):
        first.step()
    (saved,) = first.save("job")
    second.submit(Order("job", 0, order.request, order.seed, saved.checkpoint))
    assert np.array_equal(drain(second)["job"], drain(whole)["job"])


def test_a_shallow_call_on_fresh_features_is_the_whole_call() -> None:
    torch.manual_seed(0)
    config = {k: v for k, v in tiny._unet(tiny.Family.SD1).config.items() if k[0] != "_"}
    unet = UNet2DConditionModel(
        **config | {"center_input_sample": True, "time_embedding_act_fn": "silu"}
    ).eval()
    inputs = UNetInputs(
        torch.randn(2, 4, 8, 8), torch.tensor([3.0, 900.0]), torch.randn(2, 77, 32), {}
    )
    with torch.inference_mode():
        with kept_features(unet) as kept:
            whole = eager(unet, inputs)
        assert torch.equal(shallow_call(unet, inputs, kept[0]), whole)

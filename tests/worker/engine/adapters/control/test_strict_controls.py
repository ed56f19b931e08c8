"""Strict images with controls, and strict images without one beside others that have some."""

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from latentry.contracts import Control
from tests.worker.engine import oracle, stock, tiny
from tests.worker.engine.adapters.control.conftest import Carve, Made, controlled
from tests.worker.engine.adapters.control.written import t2i_adapter
from tests.worker.engine.adapters.watched import all_bits, bits, outlive
from tests.worker.engine.conftest import sharing
from tests.worker.engine.diffusion.test_strict import neighbour
from tests.worker.engine.reference import has_adapters
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Engine, Failed, Order
from worker.engine.residuals import Residuals

SCHEDULES = 10
HIRES = {"width": 96, "height": 64, "steps": 3, "strength": 0.7}
# Of each watched image: its fields, and fields of its controls by the net that they use.
WATCHED: dict[str, tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]] = {
    "plain": ({}, []),
    "one": ({"guidance_stop": 0.5}, [("lines", {"weight": 0.8})]),
    "two": ({"sampler": "dpmpp_2m_sde"}, [("depth", {"end": 0.7}), ("lines", {})]),
    "twice": ({"prompt": "a [cat|dog] AND fog"}, [("lines", {}), ("lines", {"mode": "guess"})]),
    "sketch": ({"sampler": "euler_a"}, [("sketch", {"weight": 0.8}), ("pen", {"end": 0.7})]),
    "sketch, lines": ({"hires": HIRES}, [("sketch", {"start": 0.3}), ("lines", {})]),
    "seamless": ({"seamless": "both"}, [("depth", {"mode": "prompt"})]),
    "hires": ({"hires": HIRES, "sampler": "euler_a"}, [("lines", {"start": 0.3})]),
}
Nets = Mapping[str, Made]


@pytest.fixture(scope="module")
def nets(folders: dict[str, Path], carve: Carve) -> Nets:
    unet = UNet2DConditionModel.from_pretrained(
        folders["epsilon"] / "unet", low_cpu_mem_usage=False
    )
    # Finite in its file, and far beyond anything in a product.
    return {
        "lines": carve(unet, 1),
        "depth": carve(unet, 2),
        "bomb": carve(unet, 3, size=1e30),
        "sketch": carve(unet, 4, t2i_adapter),
        "pen": carve(unet, 5, t2i_adapter, in_channels=1),
        "t2i bomb": carve(unet, 6, t2i_adapter, size=1e12),
    }


def worn(
    loaded: Diffusion, nets: Nets, order: Order, controls: list[tuple[str, dict[str, Any]]]
) -> Order:
    each: list[tuple[Made, Control]] = [
        (nets[net], nets[net].control(seed, **fields))
        for seed, (net, fields) in enumerate(controls)
    ]
    return controlled(loaded, order, *each)


class Studio:
    """ControlNets for one model, and what is drawn by them."""

    names = tuple(WATCHED)

    def __init__(self, loaded: Diffusion, nets: Nets) -> None:
        self._loaded, self._nets = loaded, nets

    def order(self, name: str) -> Order:
        fields, controls = WATCHED[name]
        fixed = {"num_inference_steps": 3, "seed": 7, "determinism": "strict"}
        return worn(self._loaded, self._nets, tiny.order(name, **(fixed | fields)), controls)

    def neighbour(self, chance: random.Random, number: int) -> Order:
        order = neighbour(chance, number)
        is_other = order.request.model != "epsilon" or has_adapters(order)
        if is_other or order.request.cache_interval > 1:
            return order
        names = chance.sample(sorted(self._nets), chance.choice([0, 1, 1, 2]))
        controls = [(name, {"weight": 1.0}) for name in names]
        return worn(self._loaded, self._nets, order, controls)

    def anew(self) -> None:
        """They stay on the engine's own shelf, which `controlled` takes them from."""


@pytest.fixture(scope="module")
def studio(loaded: Diffusion, nets: Nets) -> Studio:
    return Studio(loaded, nets)


@pytest.fixture(scope="module")
def alone(loaded: Diffusion, studio: Studio) -> dict[str, bytes]:
    return all_bits(loaded, studio)


def test_every_watched_image_is_another(alone: dict[str, bytes]) -> None:
    assert len(set(alone.values())) == len(WATCHED)


def test_bits_depend_on_an_images_own_controls_alone(
    loaded: Diffusion, studio: Studio, alone: dict[str, bytes]
) -> None:
    outlive(loaded, studio, alone, range(SCHEDULES))


@pytest.mark.parametrize("bomb", ["bomb", "t2i bomb"])
def test_weight_0_is_absent_to_the_bit(
    loaded: Diffusion, studio: Studio, nets: Nets, alone: dict[str, bytes], bomb: str
) -> None:
    """It is not called: that one here would spoil everything."""
    order = worn(loaded, nets, studio.order("plain"), [(bomb, {"weight": 0.0})])
    assert bits(loaded, order) == alone["plain"]


@pytest.mark.parametrize("bomb", ["bomb", "t2i bomb"])
@pytest.mark.parametrize("determinism", ["fast", "strict"])
def test_one_that_overflows_spoils_its_own_rows_alone(
    loaded: Diffusion, nets: Nets, determinism: str, bomb: str
) -> None:
    engine = Engine(sharing(loaded))
    fields = {"num_inference_steps": 3, "determinism": determinism}
    plain = tiny.order("plain", **fields)
    expected = oracle.alone(engine, plain)
    orders = [
        plain,
        worn(loaded, nets, tiny.order("bomb", **fields), [(bomb, {})]),
        worn(loaded, nets, tiny.order("fine", **fields), [("lines", {}), ("sketch", {})]),
    ]
    with oracle._finals(engine) as latents:
        for order in orders:
            engine.submit(order)
        events = tiny.drain(engine)
    assert latents["fine"].isfinite().all()
    assert stock.error(latents["plain"], expected) <= 1
    [failed] = [event for event in events if isinstance(event, Failed)]
    assert (failed.job, failed.error.code) == ("bomb", "non_finite_output")


@pytest.mark.parametrize(("name", "another"), [("lines", "depth"), ("sketch", "pen")])
def test_a_checkpoint_is_of_its_file_picture_and_weight(
    loaded: Diffusion, studio: Studio, nets: Nets, name: str, another: str
) -> None:
    backend = sharing(loaded)
    order = worn(loaded, nets, studio.order("plain"), [(name, {"weight": 0.8})])
    begun, _ = backend.begin(order, backend.plan(order))
    backend.advance([begun], 8)
    saved = backend.save(begun)

    def calls(net: str, seed: int, **fields: Any) -> int:
        made, request = nets[net], order.request.model_copy(update={"controls": ()})
        bare = replace(order, request=request, controls=(), adapters={})
        other = controlled(loaded, bare, (made, made.control(seed, **fields)))
        again = replace(other, checkpoint=saved)
        return backend.begin(again, backend.plan(again))[0].calls

    assert calls(name, 0, weight=0.8) == 1
    assert calls(name, 1, weight=0.8) == 0
    assert calls(another, 0, weight=0.8) == 0
    assert calls(name, 0, weight=0.7) == 0


def test_a_t2i_adapter_is_called_once_a_pass_and_adds_in_its_window_alone(
    loaded: Diffusion, nets: Nets, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, fields = sharing(loaded), {"num_inference_steps": 2, "sampler": "euler"}
    orders = [
        tiny.order("plain", **fields),
        worn(loaded, nets, tiny.order("half", **fields), [("sketch", {"end": 0.5})]),
        worn(loaded, nets, tiny.order("both", **(fields | {"hires": HIRES})), [("sketch", {})]),
    ]
    [one] = orders[1].adapters.values()
    called, forward = list[torch.Size](), one.network.forward  # type: ignore[attr-defined]
    monkeypatch.setattr(
        one.network,  # type: ignore[attr-defined]
        "forward",
        lambda x: called.append(x.shape) or forward(x),
    )
    members = [backend.begin(order, backend.plan(order))[0] for order in orders]
    assert called == [(1, 3, 64, 64), (1, 3, 64, 64), (1, 3, 64, 96)]
    added = list[list[range]]()
    add = Residuals.add
    monkeypatch.setattr(
        Residuals,
        "add",
        lambda own, number, to: (
            added[-1].extend([] if number else own.rows) or add(own, number, to)
        ),
    )
    for _ in range(2):
        added.append([])
        backend.advance(members, sum(member.rows for member in members))
    assert added == [[range(2, 4), range(4, 6)], [range(4, 6)]]
    assert len(called) == 3


def test_it_is_called_on_the_rows_that_use_it_and_for_all_images_at_once(
    loaded: Diffusion, nets: Nets, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = sharing(loaded)
    fields = {"num_inference_steps": 2, "sampler": "euler"}
    orders = [
        tiny.order("plain", **fields),
        worn(loaded, nets, tiny.order("both", **fields), [("lines", {})]),
        worn(loaded, nets, tiny.order("early", **fields), [("lines", {"end": 0.5})]),
        worn(loaded, nets, tiny.order("half", **fields), [("lines", {"mode": "guess"})]),
    ]
    [one] = orders[1].adapters.values()
    called: list[int] = []
    forward = one.network.forward  # type: ignore[attr-defined]
    monkeypatch.setattr(
        one.network,  # type: ignore[attr-defined]
        "forward",
        lambda x, *args, **more: called.append(len(x)) or forward(x, *args, **more),
    )
    members = [backend.begin(order, backend.plan(order))[0] for order in orders]
    for _ in range(2):
        backend.advance(members, sum(member.rows for member in members))
    assert called == [2 + 2 + 1, 2 + 1]


@pytest.mark.parametrize("net", ["lines", "sketch"])
def test_no_compiled_call_has_a_row_with_one(
    compiling: tuple[Diffusion, list[int]], nets: Nets, net: str
) -> None:
    backend, compiled = compiling
    plain = tiny.order("plain", num_inference_steps=2, sampler="euler")
    with_one = worn(backend, nets, plain, [(net, {"end": 0.5})])
    members = [backend.begin(order, backend.plan(order))[0] for order in (plain, with_one)]
    backend.advance(members, 4)
    assert not compiled
    backend.advance(members, 4)
    assert len(compiled) == 1, "its window is over"


def test_it_is_near_in_bfloat16(folders: dict[str, Path], nets: Nets, loaded: Diffusion) -> None:
    half = Diffusion(device="cpu", dtype="bfloat16", threads=1)
    half.load("epsilon", folders["epsilon"])
    order = tiny.order("job", guidance_scale=2.0)

    def relative(*controls: tuple[str, dict[str, Any]]) -> float:
        exact = oracle.alone(Engine(sharing(loaded)), worn(loaded, nets, order, [*controls]))
        rough = oracle.alone(Engine(half), worn(half, nets, order, [*controls]))
        return float((exact - rough).norm() / exact.norm())

    assert relative(("lines", {})) < 3 * relative()


def test_hooks_are_gone_after_a_call(loaded: Diffusion, studio: Studio) -> None:
    model = loaded.models["epsilon"]
    oracle.alone(Engine(sharing(loaded)), studio.order("sketch, lines"))
    assert not any(module._forward_pre_hooks for module in model.unet.modules())
    assert not any(module._forward_hooks for module in model.unet.modules())

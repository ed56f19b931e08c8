"""Strict images with LoRAs, and strict images without one beside others that have some."""

import random
from dataclasses import replace
from typing import Any

import pytest

from tests.worker.engine import oracle, stock, tiny
from tests.worker.engine.adapters.conftest import Tailor
from tests.worker.engine.adapters.drawing import Worn
from tests.worker.engine.adapters.watched import AllAtOnce, all_bits, bits, outlive, schedules
from tests.worker.engine.conftest import sharing
from tests.worker.engine.diffusion.test_strict import neighbour
from worker.engine.adapters.shelf import Shelf
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Engine, Failed, Order

HIRES = {"width": 96, "height": 64, "steps": 3, "strength": 0.7}
# Of each watched image: its fields, and which files of the closet it wears.
WATCHED: dict[str, tuple[dict[str, Any], dict[str, float]]] = {
    "plain": ({}, {}),
    "plain unguided": ({"guidance_scale": 1.0}, {}),
    "one": ({"guidance_stop": 0.5}, {"linear": 0.8}),
    "two": ({"sampler": "dpmpp_2m_sde"}, {"convolutions": -0.5, "linear": 0.4}),
    "texts": ({"prompt": "a [cat|dog] AND fog"}, {"texts": 0.9}),
    "sparing": ({"cache_interval": 2}, {"convolutions": 0.6}),
    "seamless": ({"seamless": "both"}, {"convolutions": 0.6}),
    "hires": ({"hires": HIRES, "sampler": "euler_a"}, {"linear": 0.7, "texts": 0.2}),
}


class Closet:
    """LoRAs for one model, and what wears them."""

    names = sorted(WATCHED, key=lambda name: bool(WATCHED[name][1]))

    def __init__(self, loaded: Diffusion, tailor: Tailor) -> None:
        self._loaded = loaded
        self.made = {
            "linear": tailor(1),
            "convolutions": tailor(2, convolutions=True, ranks=(2, 5)),
            "texts": tailor(3, networks=("unet", "text_encoder"), alphas=(1.0, 3.0)),
            # Finite in its file, and far beyond anything in a product.
            "bomb": tailor(4, times=1e30),
        }
        self.anew()

    def anew(self) -> None:
        residents = self._loaded._residents
        self._shelf = Shelf(self._loaded.at, lambda: residents.blueprints, 2**30)

    def dress(self, order: Order, wears: dict[str, float]) -> Order:
        worn = [Worn(self.made[name], weight) for name, weight in wears.items()]
        files = {one.made.sha256: one.made.path for one in worn}
        loras = tuple(one.lora for one in worn)
        request = order.request.model_copy(update={"loras": loras})
        adapters = self._shelf.load("epsilon", files)
        return replace(order, request=request, adapters={**order.adapters, **adapters})

    def order(self, name: str) -> Order:
        fields, wears = WATCHED[name]
        fixed = {"num_inference_steps": 3, "seed": 7, "determinism": "strict"}
        return self.dress(tiny.order(name, **(fixed | fields)), wears)

    def neighbour(self, chance: random.Random, number: int) -> Order:
        names = chance.sample(sorted(self.made), chance.choice([0, 1, 1, 2]))
        order = neighbour(chance, number)
        return self.dress(order, {name: chance.choice([-1.0, 0.5, 1.0]) for name in names})


@pytest.fixture(scope="module")
def closet(loaded: Diffusion, tailor: Tailor) -> Closet:
    return Closet(loaded, tailor)


@pytest.fixture(scope="module")
def alone(loaded: Diffusion, closet: Closet) -> dict[str, bytes]:
    return all_bits(loaded, closet)


def test_every_watched_image_is_another(alone: dict[str, bytes]) -> None:
    assert len(set(alone.values())) == len(WATCHED)


@schedules(16, 160)
def test_bits_depend_on_an_images_own_loras_alone(
    loaded: Diffusion, closet: Closet, alone: dict[str, bytes], seeds: range
) -> None:
    outlive(loaded, closet, alone, seeds)


def test_weight_0_is_absent_to_the_bit(
    loaded: Diffusion, closet: Closet, alone: dict[str, bytes]
) -> None:
    order = closet.dress(closet.order("plain"), {"texts": 0.0, "convolutions": 0.0})
    assert bits(loaded, order) == alone["plain"]


@pytest.mark.parametrize("determinism", ["fast", "strict"])
def test_a_lora_that_overflows_spoils_its_own_rows_alone(
    loaded: Diffusion, closet: Closet, determinism: str
) -> None:
    engine = Engine(sharing(loaded))
    fields = {"num_inference_steps": 3, "determinism": determinism}
    plain = tiny.order("plain", **fields)
    expected = oracle.alone(engine, plain)
    orders = [
        plain,
        closet.dress(tiny.order("bomb", **fields), {"bomb": 1.0}),
        closet.dress(tiny.order("fine", **fields), {"linear": 0.5}),
    ]
    latents = oracle.in_a_crowd(engine, orders, AllAtOnce())
    assert not latents["bomb"].isfinite().all()
    assert latents["fine"].isfinite().all()
    assert stock.error(latents["plain"], expected) <= 1


def test_its_job_ends_with_a_code(loaded: Diffusion, closet: Closet) -> None:
    engine = Engine(sharing(loaded))
    engine.submit(closet.dress(tiny.order("bomb"), {"bomb": 1.0}))
    [failed] = [event for event in tiny.drain(engine) if isinstance(event, Failed)]
    assert failed.error.code == "non_finite_output"


def test_a_checkpoint_is_of_its_file_and_weight(loaded: Diffusion, closet: Closet) -> None:
    """Another file under the same id, or another weight, begins anew."""
    backend = sharing(loaded)
    one, _ = backend.begin(order := closet.order("one"), backend.plan(order))
    backend.advance([one], 8)
    saved = backend.save(one)
    twin = closet.order("one")
    other = closet.dress(order, {"convolutions": 0.8})
    [lora] = other.request.loras
    same_id = lora.model_copy(update={"id": order.request.loras[0].id})
    other = replace(other, request=other.request.model_copy(update={"loras": (same_id,)}))
    weaker = closet.dress(order, {"linear": 0.7})
    for resumed, calls in ((twin, 1), (other, 0), (weaker, 0)):
        again = replace(resumed, checkpoint=saved)
        begun, _ = backend.begin(again, backend.plan(again))
        assert begun.calls == calls

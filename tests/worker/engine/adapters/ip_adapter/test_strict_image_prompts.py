"""Strict images with image prompts, and strict images without one beside others that have some."""

import random
from dataclasses import replace
from typing import Any

import pytest

from tests.worker.engine import oracle, stock, tiny
from tests.worker.engine.adapters.conftest import Tailor
from tests.worker.engine.adapters.drawing import Worn, dressed
from tests.worker.engine.adapters.ip_adapter.conftest import Paster, Prompt, showing
from tests.worker.engine.adapters.test_strict_loras import HIRES
from tests.worker.engine.adapters.watched import AllAtOnce, all_bits, outlive, schedules
from tests.worker.engine.conftest import sharing
from tests.worker.engine.diffusion.test_strict import neighbour
from worker.engine.adapters.shelf import Shelf
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Engine, Failed, Order

# Of each watched image: its fields, and which pictures which files show it.
WATCHED: dict[str, tuple[dict[str, Any], tuple[tuple[str, int, float], ...]]] = {
    "plain": ({}, ()),
    "one": ({"guidance_stop": 0.5}, (("eye", 1, 0.8),)),
    "two": ({"sampler": "dpmpp_2m_sde"}, (("gaze", 1, 0.5), ("gaze", 2, 0.5))),
    "both": ({"prompt": "a [cat|dog] AND fog"}, (("eye", 1, 0.5), ("gaze", 3, -0.4))),
    "sparing": ({"cache_interval": 2, "guidance_scale": 1.0}, (("gaze", 2, 0.6),)),
    "hires": ({"hires": HIRES, "sampler": "euler_a"}, (("eye", 2, 0.7),)),
}


class Gallery:
    """Files for one model, and what is shown with them."""

    names = sorted(WATCHED, key=lambda name: bool(WATCHED[name][1]))

    def __init__(self, loaded: Diffusion, paster: Paster, tailor: Tailor) -> None:
        self._loaded = loaded
        self.ink = tailor(1)
        self.made = {
            "eye": paster(1),
            "gaze": paster(2, "ip-adapter-plus"),
            # As many tokens as `eye`, so that they are one product in fast calls.
            "glance": paster(3),
            # Finite in its file, and far beyond anything in a product.
            "bomb": paster(4, times=1e38),
        }
        self.anew()

    def anew(self) -> None:
        residents = self._loaded._residents
        self._shelf = Shelf(self._loaded.at, lambda: residents.blueprints, 2**30)

    def show(self, order: Order, *prompts: tuple[str, int, float]) -> Order:
        named = [Prompt(self.made[name], picture, weight) for name, picture, weight in prompts]
        return showing(self._shelf, order, *named)

    def order(self, name: str) -> Order:
        fields, prompts = WATCHED[name]
        fixed = {"num_inference_steps": 3, "seed": 7, "determinism": "strict"}
        return self.show(tiny.order(name, **(fixed | fields)), *prompts)

    def neighbour(self, chance: random.Random, number: int) -> Order:
        order = neighbour(chance, number, guidance_scale=chance.choice([1.0, 4.0]))
        if chance.random() < 0.3:
            order = dressed(self._loaded, order, [Worn(self.ink, 0.5)])
        names = chance.sample(sorted(self.made), chance.choice([0, 1, 1, 2]))
        return self.show(order, *((n, chance.randrange(4), chance.choice([-1, 1])) for n in names))


@pytest.fixture(scope="module")
def gallery(loaded: Diffusion, paster: Paster, tailor: Tailor) -> Gallery:
    return Gallery(loaded, paster, tailor)


@pytest.fixture(scope="module")
def alone(loaded: Diffusion, gallery: Gallery) -> dict[str, bytes]:
    return all_bits(loaded, gallery)


def test_every_watched_image_is_another(alone: dict[str, bytes]) -> None:
    assert len(set(alone.values())) == len(WATCHED)


@schedules(12, 120)
def test_bits_depend_on_an_images_own_pictures_alone(
    loaded: Diffusion, gallery: Gallery, alone: dict[str, bytes], seeds: range
) -> None:
    outlive(loaded, gallery, alone, seeds)


@pytest.mark.parametrize("determinism", ["fast", "strict"])
def test_a_picture_that_overflows_spoils_its_own_rows_alone(
    loaded: Diffusion, gallery: Gallery, determinism: str
) -> None:
    fields = {"num_inference_steps": 3, "determinism": determinism}
    plain = tiny.order("plain", **fields)
    fine = gallery.show(tiny.order("fine", **fields), ("glance", 1, 0.5))
    expected = {one.job: oracle.alone(Engine(sharing(loaded)), one) for one in (plain, fine)}
    bomb = gallery.show(tiny.order("bomb", **fields), ("bomb", 1, 10.0))
    latents = oracle.in_a_crowd(Engine(sharing(loaded)), [plain, bomb, fine], AllAtOnce())
    assert not latents["bomb"].isfinite().all()
    for job in expected:
        assert stock.error(latents[job], expected[job]) <= 1


def test_its_job_ends_with_a_code(loaded: Diffusion, gallery: Gallery) -> None:
    engine = Engine(sharing(loaded))
    engine.submit(gallery.show(tiny.order("bomb"), ("bomb", 1, 10.0)))
    [failed] = [event for event in tiny.drain(engine) if isinstance(event, Failed)]
    assert failed.error.code == "non_finite_output"


def test_a_checkpoint_is_of_its_file_picture_and_weight(
    loaded: Diffusion, gallery: Gallery
) -> None:
    """Another adapter under the same id, another picture or weight begins anew."""
    backend = sharing(loaded)
    one, _ = backend.begin(order := gallery.order("one"), backend.plan(order))
    backend.advance([one], 8)
    saved = backend.save(one)
    [prompt] = order.request.image_prompts
    other_file = prompt.image.model_copy(update={"file": "f2", "pixel_sha256": "1"})
    twin = prompt.model_copy(update={"id": "another name", "image": other_file})
    for changed, calls in (
        (order, 1),
        (replace(order, request=order.request.model_copy(update={"image_prompts": (twin,)})), 1),
        (gallery.show(order, ("glance", 1, 0.8)), 0),
        (gallery.show(order, ("eye", 2, 0.8)), 0),
        (gallery.show(order, ("eye", 1, 0.7)), 0),
    ):
        again = replace(changed, checkpoint=saved)
        begun, _ = backend.begin(again, backend.plan(again))
        assert begun.calls == calls

"""SDXL's refiner, which takes an aesthetic score, beside the stock pipelines."""

import random
from pathlib import Path
from typing import Any

import pytest

from latentry.contracts import Sampler, Spacing
from latentry.errors import InvalidRequest
from tests.worker.engine import oracle, stock, tiny
from tests.worker.engine.diffusion.test_from_pictures import error, from_picture
from tests.worker.engine.stock import Stock
from tests.worker.engine.tiny import Family
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Engine

pytestmark = stock.WARNINGS

CONFIG = oracle.MODELS["sdxl-epsilon"].config
# What stock does otherwise in image to image, and why it is not followed: docs/samplers.md.
NOT_AS_STOCK = {Sampler.LMS, Sampler.DPM2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("refiner") / "m", CONFIG, family=Family.REFINER)


@pytest.fixture(scope="module")
def refining(folder: Path, every_folder: dict[str, Path]) -> Diffusion:
    backend = Diffusion(device="cpu", dtype="float32", threads=1)
    limits = backend.load("refiner", folder).limits
    assert (limits.refines, limits.size_conditioning, limits.max_clip_skip) == (True, True, 3)
    assert not backend.load("sdxl-epsilon", every_folder["sdxl-epsilon"]).limits.refines
    return backend


@pytest.fixture
def engine(refining: Diffusion) -> Engine:
    return Engine(refining)


@pytest.fixture(scope="module")
def of_stock(folder: Path) -> Stock:
    found = Stock({"refiner": folder}, {"refiner": CONFIG})
    assert found.pipeline("refiner").config.requires_aesthetics_score
    return found


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"negative_prompt": ""},
        {"guidance_scale": 1.0},
        {"strength": 1.0},
        {"width": 96},
    ],
    ids=str,
)
def test_it_equals_stock_s_image_to_image_with_its_score(
    engine: Engine, of_stock: Stock, fields: dict[str, Any]
) -> None:
    order = from_picture("job", "refiner", Sampler.EULER, **fields)
    assert error(oracle.alone(engine, order), order, of_stock) <= 1


@pytest.mark.parametrize("sampler", [one for one in Sampler if one not in NOT_AS_STOCK])
def test_so_it_does_with_every_sampler_and_a_mask(
    engine: Engine, of_stock: Stock, sampler: Sampler
) -> None:
    order = from_picture("job", "refiner", sampler, has_mask=True)
    assert error(oracle.alone(engine, order), order, of_stock) <= 1


def test_in_a_crowd_with_its_base_each_equals_stock(
    engine: Engine, of_stock: Stock, reference: Stock
) -> None:
    chance = random.Random(3)
    refined = [
        from_picture(
            f"refined-{k}", "refiner", chance.choice([Sampler.EULER, Sampler.DPMPP_2M]), seed=k,
            photo_seed=k, strength=chance.choice([0.3, 0.6]),
            guidance_scale=chance.choice([1.0, 3.0]),
        )
        for k in range(6)
    ]  # fmt: skip
    plain = [
        oracle.order(f"plain-{k}", "sdxl-epsilon", Sampler.EULER, Spacing.DEFAULT, seed=k)
        for k in range(4)
    ]
    latents = oracle.in_a_crowd(engine, [*refined, *plain], chance)
    assert len(latents) > 5
    for k, order in enumerate(refined):
        if order.job in latents:
            assert error(latents[order.job], order, of_stock, photo_seed=k) <= 1
    found = {one.job: one for one in plain if one.job in latents}
    assert not oracle.missed(
        {job: oracle.judge(latents[job], one, reference) for job, one in found.items()}
    )


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [({"image": None, "strength": None}, "/image"), ({"target_size": (64, 64)}, "/target_size")],
)
def test_what_it_cannot_do_is_refused_by_name(
    refining: Diffusion, fields: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        refining.plan(from_picture("job", "refiner", Sampler.EULER, **fields))
    assert list(refused.value.fields) == [pointer]

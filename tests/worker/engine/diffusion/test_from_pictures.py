"""Images that start from a picture, beside the stock pipelines with the same seed."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from latentry.contracts import InputFile, MaskFill, Sampler, Seamless, Spacing
from tests.worker.engine import oracle, stock, tiny
from tests.worker.engine.conftest import serving
from tests.worker.engine.stock import Stock
from tests.worker.engine.tiny import Family
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.inputs.canvas import Canvas
from worker.engine.loop import Engine, Order

pytestmark = stock.WARNINGS

STEPS = 7
# What stock does otherwise, and why it is not followed, is in docs/samplers.md.
NOT_AS_STOCK = {Sampler.LMS}
NOT_INPAINTED_AS_STOCK = {*NOT_AS_STOCK, Sampler.DPM2}


def photo(seed: int, width: int = 80, height: int = 72) -> Image.Image:
    """Smooth colours, of another size than the image."""
    noise = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def hole(width: int = 80, height: int = 72) -> Image.Image:
    """White is repainted."""
    mask = Image.new("L", (width, height))
    mask.paste(255, (20, 10, 60, 50))
    return mask


def from_picture(
    job: str,
    model: str,
    sampler: Sampler,
    *,
    has_mask: bool = False,
    photo_seed: int = 1,
    **changes: Any,
) -> Order:
    file = InputFile(file="file_1", pixel_sha256=str(photo_seed), width=80, height=72)
    fields = {"num_inference_steps": STEPS, "guidance_scale": 2.0, "strength": 0.6, "image": file}
    if has_mask:
        fields["mask"] = file
    order = oracle.order(job, model, sampler, Spacing.DEFAULT, **(fields | changes))
    pictures = {"image": np.asarray(photo(photo_seed)), "mask": np.asarray(hole().convert("RGB"))}
    return Order(job, 0, order.request, order.seed, canvas=Canvas.of(order.request, pictures))


def error(latent: torch.Tensor, order: Order, reference: Stock, photo_seed: int = 1) -> float:
    mask = hole() if order.request.mask else None
    return stock.error(latent, reference.redraw(order.request, order.seed, photo(photo_seed), mask))


@pytest.fixture
def engine(every_model: Diffusion) -> Engine:
    return Engine(every_model)


@pytest.mark.parametrize("strength", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("sampler", [one for one in Sampler if one not in NOT_AS_STOCK])
def test_image_to_image_equals_the_stock_pipelines(
    engine: Engine, reference: Stock, sampler: Sampler, strength: float
) -> None:
    order = from_picture("job", "sd1-epsilon", sampler, strength=strength)
    assert error(oracle.alone(engine, order), order, reference) <= 1


@pytest.mark.parametrize("model", ["sd1-v", "sd2-v_zero_snr", "sdxl-epsilon"])
def test_so_it_does_with_every_family(engine: Engine, reference: Stock, model: str) -> None:
    order = from_picture("job", model, Sampler.EULER)
    assert error(oracle.alone(engine, order), order, reference) <= 1


@pytest.mark.parametrize("strength", [0.6, 1.0])
@pytest.mark.parametrize("sampler", [one for one in Sampler if one not in NOT_INPAINTED_AS_STOCK])
def test_inpainting_equals_the_stock_pipelines(
    engine: Engine, reference: Stock, sampler: Sampler, strength: float
) -> None:
    order = from_picture("job", "sd1-epsilon", sampler, has_mask=True, strength=strength)
    assert error(oracle.alone(engine, order), order, reference) <= 1


def test_inpainting_with_sdxl_equals_the_stock_pipeline(engine: Engine, reference: Stock) -> None:
    order = from_picture("job", "sdxl-epsilon", Sampler.EULER_A, has_mask=True)
    assert error(oracle.alone(engine, order), order, reference) <= 1


@pytest.mark.parametrize("has_mask", [False, True])
@pytest.mark.parametrize("tiling", [Seamless.X, Seamless.BOTH])
def test_a_seamless_one_equals_stock_with_circular_convolutions_in_both_networks(
    engine: Engine, reference: Stock, tiling: Seamless, has_mask: bool
) -> None:
    order = from_picture(
        "job", "sd1-epsilon", Sampler.EULER, has_mask=has_mask, seamless=tiling, strength=0.3
    )
    assert error(oracle.alone(engine, order), order, reference) <= 1


@pytest.mark.parametrize("seed", range(2))
def test_in_a_crowd_of_all_modes_each_equals_the_stock_pipelines(
    engine: Engine, reference: Stock, seed: int
) -> None:
    chance = random.Random(seed)
    samplers = [one for one in Sampler if one not in NOT_INPAINTED_AS_STOCK]
    redrawn = [
        from_picture(
            f"picture-{number}", "sd1-epsilon", chance.choice(samplers),
            has_mask=chance.random() < 0.5, photo_seed=number, seed=number,
            strength=chance.choice([0.3, 0.6, 1.0]), guidance_scale=chance.choice([1.0, 2.0]),
        )
        for number in range(8)
    ]  # fmt: skip
    plain = [
        oracle.order(f"plain-{number}", "sd1-epsilon", Sampler.EULER, Spacing.DEFAULT, seed=number)
        for number in range(6)
    ]
    orders = [*redrawn, *plain]
    chance.shuffle(orders)
    latents = oracle.in_a_crowd(engine, orders, chance)
    for number, order in enumerate(redrawn):
        if order.job in latents:
            assert error(latents[order.job], order, reference, photo_seed=number) <= 1, order
    found = {one.job: one for one in plain if one.job in latents}
    assert not oracle.missed(
        {job: oracle.judge(latents[job], one, reference) for job, one in found.items()}
    )


@pytest.fixture(scope="module")
def inpainting_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models whose UNets take nine channels."""
    root = tmp_path_factory.mktemp("inpainting")
    return {
        f"{family}-inpainting": tiny.make(root / family, tiny.EPSILON, family=family, channels=9)
        for family in (Family.SD1, Family.SDXL)
    }


@pytest.fixture(scope="module")
def inpainting(inpainting_folders: dict[str, Path]) -> Diffusion:
    return serving(inpainting_folders)


@pytest.mark.parametrize("strength", [0.6, 1.0])
@pytest.mark.parametrize("sampler", [Sampler.EULER_A, Sampler.HEUN, Sampler.UNIPC])
@pytest.mark.parametrize("model", ["sd1-inpainting", "sdxl-inpainting"])
def test_models_that_see_masks_equal_the_stock_pipelines_alone_and_together(
    inpainting: Diffusion,
    inpainting_folders: dict[str, Path],
    model: str,
    sampler: Sampler,
    strength: float,
) -> None:
    reference = Stock(inpainting_folders, dict.fromkeys(inpainting_folders, tiny.EPSILON))
    orders = [
        from_picture(
            f"{seed}", model, sampler, has_mask=True, strength=strength, seed=seed, photo_seed=seed
        )
        for seed in range(3)
    ]
    text_to_image = oracle.order("text", model, sampler, Spacing.DEFAULT)
    latents = oracle.in_a_crowd(Engine(inpainting), [*orders, text_to_image], random.Random(1))
    assert len(latents) > 2
    for order in orders:
        if order.job in latents:
            assert error(latents[order.job], order, reference, photo_seed=order.seed) <= 1


@pytest.mark.parametrize("fill", [MaskFill.NOISE, MaskFill.EMPTY, MaskFill.FILL])
def test_what_is_under_the_mask_first_counts(engine: Engine, fill: MaskFill) -> None:
    plain, other = (
        oracle.alone(
            engine,
            from_picture("job", "sd1-epsilon", Sampler.DDIM, has_mask=True, mask_fill=one),
        )
        for one in (MaskFill.ORIGINAL, fill)
    )
    changed = (plain != other).any(0)
    assert changed.any()


def test_strict_pictures_keep_their_bits_beside_images_that_start_from_pictures(
    engine: Engine,
) -> None:
    watched = oracle.order(
        "watched", "sd1-epsilon", Sampler.EULER_A, Spacing.DEFAULT, determinism="strict"
    )
    masked = from_picture(
        "masked", "sd1-epsilon", Sampler.HEUN, has_mask=True, determinism="strict"
    )
    apart = {one.job: oracle.alone(engine, one) for one in (watched, masked)}
    crowd = [
        watched,
        masked,
        *(
            from_picture(f"n{k}", "sd1-epsilon", Sampler.DDIM, determinism="strict", seed=k)
            for k in range(3)
        ),
    ]
    for order in crowd:
        engine.submit(order)
    with oracle._finals(engine) as together:
        while not engine.idle:
            engine.step()
    for job, latent in apart.items():
        assert together[job].equal(latent)

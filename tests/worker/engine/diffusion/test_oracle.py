"""The engine against the stock diffusers pipelines with the same seeds: the short matrix.

The whole one is in test_whole_oracle.py.
"""

import random

import numpy as np
import pytest
import torch

from latentry.contracts import Sampler, Spacing
from tests.worker.engine import oracle, stock
from tests.worker.engine.oracle import MODELS
from tests.worker.engine.stock import WALKS, Stock
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Done, Engine

pytestmark = stock.WARNINGS

# Guidance g grows the UNet's own rounding 2g − 1 times; at 2 what is left tells of the sampler.
GUIDANCE = 2.0
STEPS = (4, 7)


@pytest.fixture
def engine(every_model: Diffusion) -> Engine:
    return Engine(every_model)


@pytest.mark.parametrize(("sampler", "spacing"), WALKS)
def test_a_single_picture_equals_the_stock_pipelines(
    engine: Engine, reference: Stock, sampler: Sampler, spacing: Spacing
) -> None:
    """Two models for each walk; nine walks on, all nine have had their turn."""
    names = [name for name in MODELS if not name.endswith("sample")]
    turn = WALKS.index((sampler, spacing))
    verdicts = {}
    for number, steps in enumerate(STEPS):
        model = names[(turn + 4 * number) % len(names)]
        order = oracle.order(
            "job", model, sampler, spacing, num_inference_steps=steps, guidance_scale=GUIDANCE
        )
        verdicts[model, steps] = oracle.judge(oracle.alone(engine, order), order, reference)
    assert not oracle.missed(verdicts)


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("sampler", Sampler)
def test_the_shortest_walks_equal_the_stock_pipelines(
    engine: Engine, reference: Stock, sampler: Sampler, steps: int
) -> None:
    order = oracle.order(
        "job", "sd1-epsilon", sampler, Spacing.DEFAULT, num_inference_steps=steps, guidance_scale=1
    )
    verdict = oracle.judge(oracle.alone(engine, order), order, reference)
    assert not oracle.missed({"the picture": verdict})


@pytest.mark.parametrize("seed", range(3))
def test_pictures_in_a_mixed_churning_batch_equal_the_stock_pipelines(
    engine: Engine, reference: Stock, seed: int
) -> None:
    chance = random.Random(seed)
    orders = [oracle.any_order(f"job-{number}", chance) for number in range(18)]
    latents = oracle.in_a_crowd(engine, orders, chance)
    assert len(latents) > len(orders) // 2
    by_job = {order.job: order for order in orders}
    assert not oracle.missed(
        {job: oracle.judge(latent, by_job[job], reference) for job, latent in latents.items()}
    )


@pytest.mark.parametrize("rescale", [0.3, 1.0])
@pytest.mark.parametrize("model", ["sd1-v_zero_snr", "sdxl-epsilon"])
def test_rescaled_guidance_equals_the_stock_pipelines(
    engine: Engine, reference: Stock, model: str, rescale: float
) -> None:
    order = oracle.order(
        "job", model, Sampler.DDIM, Spacing.DEFAULT, guidance_scale=3.0, guidance_rescale=rescale
    )
    assert oracle.judge(oracle.alone(engine, order), order, reference).is_equal


def test_rescaling_changes_nothing_where_there_is_no_guidance(engine: Engine) -> None:
    plain, rescaled = (
        oracle.alone(
            engine,
            oracle.order(
                "job", "sd1-v", Sampler.DDIM, Spacing.DEFAULT,
                guidance_scale=1.0, guidance_rescale=rescale,
            ),
        )
        for rescale in (0.0, 0.7)
    )  # fmt: skip
    assert plain.equal(rescaled)


@pytest.mark.parametrize("seed", range(4))
def test_in_strict_mode_neighbours_change_no_bit_of_rescaled_guidance(
    engine: Engine, seed: int
) -> None:
    """Contrast is a sum over the whole latent, and sums have an order."""
    watched = oracle.order(
        "watched", "sd1-v", Sampler.DDIM, Spacing.DEFAULT,
        guidance_rescale=0.7, determinism="strict",
    )  # fmt: skip
    chance = random.Random(seed)
    crowd = [
        oracle.order(
            f"job-{number}", "sd1-v", Sampler.EULER, Spacing.KARRAS, determinism="strict",
            seed=number, guidance_scale=chance.choice([1.0, 4.0]),
        )
        for number in range(5)
    ]  # fmt: skip
    crowd.insert(chance.randrange(6), watched)
    latents: dict[str, torch.Tensor] = {}
    while "watched" not in latents:  # it may have been canceled
        latents = oracle.in_a_crowd(engine, crowd, chance)
    assert latents["watched"].equal(oracle.alone(engine, watched))


def test_euler_from_zero_terminal_snr_equals_even_the_stock_floats_at_25_steps(
    engine: Engine, reference: Stock
) -> None:
    order = oracle.order(
        "job", "sd1-v_zero_snr", Sampler.EULER, Spacing.DEFAULT, num_inference_steps=25
    )
    assert oracle.judge(oracle.alone(engine, order), order, reference).is_equal


@pytest.mark.parametrize("model", ["sd1-epsilon", "sd2-v", "sdxl-v_zero_snr"])
def test_pixels_are_the_stock_pipelines_to_a_level(
    engine: Engine, reference: Stock, model: str
) -> None:
    order = oracle.order("job", model, Sampler.DDIM, Spacing.DEFAULT)
    engine.submit(order)
    events = []
    while not engine.idle:
        events += engine.step()
    done = events[-1]
    assert isinstance(done, Done)
    theirs = reference.pixels(model, reference.draw(order.request.model_dump_json(), order.seed))
    assert np.abs(done.pixels.astype(int) - theirs.astype(int)).max() <= 1

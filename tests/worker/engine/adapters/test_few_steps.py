"""LoRAs for few steps: what each kind suggests, as stock with the LoRA in its weights draws it."""

import random
from dataclasses import replace

import pytest

from latentry.contracts import Sampler
from latentry.rules.adapters.few_steps import suggestion
from tests.latentry.rules.adapters.test_few_steps import PUBLISHED
from tests.worker.engine import oracle, stock
from tests.worker.engine.reference import Reference, order_of
from tests.worker.engine.stock import Stock
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Engine, Order

pytestmark = stock.WARNINGS


@pytest.fixture(scope="module")
def few_reference(reference: Stock, every_model: Diffusion) -> Reference:
    return Reference(reference, every_model)


def suggested(name: str, job: str = "job", seed: int = 1, **changes: object) -> Order:
    """An order with a LoRA that is called so, as its entry suggests."""
    known = suggestion([name])
    assert known
    model = "sdxl-epsilon" if "xl" in name.casefold() else "sd1-epsilon"
    fields = {
        "num_inference_steps": known.num_inference_steps,
        "guidance_scale": known.guidance_scale,
    }
    order = order_of("LoRA", job, sampler=known.sampler, model=model, seed=seed, **fields)
    changed = {"spacing": known.spacing} | changes
    return replace(order, request=order.request.model_copy(update=changed))


@pytest.mark.parametrize("name", PUBLISHED)
def test_as_suggested_it_draws_as_stock_does(
    every_model: Diffusion, few_reference: Reference, name: str
) -> None:
    order = suggested(name)
    latent = oracle.alone(Engine(every_model), order)
    assert few_reference.error(latent, order) <= 1
    plain = replace(order, request=order.request.model_copy(update={"loras": ()}))
    assert stock.error(latent, oracle.alone(Engine(every_model), plain)) > 100


def test_they_do_so_in_a_crowd_of_all_and_of_others(
    every_model: Diffusion, few_reference: Reference
) -> None:
    orders = [suggested(name, f"{name} {n}", seed=n) for n, name in enumerate([*PUBLISHED] * 2)]
    orders += [order_of("text", f"text {n}", sampler=Sampler.DPMPP_2M, seed=n) for n in range(6)]
    latents = oracle.in_a_crowd(Engine(every_model), orders, random.Random(3))
    errors = {
        one.job: few_reference.error(latents[one.job], one) for one in orders if one.job in latents
    }
    assert len(errors) > len(orders) // 2
    assert {job: error for job, error in errors.items() if error > 1} == {}

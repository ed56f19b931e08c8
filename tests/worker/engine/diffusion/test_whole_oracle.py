"""The whole oracle, `make oracle`: every sampler × spacing × prediction × family, and its table."""

import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from latentry.contracts import Sampler
from latentry.contracts.samplers import SAMPLER_SPACINGS
from tests.worker.engine import oracle, stock
from tests.worker.engine.diffusion.test_oracle import GUIDANCE
from tests.worker.engine.oracle import MODELS, Verdict
from tests.worker.engine.stock import Stock
from tests.worker.engine.tiny import Family
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Engine

pytestmark = [*stock.WARNINGS, pytest.mark.oracle, pytest.mark.timeout(900)]

# The longest walks once; what is new on another model shows in short ones.
STEPS = (3, 12)
LONG_STEPS = {"sd1-epsilon": (1, 2, 5, 10, 25, 50)}
CROWD = 40

# (family, sampler, "alone" or "crowd") to verdicts by whatever else tells them apart.
Found = dict[tuple[Family, Sampler, str], dict[Any, Verdict]]


@pytest.fixture(scope="module")
def found() -> Iterator[Found]:
    """What was seen; printed when all is done."""
    seen: Found = {}
    yield seen
    print(f"\n\n{_table(seen)}")


def walks(model: str) -> list[Sampler]:
    if MODELS[model].prediction == "sample":
        return [sampler for sampler in Sampler if sampler not in stock.NOT_OF_SAMPLES]
    return list(Sampler)


@pytest.mark.parametrize(
    ("model", "sampler"), [(model, sampler) for model in MODELS for sampler in walks(model)]
)
def test_every_single_picture_equals_the_stock_pipelines(
    every_model: Diffusion, reference: Stock, found: Found, model: str, sampler: Sampler
) -> None:
    verdicts: dict[Any, Verdict] = {}
    # A predicted sample is the picture: the UNet's rounding, grown by guidance, stays in it whole.
    guidance = 1.0 if MODELS[model].prediction == "sample" else GUIDANCE
    for spacing in SAMPLER_SPACINGS[sampler]:
        for steps in LONG_STEPS.get(model, STEPS):
            if stock.takes_no_step(sampler, spacing, steps):
                continue
            order = oracle.order(
                "job", model, sampler, spacing, num_inference_steps=steps, guidance_scale=guidance
            )
            latent = oracle.alone(Engine(every_model), order)
            verdicts[model, spacing, steps] = oracle.judge(latent, order, reference)
    found.setdefault((MODELS[model].family, sampler, "alone"), {}).update(verdicts)
    assert not oracle.missed(verdicts)


@pytest.mark.parametrize("seed", range(12))
def test_every_picture_in_a_mixed_churning_batch_equals_the_stock_pipelines(
    every_model: Diffusion, reference: Stock, found: Found, seed: int
) -> None:
    chance = random.Random(f"whole {seed}")
    orders = {f"job-{n}": oracle.any_order(f"job-{n}", chance) for n in range(CROWD)}
    latents = oracle.in_a_crowd(Engine(every_model), list(orders.values()), chance)
    verdicts = {job: oracle.judge(made, orders[job], reference) for job, made in latents.items()}
    for job, verdict in verdicts.items():
        request = orders[job].request
        row = found.setdefault((MODELS[request.model].family, request.sampler, "crowd"), {})
        row[seed, job] = verdict
    assert not oracle.missed(verdicts)


def _table(found: Found) -> str:
    """Per sampler and family: the worst of the equal pictures, and those that rounding excuses."""
    columns = [(family, how) for family in oracle.FAMILIES for how in ("alone", "crowd")]
    lines = [
        "Largest |ours - stock| / (1e-5 · max(1, max|stock|)) of how many pictures.",
        "[Where stock's own rounding takes up the tolerance: how many, and how far ours and",
        "stock's are at most from the same pipeline in float64.]",
        "sampler      " + "".join(f"{f'{family} {how}':<34}" for family, how in columns),
    ]
    for sampler in Sampler:
        cells = [_cell(found.get((family, sampler, how), {})) for family, how in columns]
        lines.append(f"{sampler:<13}" + "".join(f"{cell:<34}" for cell in cells))
    every = [verdict for cell in found.values() for verdict in cell.values()]
    equal = sum(verdict.is_equal for verdict in every)
    excused = sum(not verdict.is_equal and verdict.is_rounding for verdict in every)
    lines.append(f"{len(every)} pictures: {equal} equal, {excused} in brackets.")
    return "\n".join(lines)


def _cell(verdicts: Mapping[Any, Verdict]) -> str:
    equal = [verdict.error for verdict in verdicts.values() if verdict.is_equal]
    rest = [verdict for verdict in verdicts.values() if not verdict.is_equal]
    text = f"{max(equal, default=0.0):.2f} of {len(equal)}"
    if rest:
        ours = max(verdict.ours_from_truth for verdict in rest)
        theirs = max(verdict.stock_from_truth for verdict in rest)
        text += f" [{len(rest)}: {ours:.2f} {theirs:.1f}]"
    return text

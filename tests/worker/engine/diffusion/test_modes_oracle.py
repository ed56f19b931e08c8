"""Every mode against stock or its definition, alone and in one churning crowd of all modes."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from latentry.contracts import Sampler
from tests.modes import MODES
from tests.worker.engine import oracle, stock, tiny
from tests.worker.engine.conftest import sharing
from tests.worker.engine.reference import Reference, order_of, samplers_of
from tests.worker.engine.stock import Stock
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Engine, Order

pytestmark = stock.WARNINGS

QUICK = [Sampler.EULER_A]
# The last one's stock pipeline is another class, on which no `mask_fill` is tried.
FAMILIES = ["sd1-epsilon", "sd2-v", "sdxl-epsilon"]
# Largest errors, in tolerances, by mode and by how it was drawn.
Found = dict[tuple[str, str], list[float]]


@pytest.fixture(scope="module")
def backend(every_model: Diffusion, special_folders: dict[str, Path]) -> Diffusion:
    """All models of the oracle, and those of modes that need their own."""
    made = sharing(every_model)
    for name, folder in special_folders.items():
        made.load(name, folder)
    return made


@pytest.fixture(scope="module")
def modes_reference(
    every_folder: dict[str, Path], special_folders: dict[str, Path], backend: Diffusion
) -> Reference:
    configs = {name: model.config for name, model in oracle.MODELS.items()}
    folders = {name: every_folder[name] for name in FAMILIES}
    configs |= dict.fromkeys(special_folders, tiny.EPSILON)
    return Reference(Stock({**folders, **special_folders}, configs), backend)


@pytest.fixture(scope="module")
def found() -> Iterator[Found]:
    """What was seen; printed when all is done."""
    seen: Found = {}
    yield seen
    print(f"\n\n{table(seen)}")


def table(found: Found) -> str:
    """Of each mode the largest error alone and in the crowd, and of how many images."""
    lines = [
        "Largest |ours - reference| / (1e-5 · max(1, max|reference|)) of how many images.",
        f"{'mode':<30}{'alone':<14}crowd",
    ]
    for mode in MODES:
        cells = [found.get((mode, how), []) for how in ("alone", "crowd")]
        texts = [f"{max(cell, default=0.0):.2f} of {len(cell)}" for cell in cells]
        lines.append(f"{mode:<30}{texts[0]:<14}{texts[1]}")
    return "\n".join(lines)


def cells() -> list[object]:
    """Each mode with each sampler; most of them in `make oracle` alone."""
    return [
        pytest.param(mode, sampler, marks=() if sampler in QUICK else pytest.mark.oracle)
        for mode in MODES
        for sampler in samplers_of(mode)
    ]


@pytest.mark.parametrize(("mode", "sampler"), cells())
def test_every_mode_alone_equals_its_reference(
    backend: Diffusion, modes_reference: Reference, found: Found, mode: str, sampler: Sampler
) -> None:
    order = order_of(mode, sampler=sampler)
    error = modes_reference.error(oracle.alone(Engine(backend), order), order)
    found.setdefault((mode, "alone"), []).append(error)
    assert error <= 1


WITH_ADAPTERS = [
    (mode, name)
    for mode, way in MODES.items()
    for name in ("loras", "controls", "embeddings", "image_prompts")
    if name in way.fields or (name == "embeddings" and way.embeddings)
]


@pytest.mark.parametrize(("mode", "name"), WITH_ADAPTERS)
def test_adapters_of_the_table_change_the_image(backend: Diffusion, mode: str, name: str) -> None:
    order = order_of(mode)
    without = order.request.model_copy(update={name: ()})
    plain = replace(order, request=without, controls=() if name == "controls" else order.controls)
    latents = [oracle.alone(Engine(backend), one) for one in (order, plain)]
    assert stock.error(*latents) > 100


def families_of(mode: str) -> list[str]:
    """The models of the crowd that have the mode."""
    if "T2I-Adapter" in mode:
        return [one for one in FAMILIES if one != "sd2-v"]
    return FAMILIES[: 2 if "mask_fill" in MODES[mode].fields else 3]


def crowd_of(chance: random.Random, size: int) -> list[Order]:
    """Orders of every mode, and of modes by lot after that, in any order."""
    names = [*MODES, *chance.choices(list(MODES), k=size - len(MODES))]
    orders = [
        order_of(
            mode,
            f"{mode} {number}",
            sampler=chance.choice(samplers_of(mode)),
            model=chance.choice(families_of(mode)),
            seed=number,
            # One pixel that another batch rounds to another level is a tolerance: never in strict.
            determinism="strict" if "pixels" in mode else chance.choice(["fast", "fast", "strict"]),
        )
        for number, mode in enumerate(names)
    ]
    chance.shuffle(orders)
    return orders


@pytest.mark.parametrize(
    ("seed", "size"),
    [(0, len(MODES)), *(pytest.param(k, 60, marks=pytest.mark.oracle) for k in range(1, 9))],
)
def test_every_mode_in_one_churning_crowd_of_all_equals_its_reference(
    backend: Diffusion, modes_reference: Reference, found: Found, seed: int, size: int
) -> None:
    orders = {order.job: order for order in crowd_of(random.Random(f"modes {seed}"), size)}
    latents = oracle.in_a_crowd(Engine(backend), list(orders.values()), random.Random(seed))
    seen = Counter(job.rpartition(" ")[0] for job in latents)
    errors = {job: modes_reference.error(one, orders[job]) for job, one in latents.items()}
    for job, error in errors.items():
        found.setdefault((job.rpartition(" ")[0], "crowd"), []).append(error)
    assert {job: error for job, error in errors.items() if error > 1} == {}
    assert len(seen) > 0.7 * len(MODES), "few were canceled on the way"

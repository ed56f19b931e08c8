"""A second model for the last steps of an image, beside the stock pipelines."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from latentry.contracts import IntermediateKind, Sampler, Spacing
from latentry.errors import InvalidRequest
from latentry.rules.passes import passes
from latentry.rules.pricing import pass_calls, price
from tests.worker.engine import oracle, stock, tiny
from tests.worker.engine.conftest import sharing
from tests.worker.engine.diffusion.test_from_pictures import from_picture
from tests.worker.engine.stock import Stock
from tests.worker.engine.tiny import Family
from tests.worker.engine.trajectories import begun, drawn
from worker.engine.diffusion import checkpoint
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Engine, Intermediate, Order, Step

pytestmark = stock.WARNINGS

BASE, REFINER = "sdxl-epsilon", "refiner"
CONFIG = oracle.MODELS[BASE].config
STEPS, SWITCH = 5, 3
LORA = {"id": "a", "weight": 1.0, "text_encoder_weight": 1.0, "sha256": "1"}
# What stock does otherwise where it begins at a later step, and what is refused: docs/samplers.md.
NOT_AS_STOCK = {Sampler.LMS, Sampler.PNDM}


def refined(job: str, sampler: Sampler, **changes: Any) -> Order:
    fields = {
        "num_inference_steps": STEPS, "refiner": REFINER, "refiner_switch_at": SWITCH / STEPS,
        "guidance_scale": 2.0,
    }  # fmt: skip
    return oracle.order(job, BASE, sampler, Spacing.DEFAULT, **(fields | changes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("refiner") / "m", CONFIG, family=Family.REFINER)


@pytest.fixture(scope="module")
def both(folder: Path, every_model: Diffusion) -> Diffusion:
    made = sharing(every_model)
    made.load(REFINER, folder)
    return made


@pytest.fixture
def engine(both: Diffusion) -> Engine:
    return Engine(both)


@pytest.fixture(scope="module")
def of_stock(folder: Path, every_folder: dict[str, Path]) -> Stock:
    folders = {BASE: every_folder[BASE], REFINER: folder}
    return Stock(folders, dict.fromkeys(folders, CONFIG))


def handed_over(reference: Stock, order: Order, **start: Any) -> torch.Tensor:
    """The final latent [C, h, w] of stock's base and then its refiner, with one generator.

    start: how the refiner is told where to begin. denoising_start compares timesteps, and begins a
    step too early where steps have two calls; as a whole number it leaves that to `strength`, and
    still adds no noise.
    """
    request, generator = order.request, torch.Generator().manual_seed(order.seed)
    first, _ = passes(request)
    base, pipeline = reference.pipeline(BASE), reference.pipeline(REFINER)
    given = {
        "prompt": request.prompt, "negative_prompt": request.negative_prompt or None,
        "num_inference_steps": request.num_inference_steps, "generator": generator,
        "guidance_scale": request.guidance_scale, "output_type": "latent",
        "guidance_rescale": request.guidance_rescale, "eta": stock.ETA.get(request.sampler, 0.0),
    }  # fmt: skip
    base.scheduler = stock.scheduler(CONFIG, request.sampler, request.spacing)
    size = {"width": request.width, "height": request.height}
    image = base(**given, **size, **stock.cut(base, first)).images
    pipeline.scheduler = stock.scheduler(CONFIG, request.sampler, request.spacing)
    del given["guidance_rescale"]
    return pipeline(**given, image=image, **(start or by_strength(first))).images[0]


def by_strength(first: Any) -> dict[str, Any]:
    left = first.num_inference_steps - first.last_step
    return {"denoising_start": 1, "strength": (left + 0.5) / first.num_inference_steps}


@pytest.mark.parametrize("sampler", [one for one in Sampler if one not in NOT_AS_STOCK])
def test_it_equals_stock_s_base_and_then_its_refiner(
    engine: Engine, of_stock: Stock, sampler: Sampler
) -> None:
    order = refined("job", sampler)
    assert stock.error(oracle.alone(engine, order), handed_over(of_stock, order)) <= 1


@pytest.mark.parametrize(
    ("fields", "cut"),
    [
        ({"num_inference_steps": 10, "refiner_switch_at": 0.8}, 0.8),
        ({"num_inference_steps": 4, "refiner_switch_at": 0.5}, 0.5),
        ({"width": 96, "negative_prompt": ""}, SWITCH / STEPS),
        ({"guidance_scale": 1.0}, SWITCH / STEPS),
    ],
)
@pytest.mark.parametrize("sampler", [Sampler.EULER, Sampler.EULER_A, Sampler.DDIM])
def test_so_it_does_by_the_very_fractions_of_stock(
    engine: Engine, of_stock: Stock, sampler: Sampler, fields: dict[str, Any], cut: float
) -> None:
    order = refined("job", sampler, **fields)
    theirs = handed_over(of_stock, order, denoising_start=cut)
    assert stock.error(oracle.alone(engine, order), theirs) <= 1


@pytest.mark.parametrize("sampler", [Sampler.EULER_A, Sampler.HEUN, Sampler.DPM2, Sampler.DDPM])
def test_the_same_model_once_more_draws_the_very_image_if_the_sampler_remembers_nothing(
    both: Diffusion, sampler: Sampler
) -> None:
    backend = sharing(both)
    backend.adopt("twin", both.models[BASE])
    engine, fields = Engine(backend), {"determinism": "strict", "prompt": "[a:b:3]"}
    apart = oracle.alone(engine, refined("apart", sampler, refiner="twin", **fields))
    plain = refined("plain", sampler, refiner=None, refiner_switch_at=0.8, **fields)
    assert torch.equal(apart, oracle.alone(engine, plain))


@pytest.mark.parametrize("seed", range(2))
def test_in_a_crowd_of_both_models_each_equals_stock(
    engine: Engine, of_stock: Stock, seed: int
) -> None:
    chance = random.Random(seed)
    orders = [
        refined(
            f"refined-{k}", chance.choice([Sampler.EULER, Sampler.UNIPC, Sampler.DPMPP_2M]), seed=k,
            guidance_scale=chance.choice([1.0, 2.0]), determinism=chance.choice(["fast", "strict"]),
            refiner_switch_at=chance.choice([0.2, 0.6, 0.8]),
        )
        for k in range(8)
    ]  # fmt: skip
    plain = [
        oracle.order(f"plain-{k}", BASE, Sampler.EULER, Spacing.DEFAULT, seed=k) for k in range(4)
    ]
    beside = [from_picture(f"own-{k}", REFINER, Sampler.EULER, seed=k) for k in range(3)]
    latents = oracle.in_a_crowd(engine, [*orders, *plain, *beside], chance)
    assert any(order.job in latents for order in orders)
    for order in orders:
        if order.job in latents:
            assert stock.error(latents[order.job], handed_over(of_stock, order)) <= 1, order
    found = {one.job: one for one in plain if one.job in latents}
    assert not oracle.missed(
        {job: oracle.judge(latents[job], one, of_stock) for job, one in found.items()}
    )


def test_its_rows_leave_the_base_s_batch_and_join_the_refiner_s(both: Diffusion) -> None:
    backend, calls = sharing(both), []
    advance = backend.advance

    def spied(members: Any, rows: int) -> None:
        calls.append((members[0].key.model, {one.order.job for one in members}))
        advance(members, rows)

    backend.advance = spied  # type: ignore[method-assign]
    engine = Engine(backend)
    engine.submit(oracle.order("base", BASE, Sampler.EULER, Spacing.DEFAULT, num_inference_steps=9))
    engine.submit(from_picture("own", REFINER, Sampler.EULER, num_inference_steps=18, strength=0.5))
    engine.submit(refined("refined", Sampler.EULER))
    tiny.drain(engine)
    of_it = [(model, jobs) for model, jobs in calls if "refined" in jobs]
    assert [model for model, _ in of_it] == [BASE] * SWITCH + [REFINER] * (STEPS - SWITCH)
    assert any("base" in jobs for _, jobs in of_it[:SWITCH])
    assert any("own" in jobs for _, jobs in of_it[SWITCH:])


@pytest.mark.parametrize("sampler", [Sampler.EULER_A, Sampler.HEUN, Sampler.DPMPP_SDE])
def test_steps_and_what_is_stored_of_them_count_on(both: Diffusion, sampler: Sampler) -> None:
    order = refined("job", sampler, intermediates={"every": 1})
    engine = Engine(both)
    engine.submit(order)
    events = tiny.drain(engine)
    steps = [event for event in events if isinstance(event, Step)]
    assert [(one.step, one.steps) for one in steps] == [(k, STEPS) for k in range(1, STEPS + 1)]
    stored = {(one.step, one.kind) for one in events if isinstance(one, Intermediate)}
    assert stored == {(step, kind) for step in range(1, STEPS + 1) for kind in IntermediateKind}


@pytest.mark.parametrize(
    "fields",
    [{}, {"cache_interval": 2}, {"guidance_stop": 0.7}, {"determinism": "strict"}],
    ids=str,
)
def test_it_goes_on_from_a_checkpoint_before_at_and_after_the_switch(
    both: Diffusion, fields: dict[str, Any]
) -> None:
    order = refined("job", Sampler.EULER_A, **fields)
    expected, whole = drawn(both, begun(both, order)), begun(both, order)
    for calls in range(STEPS + 1):
        late = begun(both, replace(order, checkpoint=both.save(whole)))
        if not fields.get("cache_interval"):
            assert late.step == calls
        assert torch.equal(drawn(both, late), expected), calls
        if whole.calls_left:
            both.advance([whole], whole.rows if not whole.key.bucket else whole.key.bucket)


def test_a_checkpoint_of_another_refiner_is_of_another_picture(
    both: Diffusion, tmp_path: Path
) -> None:
    order = refined("job", Sampler.EULER)
    other = sharing(both)
    other.load(REFINER, tiny.make(tmp_path / "m", CONFIG, family=Family.REFINER, seed=5))
    assert not checkpoint.resume(begun(other, order), checkpoint.save(begun(both, order), ""), "")


def test_guidance_stops_and_prompts_change_where_they_would_with_one_model(
    both: Diffusion,
) -> None:
    order = refined("job", Sampler.EULER, guidance_stop=0.7, prompt="[a:b:3]")
    one, rows, texts = begun(both, order), [], []
    while one.calls_left:
        both.advance([one], one.rows)
        conditioning = one.current.conditioning.at(one.calls - 1)
        texts.append(conditioning.hidden[-1])
        guided = one.current.is_guided(one.calls - 1)
        rows.append(len(conditioning.hidden) if guided else 1)
    assert rows == [2, 2, 2, 2, 1], "0.7 of five calls are three and a half"
    assert torch.equal(texts[0], texts[2])
    assert not torch.equal(texts[3], texts[4])


@pytest.mark.parametrize("sampler", [Sampler.EULER, Sampler.HEUN, Sampler.DPM2_A])
def test_it_is_priced_by_the_calls_of_both(both: Diffusion, sampler: Sampler) -> None:
    order = refined("job", sampler)
    one, calls = begun(both, order), []
    while one.calls_left:
        calls.append(one.key.model)
        both.advance([one], one.rows)
    by_pass = [pass_calls(each) for each in passes(order.request)]
    assert calls == [BASE] * by_pass[0] + [REFINER] * by_pass[1]
    cards = [both.models[model].card for model in order.request.models]
    cost = price(order.request, *cards).step_megapixels
    assert cost == pytest.approx(sum(by_pass) * 64 * 64 / 1e6)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"sampler": Sampler.PNDM}, "/sampler"),
        ({"denoise_end": 0.5}, "/denoise_end"),
        ({"loras": (LORA,)}, "/loras"),
        ({"hires": {"width": 128, "height": 128, "steps": 4, "strength": 0.5}}, "/hires"),
        ({"refiner_switch_at": 0.1}, "/refiner_switch_at"),
        ({"num_inference_steps": 1}, "/num_inference_steps"),
        ({"refiner": "sd1-epsilon"}, "/refiner"),
        ({"refiner": None}, "/refiner_switch_at"),
        ({"model": REFINER, "refiner": BASE}, "/image"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    both: Diffusion, fields: dict[str, Any], pointer: str
) -> None:
    order = refined("job", Sampler.EULER)
    asked = order.request.model_validate(order.request.model_dump() | fields)
    with pytest.raises(InvalidRequest) as refused:
        both.plan(replace(order, request=asked))
    assert pointer in refused.value.fields


def test_two_models_that_memory_never_holds_together_are_refused(
    folder: Path, every_folder: dict[str, Path]
) -> None:
    size = sum(file.stat().st_size for file in every_folder[BASE].rglob("*.safetensors"))
    backend = Diffusion(device="cpu", dtype="float32", threads=1, model_memory_bytes=size + 100_000)
    backend.open({BASE: every_folder[BASE], REFINER: folder})
    with pytest.raises(InvalidRequest, match="together"):
        backend.ready(BASE, REFINER)
    assert backend.ready(BASE)

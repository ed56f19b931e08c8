"""Pictures edited by instruction (InstructPix2Pix), beside the stock pipelines."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from latentry.contracts import ResolvedRequest, Sampler, Seamless
from latentry.errors import InvalidRequest
from latentry.rules.pricing import price
from tests.worker.engine import oracle, stock, tiny
from tests.worker.engine.adapters import written
from tests.worker.engine.adapters.drawing import Made, Worn, by_definition, dressed
from tests.worker.engine.adapters.written import Style
from tests.worker.engine.diffusion.test_from_pictures import from_picture, photo
from tests.worker.engine.stock import Stock
from tests.worker.engine.tiny import Family
from tests.worker.engine.trajectories import begun, drawn
from worker.engine.adapters.file import AdapterFile
from worker.engine.diffusion import checkpoint
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.diffusion.guidance import rescaled
from worker.engine.diffusion.trajectory import Trajectory
from worker.engine.loop import Engine, Order

pytestmark = stock.WARNINGS

EDITING = {f"{family}-edit": family for family in (Family.SD1, Family.SDXL)}
STEPS = 4


def edit(job: str, model: str, sampler: Sampler, **changes: Any) -> Order:
    fields = {
        "strength": None, "image_guidance_scale": 1.5, "guidance_scale": 3.0,
        "num_inference_steps": STEPS,
    }  # fmt: skip
    return from_picture(job, model, sampler, **(fields | changes))


@pytest.fixture(scope="module")
def edit_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models whose UNets take eight channels."""
    root = tmp_path_factory.mktemp("edits")
    return {
        name: tiny.make(root / name, tiny.EPSILON, family=family, channels=8)
        for name, family in EDITING.items()
    }


@pytest.fixture(scope="module")
def editing(edit_folders: dict[str, Path]) -> Diffusion:
    backend = Diffusion(device="cpu", dtype="float32", threads=1)
    for name, folder in edit_folders.items():
        card = backend.load(name, folder)
        assert card.limits.edits
    return backend


@pytest.fixture
def engine(editing: Diffusion) -> Engine:
    return Engine(editing)


@pytest.fixture(scope="module")
def of_stock(edit_folders: dict[str, Path]) -> Stock:
    return Stock(edit_folders, dict.fromkeys(edit_folders, tiny.EPSILON))


def edited(reference: Stock, request: ResolvedRequest, seed: int, image: Image.Image) -> Any:
    """The final latent [C, h, w] of the stock pipeline, in fp32."""
    parts = reference.pipeline(request.model)
    kinds = (
        diffusers.StableDiffusionInstructPix2PixPipeline,
        diffusers.StableDiffusionXLInstructPix2PixPipeline,
    )
    is_xl = "sdxl" in request.model
    names = {"feature_extractor", "image_encoder", "safety_checker"} - set(parts.components)
    components = {n: p for n, p in parts.components.items() if not is_xl or n not in _UNKNOWN_TO_XL}
    components |= {} if is_xl else {"requires_safety_checker": False, **dict.fromkeys(names)}
    pipeline = kinds[is_xl](**components)
    pipeline.scheduler = stock.scheduler(tiny.EPSILON, request.sampler, request.spacing)
    pipeline.set_progress_bar_config(disable=True)
    more: dict[str, Any] = {}
    if is_xl:
        more = {"width": request.width, "height": request.height}
        more["guidance_rescale"] = request.guidance_rescale
    tiling = request.seamless
    with stock.seamless(pipeline.unet, tiling), stock.seamless(pipeline.vae, tiling):
        drawn = pipeline(
            prompt=request.prompt,
            negative_prompt=request.negative_prompt or None,
            image=image.resize((request.width, request.height), Image.Resampling.LANCZOS),
            num_inference_steps=request.num_inference_steps,
            guidance_scale=request.guidance_scale,
            image_guidance_scale=request.image_guidance_scale,
            generator=torch.Generator().manual_seed(seed),
            output_type="latent",
            eta=stock.ETA.get(request.sampler, 0.0),
            **more,
        )
    return drawn.images[0]


_UNKNOWN_TO_XL = {"feature_extractor", "image_encoder"}


def error(latent: torch.Tensor, order: Order, reference: Stock, photo_seed: int = 1) -> float:
    return stock.error(latent, edited(reference, order.request, order.seed, photo(photo_seed)))


@pytest.mark.parametrize("sampler", Sampler)
def test_an_edit_equals_the_stock_pipeline(
    engine: Engine, of_stock: Stock, sampler: Sampler
) -> None:
    order = edit("job", "sd1-edit", sampler)
    assert error(oracle.alone(engine, order), order, of_stock) <= 1


@pytest.mark.parametrize("model", EDITING)
@pytest.mark.parametrize("determinism", ["fast", "strict"])
def test_all_three_rows_of_an_edit_have_its_loras(
    engine: Engine, of_stock: Stock, tmp_path: Path, model: str, determinism: str
) -> None:
    style = Style(networks=("unet", "text_encoder"), convolutions=True)
    terms = written.terms(of_stock.pipeline(model), style, 1)
    weights = written.kohya(terms, is_xl="sdxl" in model)
    path = written.save(weights, tmp_path / "ink.safetensors")
    worn = [Worn(Made(path, AdapterFile.read(path).sha256, written.deltas(terms)), 0.7, 0.4)]
    plain = edit("plain", model, Sampler.EULER, determinism=determinism)
    order = dressed(engine.backend, replace(plain, job="worn"), worn)
    latents = oracle.in_a_crowd(engine, [plain, order], random.Random(1))
    assert error(latents["plain"], plain, of_stock) <= 1
    with by_definition(of_stock, order, worn):
        assert error(latents["worn"], order, of_stock) <= 1
    assert error(latents["worn"], plain, of_stock) > 100


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"image_guidance_scale": 1.0},
        {"image_guidance_scale": 4.0, "guidance_scale": 1.5},
        {"guidance_scale": 1.0},
        {"negative_prompt": ""},
        {"seamless": Seamless.X},
        {"width": 96},
    ],
    ids=str,
)
@pytest.mark.parametrize("model", EDITING)
def test_so_it_does_by_both_scales_and_in_every_size(
    engine: Engine, of_stock: Stock, model: str, fields: dict[str, Any]
) -> None:
    order = edit("job", model, Sampler.EULER_A, **fields)
    assert error(oracle.alone(engine, order), order, of_stock) <= 1


def test_sdxl_s_rescaled_guidance_is_stock_s(engine: Engine, of_stock: Stock) -> None:
    order = edit("job", "sdxl-edit", Sampler.EULER, guidance_rescale=0.7)
    assert error(oracle.alone(engine, order), order, of_stock) <= 1


@pytest.mark.parametrize("seed", range(2))
def test_in_a_crowd_of_two_and_three_rows_each_equals_stock(
    engine: Engine, of_stock: Stock, seed: int
) -> None:
    chance = random.Random(seed)
    orders = [
        edit(
            f"job-{number}", chance.choice([*EDITING]), chance.choice([*Sampler]), seed=number,
            photo_seed=number, guidance_scale=chance.choice([1.0, 2.0, 4.0]),
            image_guidance_scale=chance.choice([1.0, 1.5, 3.0]),
            num_inference_steps=chance.choice([3, 5]),
            determinism=chance.choice(["fast", "fast", "strict"]),
        )
        for number in range(10)
    ]  # fmt: skip
    latents = oracle.in_a_crowd(engine, orders, chance)
    assert len(latents) > 5
    for number, order in enumerate(orders):
        if order.job in latents:
            assert error(latents[order.job], order, of_stock, photo_seed=number) <= 1, order


def test_a_strict_edit_has_the_same_bits_in_a_crowd(engine: Engine) -> None:
    watched = edit("watched", "sd1-edit", Sampler.EULER_A, determinism="strict")
    alone = oracle.alone(engine, watched)
    crowd = [
        edit(
            f"n{k}", "sd1-edit", Sampler.DDIM, seed=k, guidance_scale=1.0 + k, determinism="strict"
        )
        for k in range(3)
    ]
    for order in (*crowd, watched):
        engine.submit(order)
    with oracle._finals(engine) as together:
        tiny.drain(engine)
    assert together["watched"].equal(alone)


@pytest.mark.parametrize("fields", [{}, {"cache_interval": 2}, {"guidance_stop": 0.5}], ids=str)
def test_it_goes_on_from_a_checkpoint_at_any_call(
    editing: Diffusion, fields: dict[str, Any]
) -> None:
    order = edit("job", "sd1-edit", Sampler.EULER_A, **fields)
    expected, whole = drawn(editing, begun(editing, order)), begun(editing, order)
    for calls in range(STEPS + 1):
        late = begun(editing, order)
        assert checkpoint.resume(late, checkpoint.save(whole, ""), "")
        assert torch.equal(drawn(editing, late), expected), calls
        if whole.calls_left:
            editing.advance([whole], whole.rows)


def test_after_guidance_has_stopped_there_is_the_prompt_s_row_alone_which_sees_the_picture(
    editing: Diffusion,
) -> None:
    one = begun(editing, edit("job", "sd1-edit", Sampler.EULER, guidance_stop=0.5))
    seen = []
    while one.calls_left:
        assert one.beside_rows is not None
        seen.append([bool(row.any()) for row in one.beside_rows])
        editing.advance([one], one.rows)
    assert seen == [[False, True, True]] * 2 + [[True]] * 2


def test_parts_between_ands_are_guided_from_the_row_of_the_picture(editing: Diffusion) -> None:
    """Brooks et al. 2023, equation 3, with the sum of all parts in the place of the prompt's."""
    order = edit("job", "sd1-edit", Sampler.EULER, prompt="a :1.5 AND b :0.5", guidance_rescale=0.3)
    one = begun(editing, order)
    assert one.rows == 4
    [nothing, picture, a, b] = outputs(editing, one)
    c = picture + 1.5 * (a - picture) + 0.5 * (b - picture)
    m = nothing + 1.5 * (picture - nothing) + 3.0 * (c - picture)
    m = rescaled(m, c, 0.3)
    sigma, sigma_next = (level.noise for level in one.current.levels[:2])
    expected = one.latent + m * (sigma_next - sigma)
    editing.advance([one], one.rows)
    torch.testing.assert_close(one.latent, expected, rtol=1e-5, atol=1e-5)


def outputs(backend: Diffusion, one: Trajectory) -> list[torch.Tensor]:
    """What the UNet says of each row of its next call."""
    conditioning, call = one.active_conditioning, one.current.inputs[one.calls]
    assert one.beside_rows is not None
    x = one.seen.expand(one.rows, *one.latent.shape)
    with torch.inference_mode():
        found = one.model.unet(
            torch.cat([x, one.beside_rows], 1), call[0], conditioning.hidden
        ).sample
    return list(found.unbind(0))


def test_its_noise_may_be_varied_and_its_end_be_early(editing: Diffusion) -> None:
    plain, varied, early = (
        drawn(editing, begun(editing, edit("job", "sd1-edit", Sampler.EULER, **fields)))
        for fields in (
            {"seed": 9},
            {"seed": 5, "variation_seed": 9, "variation_strength": 1.0},
            {"seed": 9, "denoise_end": 0.5},
        )
    )
    assert torch.equal(plain, varied)
    whole = begun(editing, edit("job", "sd1-edit", Sampler.EULER, seed=9))
    for _ in range(STEPS // 2):
        editing.advance([whole], whole.rows)
    assert torch.equal(early, whole.latent)


def test_three_rows_cost_half_as_much_again(editing: Diffusion) -> None:
    card = editing.models["sd1-edit"].card
    request = edit("job", "sd1-edit", Sampler.EULER).request
    encoded = 64 * 64 / 1e6
    two, three, one = (
        price(request.model_copy(update=fields), card).step_megapixels - encoded
        for fields in ({"image_guidance_scale": None}, {}, {"guidance_scale": 1.0})
    )
    assert three == pytest.approx(1.5 * two)
    assert one == pytest.approx(0.5 * two)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"image": None, "image_guidance_scale": None}, "/image"),
        ({"strength": 0.5}, "/strength"),
        ({"denoise_start": 0.5}, "/denoise_start"),
        ({"has_mask": True}, "/mask"),
        ({"extend": {"left": 8}}, "/extend"),
        ({"hires": {"width": 128, "height": 128, "steps": 4, "strength": 0.5}}, "/hires"),
        ({"mask_blur": 3}, "/mask_blur"),
    ],
)
def test_what_means_nothing_to_it_is_refused_by_name(
    editing: Diffusion, fields: dict[str, Any], pointer: str
) -> None:
    order = edit("job", "sd1-edit", Sampler.EULER, **fields)
    with pytest.raises(InvalidRequest) as refused:
        editing.plan(order)
    assert pointer in refused.value.fields


def test_other_models_refuse_its_scale_by_name(backend: Diffusion) -> None:
    order = from_picture("job", "epsilon", Sampler.EULER)
    asked = order.request.model_copy(update={"image_guidance_scale": 1.5})
    with pytest.raises(InvalidRequest, match="does not edit pictures") as refused:
        backend.plan(replace(order, request=asked))
    assert list(refused.value.fields) == ["/image_guidance_scale"]


def test_without_steps_it_shows_the_noise(engine: Engine) -> None:
    engine.submit(edit("job", "sd1-edit", Sampler.EULER, num_inference_steps=0))
    [pixels] = tiny.pixels(tiny.drain(engine)).values()
    assert np.asarray(pixels).std() > 0

"""SD 2.x and SDXL folders: what is read from them, and that each row has its own sizes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from latentry.errors import ClipSkipTooLarge, ConfigurationError, InvalidPrompt, UnsupportedField
from tests.worker.engine import tiny
from tests.worker.engine.conftest import serving
from tests.worker.engine.tiny import Family
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Done, Engine, Joined, Order
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.vae.decode import decode

SIZES = [
    {},
    {"original_size": (1024, 512)},
    {"original_size": (64, 64), "crops_coords_top_left": (32, 8), "target_size": (256, 300)},
    {"crops_coords_top_left": (100, 0)},
]


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[Family, Path]:
    root = tmp_path_factory.mktemp("families")
    return {
        family: tiny.make(root / family, tiny.EPSILON, family=family)
        for family in (Family.SD2, Family.SDXL)
    }


@pytest.fixture(scope="module")
def backend(families: dict[Family, Path]) -> Diffusion:
    return serving(families)


def loaded(folder: Path, dtype: str) -> LoadedModel:
    """The model, after it drew and decoded a picture."""
    backend = Diffusion(device="cpu", dtype=dtype)
    backend.load("model", folder)
    return backend.models["model"]


def order(job: str, family: Family = Family.SDXL, **changes: Any) -> Order:
    return tiny.order(job, model=family.value, **changes)


def test_cards_tell_what_each_family_takes(backend: Diffusion) -> None:
    sd2, sdxl = (backend.models[family].card for family in (Family.SD2, Family.SDXL))
    assert (sd2.limits.max_clip_skip, sd2.limits.size_conditioning) == (3, False)
    assert (sdxl.limits.max_clip_skip, sdxl.limits.size_conditioning) == (2, True)
    assert (sd2.defaults.guidance_scale, sdxl.defaults.guidance_scale) == (7.5, 5.0)


@pytest.mark.parametrize("family", [Family.SD2, Family.SDXL])
def test_a_model_of_each_family_passes_its_self_test(backend: Diffusion, family: Family) -> None:
    assert backend.self_test(family) > 0


def test_rows_of_one_call_have_their_own_prompts_and_sizes(
    backend: Diffusion, families: dict[Family, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = diffusers.StableDiffusionXLPipeline.from_pretrained(
        families[Family.SDXL], low_cpu_mem_usage=False
    )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = diffusers.DDIMScheduler.from_config(pipeline.scheduler.config)
    latents: dict[str, torch.Tensor] = {}
    decode = backend.decode

    def spy(members: Any) -> Any:
        latents.update({member.order.job: member.latent.clone() for member in members})
        return decode(members)

    monkeypatch.setattr(backend, "decode", spy)
    engine = Engine(backend)
    orders = [
        order(str(number), negative_prompt="fog" * (number % 2), seed=number, **sizes)
        for number, sizes in enumerate(SIZES)
    ]
    for one in orders:
        engine.submit(one)
    tiny.drain(engine)
    for one, sizes in zip(orders, SIZES, strict=True):
        expected = pipeline(
            one.request.prompt,
            negative_prompt=one.request.negative_prompt or None,
            width=64, height=64, num_inference_steps=4, guidance_scale=5.0,
            generator=torch.Generator().manual_seed(one.seed), output_type="latent",
            **({"original_size": (64, 64)} | sizes),
        ).images[0]  # fmt: skip
        error = (latents[one.job] - expected).abs().max().item()
        assert error <= 1e-5 * max(1.0, expected.abs().max().item())


def test_a_size_changes_the_picture(backend: Diffusion) -> None:
    engine = Engine(backend)
    for number, sizes in enumerate(SIZES):
        engine.submit(order(str(number), **sizes))
    pixels = [event.pixels for event in tiny.drain(engine) if isinstance(event, Done)]
    assert len(pixels) == len(SIZES)
    assert not any(np.array_equal(pixels[0], other) for other in pixels[1:])


def test_prompts_of_other_lengths_share_no_call_but_both_are_drawn(backend: Diffusion) -> None:
    engine = Engine(backend)
    short, long = order("short"), order("long", prompt="a BREAK b", negative_prompt="fog")
    assert backend.plan(short).key.chunks == 1
    assert backend.plan(long).key.chunks == 2
    for one in (short, long):
        engine.submit(one)
    assert {event.job for event in tiny.drain(engine) if isinstance(event, Done)} == {
        "short",
        "long",
    }


def test_an_answer_says_what_was_left_out_of_a_prompt(backend: Diffusion) -> None:
    engine = Engine(backend)
    engine.submit(order("job", prompt="x" * 1000, num_inference_steps=1))
    (joined,) = [event for event in tiny.drain(engine) if isinstance(event, Joined)]
    assert [warning.code for warning in joined.warnings] == ["prompt_truncated"]


@pytest.mark.parametrize(
    ("family", "fields", "error"),
    [
        (Family.SD2, {"original_size": (64, 64)}, UnsupportedField),
        (Family.SD2, {"clip_skip": 4}, ClipSkipTooLarge),
        (Family.SDXL, {"clip_skip": 3}, ClipSkipTooLarge),
        (Family.SDXL, {"prompt": "(a:1e)" + "(" * 99 + "b"}, InvalidPrompt),
    ],
)
def test_what_a_model_cannot_do_is_refused_before_it_is_begun(
    backend: Diffusion, family: Family, fields: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        backend.plan(order("job", family, **fields))


@pytest.mark.parametrize(
    ("dtype", "config", "kept"),
    [
        ("float16", {"force_upcast": True}, torch.float32),
        ("float16", {"force_upcast": False}, torch.float16),
        ("bfloat16", {"force_upcast": True}, torch.bfloat16),
    ],
)
def test_an_sdxl_vae_that_overflows_in_half_precision_is_kept_in_single(
    tmp_path: Path, dtype: str, config: dict[str, Any], kept: torch.dtype
) -> None:
    folder = tiny.make(tmp_path / "model", tiny.EPSILON, family=Family.SDXL)
    edit(folder / "vae" / "config.json", **config)
    model = loaded(folder, dtype)
    assert {parameter.dtype for parameter in model.vae.parameters()} == {kept}
    assert {parameter.dtype for parameter in model.unet.parameters()} == {model.at.dtype}
    (picture,) = decode(model, [torch.zeros(4, 8, 8)]).take()
    assert isinstance(picture, np.ndarray)
    assert picture.shape == (64, 64, 3)


def test_an_sd2_vae_stays_in_the_models_precision(families: dict[Family, Path]) -> None:
    model = loaded(families[Family.SD2], "float16")
    assert {parameter.dtype for parameter in model.vae.parameters()} == {torch.float16}


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def tell_a_score(folder: Path) -> None:
    edit(folder / "unet" / "config.json", projection_class_embeddings_input_dim=24 + 5 * 8)


def forget_an_encoder(folder: Path) -> None:
    edit(folder / "model_index.json", text_encoder=[None, None])


def add_image_embeddings(folder: Path) -> None:
    edit(folder / "unet" / "config.json", addition_embed_type="text_image")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (tell_a_score, "takes 64 numbers"),
        (forget_an_encoder, "with text_encoder_2 alone"),
        (add_image_embeddings, "addition_embed_type"),
    ],
)
def test_relatives_of_sdxl_are_refused_with_a_sentence(
    tmp_path: Path, spoil: Callable[[Path], None], sentence: str
) -> None:
    folder = tiny.make(tmp_path / "model", tiny.EPSILON, family=Family.SDXL)
    spoil(folder)
    with pytest.raises(ConfigurationError, match=sentence):
        loaded(folder, "float32")

"""Pictures with LoRAs against the definition: W + weight · alpha / rank · B A in float64."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from latentry.contracts import Sampler, Spacing
from tests.worker.engine import oracle, stock
from tests.worker.engine.adapters import written
from tests.worker.engine.adapters.drawing import Made, Worn, dressed, verdict
from tests.worker.engine.adapters.written import Style
from tests.worker.engine.stock import Stock
from worker.engine.adapters.file import AdapterFile
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Engine

pytestmark = stock.WARNINGS
Make = Callable[..., Made]
TEXTS = {"sd1": ("text_encoder",), "sd2": ("text_encoder",)} | {
    "sdxl": ("text_encoder", "text_encoder_2")
}
# What trainers make: the layout's writer with its options, and how the layers were trained.
LAYOUTS: dict[str, tuple[str, dict, Style]] = {
    "kohya": ("kohya", {}, Style(alphas=(2.0,))),
    "kohya, every layer another alpha": ("kohya", {}, Style(alphas=(1.0, 4.0, 0.5, None))),
    "kohya, every layer another rank": ("kohya", {}, Style(ranks=(1, 4, 9), alphas=(2.0,))),
    "kohya, text encoders too": ("kohya", {"texts": True}, Style(alphas=(3.0,))),
    "kohya, text encoders alone": ("kohya", {"texts": "alone"}, Style(alphas=(3.0,))),
    "sgm": ("kohya", {"sgm": True}, Style(alphas=(2.0,))),
    "sgm, convolutions": ("kohya", {"sgm": True}, Style(convolutions=True)),
    "locon": ("kohya", {}, Style(convolutions=True, alphas=(1.0, 2.0))),
    "locon, tucker": ("kohya", {}, Style(convolutions=True, method="tucker")),
    "loha": ("kohya", {}, Style(method="loha", rank=3, alphas=(2.0,))),
    "loha, convolutions": ("kohya", {}, Style(method="loha", rank=2, convolutions=True)),
    "diffusers": ("diffusers", {"texts": True}, Style(alphas=(None,))),
    "diffusers, convolutions": ("diffusers", {}, Style(alphas=(None,), convolutions=True)),
    "diffusers 0.16": (
        "old_diffusers", {}, Style(alphas=(None,), only=lambda path: ".to_" in path)
    ),
    "bfloat16": ("kohya", {}, Style(dtype=torch.bfloat16)),
    "float16": ("kohya", {}, Style(dtype=torch.float16)),
    "float8": ("kohya", {}, Style(dtype=torch.float8_e4m3fn)),
}  # fmt: skip


@pytest.fixture(scope="module")
def make(reference: Stock, tmp_path_factory: pytest.TempPathFactory) -> Make:
    def made(model: str, layout: str, seed: int = 1) -> Made:
        writer, options, style = LAYOUTS[layout]
        options = dict(options)
        family = model.split("-")[0]
        if texts := options.pop("texts", None):
            networks = (() if texts == "alone" else ("unet",)) + TEXTS[family]
            style = Style(**(vars(style) | {"networks": networks}))
        if writer == "kohya":
            options["is_xl"] = family == "sdxl"
        found = written.terms(reference.pipeline(model), style, seed)
        assert found
        path = tmp_path_factory.mktemp("lora") / f"{seed}.safetensors"
        written.save(getattr(written, writer)(found, **options), path)
        return Made(path, AdapterFile.read(path).sha256, written.deltas(found))

    return made


@pytest.fixture
def engine(every_model: Diffusion) -> Engine:
    return Engine(every_model)


def drawn(model: str, **changes: object) -> oracle.Order:
    return oracle.order(
        "job", model, Sampler.EULER, Spacing.DEFAULT, num_inference_steps=3, guidance_scale=2.0,
        **changes,
    )  # fmt: skip


@pytest.mark.parametrize("model", ["sd1-epsilon", "sd2-epsilon", "sdxl-epsilon"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_picture_equals_the_definition(
    engine: Engine, reference: Stock, make: Make, layout: str, model: str
) -> None:
    worn = [Worn(make(model, layout), 0.7, 0.4)]
    order = dressed(engine.backend, drawn(model), worn)
    latent = oracle.alone(engine, order)
    found = verdict(latent, order, reference, worn)
    assert found.is_equal, found
    plain = reference.draw(drawn(model).request.model_dump_json(), order.seed)
    assert stock.error(latent, plain) > 100, "it changes the picture"


def test_several_negative_and_repeated_ones_add_up(
    engine: Engine, reference: Stock, make: Make
) -> None:
    one, other = make("sd1-epsilon", "locon"), make("sd1-epsilon", "kohya", 2)
    worn = [Worn(one, 0.5), Worn(other, -0.4), Worn(one, 0.25), Worn(other, 0.0, 0.0)]
    order = dressed(engine.backend, drawn("sd1-epsilon"), worn)
    assert verdict(oracle.alone(engine, order), order, reference, worn).is_equal


@pytest.mark.parametrize("seed", range(3))
def test_pictures_in_a_churning_crowd_equal_the_definition(
    engine: Engine, reference: Stock, make: Make, seed: int
) -> None:
    chance = random.Random(seed)
    closet = {
        model: [make(model, chance.choice(sorted(LAYOUTS)), number) for number in range(3)]
        for model in ("sd1-epsilon", "sdxl-epsilon")
    }
    orders, clothes = [], {}
    for number in range(14):
        order = oracle.any_order(f"job-{number}", chance)
        model = chance.choice(sorted(closet))
        order = oracle.order(
            order.job, model, Sampler.DDIM, Spacing.DEFAULT, num_inference_steps=3,
            guidance_scale=chance.choice([1.0, 2.0]), seed=number,
            determinism=order.request.determinism, width=order.request.width,
        )  # fmt: skip
        worn = [
            Worn(made, chance.choice([-0.5, 0.3, 0.8]))
            for made in chance.sample(closet[model], chance.choice([0, 1, 1, 2]))
        ]
        clothes[order.job] = worn
        orders.append(dressed(engine.backend, order, worn))
    latents = oracle.in_a_crowd(engine, orders, chance)
    assert len(latents) > len(orders) // 2
    by_job = {order.job: order for order in orders}
    assert not oracle.missed(
        {
            job: verdict(latent, by_job[job], reference, clothes[job])
            for job, latent in latents.items()
        }
    )


def test_peft_folder_rules(engine: Engine, reference: Stock, tmp_path: Path) -> None:
    """rslora divides by √rank; the first alpha_pattern that ends a name counts."""
    style = Style(ranks=(4, 9), alphas=(None,), only=lambda path: "attn" in path)
    found = written.terms(reference.pipeline("sd1-epsilon"), style, 5)
    folder = written.peft_folder(
        found, tmp_path / "mine", use_rslora=True, lora_alpha=2, alpha_pattern={"attn2.to_k": 6},
        rank_pattern={"attn2.to_k": 9},
    )  # fmt: skip
    deltas = {
        (one.network, one.path): one.delta
        * (6 if one.path.endswith("attn2.to_k") else 2)
        / one.tensors["down"].shape[0] ** 0.5
        for one in found
    }
    worn = [Worn(Made(folder, AdapterFile.read(folder).sha256, deltas), 0.5)]
    order = dressed(engine.backend, drawn("sd1-epsilon"), worn)
    assert verdict(oracle.alone(engine, order), order, reference, worn).is_equal

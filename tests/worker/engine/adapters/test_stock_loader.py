"""Beside stock's own loader, `load_lora_weights` and `set_adapters`, where that is right.

It needs peft, which nothing else here does: without it these are skipped. Where stock is wrong is
in docs/adapters.md; there the format's definition is the oracle (test_definition.py).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DiffusionPipeline

from latentry.contracts import Sampler, Spacing
from tests.worker.engine import oracle, stock
from tests.worker.engine.adapters import written
from tests.worker.engine.adapters.drawing import Made, Worn, dressed
from tests.worker.engine.adapters.written import Style
from worker.engine.adapters.file import AdapterFile
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Engine, Order

pytest.importorskip("peft")

pytestmark = [*stock.WARNINGS, pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]
MODELS = ("sd1-epsilon", "sdxl-epsilon")
# What stock reads rightly: one alpha for all layers; and under kohya's names it has no place for
# SDXL's layers for sizes, which it leaves out without a word (diffusers 0.42.1).
_KNOWN = Style(alphas=(2.0,), convolutions=True, only=lambda path: "add_embedding" not in path)
LAYOUTS: dict[str, tuple[str, Style]] = {
    "kohya": ("kohya", Style(alphas=(2.0,))),
    "kohya, convolutions": ("kohya", _KNOWN),
    "diffusers": ("diffusers", Style(alphas=(None,))),
    "diffusers, convolutions": ("diffusers", Style(alphas=(None,), convolutions=True)),
}


@pytest.fixture(scope="module")
def pipelines(every_folder: dict[str, Path]) -> dict[str, Any]:
    """Pipelines of these tests' own: what is loaded into one stays there."""
    found = {}
    for model in MODELS:
        pipeline = DiffusionPipeline.from_pretrained(every_folder[model], low_cpu_mem_usage=False)
        pipeline.set_progress_bar_config(disable=True)
        pipeline.unet.to(memory_format=torch.channels_last)
        found[model] = pipeline
    return found


@pytest.fixture(scope="module")
def make(
    pipelines: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Made]:
    def made(model: str, layout: str, seed: int, *, texts: bool = False) -> Made:
        writer, style = LAYOUTS[layout]
        is_xl = model.startswith("sdxl")
        if texts:
            both = ("text_encoder", "text_encoder_2")[: 1 + is_xl]
            style = Style(**(vars(style) | {"networks": ("unet", *both)}))
        options = {"is_xl": is_xl} if writer == "kohya" else {}
        found = written.terms(pipelines[model], style, seed)
        path = tmp_path_factory.mktemp("lora") / f"lora{seed}.safetensors"
        written.save(getattr(written, writer)(found, **options), path)
        return Made(path, AdapterFile.read(path).sha256, written.deltas(found))

    return made


@contextmanager
def worn_by(pipeline: Any, worn: list[Worn]) -> Iterator[None]:
    """Stock with these files, each under a name of its own."""
    names = [f"adapter{number}" for number in range(len(worn))]
    for name, one in zip(names, worn, strict=True):
        pipeline.load_lora_weights(one.made.path, adapter_name=name)
    pipeline.set_adapters(names, [one.weight for one in worn])
    try:
        yield
    finally:
        pipeline.unload_lora_weights()


def order_of(model: str, **changes: object) -> Order:
    return oracle.order(
        "job", model, Sampler.EULER, Spacing.DEFAULT, num_inference_steps=4, guidance_scale=2.0,
        **changes,
    )  # fmt: skip


def drawn(pipeline: Any, order: Order) -> torch.Tensor:
    request = order.request
    config = oracle.MODELS[request.model].config
    pipeline.scheduler = stock.scheduler(config, request.sampler, request.spacing)
    latent: torch.Tensor = pipeline(
        prompt=request.prompt,
        negative_prompt=request.negative_prompt or None,
        width=request.width,
        height=request.height,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        generator=torch.Generator().manual_seed(order.seed),
        output_type="latent",
    ).images[0]
    return latent


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_file_draws_what_stock_draws(
    every_model: Diffusion,
    pipelines: dict[str, Any],
    make: Callable[..., Made],
    model: str,
    layout: str,
) -> None:
    worn = [Worn(make(model, layout, 1), 0.7)]
    order = dressed(every_model, order_of(model), worn)
    with worn_by(pipelines[model], worn):
        theirs = drawn(pipelines[model], order)
    assert stock.error(oracle.alone(Engine(every_model), order), theirs) <= 1
    assert stock.error(drawn(pipelines[model], order), theirs) > 100, "it changed the picture"


@pytest.mark.parametrize("model", MODELS)
def test_so_do_several_and_negative_ones_and_text_encoders(
    every_model: Diffusion, pipelines: dict[str, Any], make: Callable[..., Made], model: str
) -> None:
    worn = [
        Worn(make(model, "kohya", 1), 0.7),
        Worn(make(model, "diffusers, convolutions", 2), -0.4),
        Worn(make(model, "kohya", 3, texts=True), 0.5),
    ]
    order = dressed(every_model, order_of(model), worn)
    with worn_by(pipelines[model], worn):
        theirs = drawn(pipelines[model], order)
    assert stock.error(oracle.alone(Engine(every_model), order), theirs) <= 1


def test_stocks_one_alpha_for_all_layers_is_known_to_be_wrong(
    every_model: Diffusion, pipelines: dict[str, Any], make: Callable[..., Made], tmp_path: Path
) -> None:
    """Says when this oracle may take in files whose layers differ."""
    model = "sd1-epsilon"
    style = Style(alphas=(1.0, 4.0, 4.0))
    found = written.terms(pipelines[model], style, 4)
    path = written.save(written.kohya(found), tmp_path / "mixed.safetensors")
    worn = [Worn(Made(path, AdapterFile.read(path).sha256, written.deltas(found)))]
    order = dressed(every_model, order_of(model), worn)
    ours = oracle.alone(Engine(every_model), order)
    with worn_by(pipelines[model], worn):
        theirs = drawn(pipelines[model], order)
    assert stock.error(ours, theirs) > 1

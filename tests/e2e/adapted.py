"""One service with adapters of every kind, for the tests of each: starting one takes seconds."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTokenizer
from transformers.models.clip.modeling_clip import CLIPTextModel

from tests.e2e.processes import SHAPES, Stack, settings_for
from tests.valkey import Valkey
from tests.worker.engine.adapters import written
from tests.worker.engine.adapters.ip_adapter import pasted
from tests.worker.engine.adapters.written import Style

STRENGTH, TEXT_STRENGTH = 0.8, 0.5
STYLE = Style(networks=("unet", "text_encoder"), size=0.15, alphas=(2.0, 4.0))


@pytest.fixture(scope="session")
def bundled() -> SimpleNamespace:
    return SimpleNamespace(
        unet=UNet2DConditionModel.from_pretrained(SHAPES / "unet", low_cpu_mem_usage=False),
        text_encoder=CLIPTextModel.from_pretrained(SHAPES / "text_encoder"),
    )


@pytest.fixture(scope="session")
def loras(bundled: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of LoRAs: one that fits, one for SDXL."""
    folder = tmp_path_factory.mktemp("loras")
    said = {"ss_output_name": "Ink", "modelspec.trigger_phrase": "inky, wet"}
    ink = written.terms(bundled, STYLE, seed=1)
    written.save(written.kohya(ink), folder / "Ink v1.safetensors", **said)
    name = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    large = {f"{name}.lora_down.weight": torch.ones(4, 2048)}
    large[f"{name}.lora_up.weight"] = torch.ones(640, 4)
    written.save(large, folder / "large.safetensors")
    return folder


@pytest.fixture(scope="session")
def merged(bundled: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model with the LoRA merged into its weights."""
    folder = tmp_path_factory.mktemp("merged") / "model"
    shutil.copytree(SHAPES, folder, ignore=shutil.ignore_patterns("styles.json"))
    deltas = written.deltas(written.terms(bundled, STYLE, seed=1))
    with written.merged(bundled, (deltas, STRENGTH, TEXT_STRENGTH)):
        for part in ("unet", "text_encoder"):
            shutil.rmtree(folder / part)
            getattr(bundled, part).save_pretrained(folder / part)
    return folder


def vectors(words: str) -> torch.Tensor:
    """[tokens, width]: what they mean to the bundled model's text encoder."""
    ids = CLIPTokenizer.from_pretrained(SHAPES / "tokenizer")(words, add_special_tokens=False)
    table = CLIPTextModel.from_pretrained(SHAPES / "text_encoder").get_input_embeddings().weight
    found: torch.Tensor = table.detach()[ids.input_ids]
    return found


@pytest.fixture(scope="session")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of embeddings: two that fit, one for SDXL, one that is a pickle."""
    folder = tmp_path_factory.mktemp("embeddings")
    save_file({"emb_params": vectors("red circle")}, folder / "Ruby-Thing v2.safetensors")
    save_file({"<backdrop>": vectors("blue background")}, folder / "Backdrop.safetensors")
    huge = {"clip_l": torch.ones(2, 768), "clip_g": torch.ones(2, 1280)}
    save_file(huge, folder / "huge.safetensors")
    torch.save({"string_to_param": {"*": torch.ones(1, 768)}}, folder / "Old One.pt")
    return folder


@pytest.fixture(scope="session")
def gallery(bundled: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """IP-Adapters as they are cloned: files in a folder, their encoder in a folder of its own."""
    folder = tmp_path_factory.mktemp("gallery")
    pasted.image_encoder(folder / "models" / "image_encoder")
    for seed, name in enumerate(("ip-adapter", "ip-adapter-plus")):
        weights = pasted.ip_adapter(bundled.unet, pasted.KINDS[name], seed)
        pasted.save(weights, folder / "models" / f"{name}.safetensors")
    return folder


@pytest.fixture(scope="session")
def adapted(
    valkey: Valkey,
    tmp_path_factory: pytest.TempPathFactory,
    merged: Path,
    loras: Path,
    embeddings: Path,
    gallery: Path,
) -> Iterator[Stack]:
    """A gateway and one worker, on one thread, of the bundled model and of the merged one."""
    outlines = f"Outlines={SHAPES.parent}/adapters/outlines"
    settings = settings_for(
        valkey, tmp_path_factory.mktemp("e2e"), "adapted", threads="1",
        models=f"shapes={SHAPES},merged={merged}", default_model="shapes",
        adapters=f"{loras},{embeddings},{gallery},{outlines}",
    )  # fmt: skip
    with Stack(settings) as running:
        running.start_worker()
        yield running

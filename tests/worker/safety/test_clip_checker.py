"""Stable Diffusion's safety checker, compared with stock diffusers on a tiny one."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig, CLIPVisionConfig
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from latentry.errors import ConfigurationError
from latentry.settings import Settings
from worker.engine.device import Device
from worker.safety.clip_checker import ClipChecker
from worker.safety.opening import open_classifier

SIDE = 32
AT = Device.choose("cpu", "float32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checker for which about half of all pictures are none to show."""
    torch.manual_seed(3)
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        image_size=SIDE, patch_size=8, projection_dim=8,
    )  # fmt: skip
    made = StableDiffusionSafetyChecker(
        CLIPConfig(vision_config=vision.to_dict(), projection_dim=8)
    )
    for name in ("concept_embeds", "special_care_embeds"):
        embeds = getattr(made, name)
        embeds.data = torch.randn(embeds.shape)
    made.visual_projection.weight.data = torch.randn(8, 16)
    for layer in made.vision_model.encoder.layers:
        layer.self_attn.v_proj.weight.data = torch.randn(16, 16)
    with torch.no_grad():
        seen = made.visual_projection(made.vision_model(taken(pictures()))[1])
    for embeds, weights in (
        (made.concept_embeds, made.concept_embeds_weights),
        (made.special_care_embeds, made.special_care_embeds_weights),
    ):
        likeness = torch.cosine_similarity(seen[:, None], embeds[None], dim=2).max(1).values
        weights.data.fill_(likeness.median().item())
    place = tmp_path_factory.mktemp("safety_checker")
    made.save_pretrained(place)
    return place


def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    sizes = [(64, 48), (48, 64), (SIDE, SIDE), (96, 96), (33, 57)] * 8
    found = []
    for width, height in sizes:
        cells = rng.integers(0, 256, (3, 3, 3), np.uint8)
        shown = Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC)
        found.append(np.asarray(shown))
    return found


def taken(shown: list[np.ndarray]) -> torch.Tensor:
    """As stock prepares pictures."""
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    )
    return processor([Image.fromarray(one) for one in shown], return_tensors="pt").pixel_values


def test_its_verdicts_are_stock_s(folder: Path) -> None:
    stock = StableDiffusionSafetyChecker.from_pretrained(folder).eval()
    ours = ClipChecker.open(folder, AT)
    shown = pictures()
    prepared = [ours.prepared(one) for one in shown]
    assert np.abs(np.stack(prepared) - taken(shown).numpy()).max() < 1e-5
    _, refused = stock(clip_input=taken(shown), images=[np.zeros((2, 2, 3)) for _ in shown])
    scores = ours.scores(prepared)
    assert list(scores[:, 0] >= 0.5) == refused
    assert 5 < sum(refused) < 35, "both verdicts are there"
    assert len({bool(care) for care in scores[:, 1] >= 0.5}) == 2
    alone = np.concatenate([ours.scores([one]) for one in prepared])
    assert np.abs(alone - scores).max() < 0.01


def test_files_of_older_libraries_are_read(folder: Path, tmp_path: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    older = {
        name.replace("vision_model.", "vision_model.vision_model.", 1): tensor
        for name, tensor in weights.items()
    }
    older["vision_model.vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    save_file(older, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    prepared = [ClipChecker.open(folder, AT).prepared(one) for one in pictures()[:4]]
    one, other = (ClipChecker.open(place, AT).scores(prepared) for place in (folder, tmp_path))
    assert (one == other).all()


def test_the_setting_opens_it(settings: Settings, folder: Path) -> None:
    opened = open_classifier(settings.model_copy(update={"classifier": str(folder)}))
    assert opened is not None
    assert opened.labels == ("nsfw", "special_care")


def test_it_leaves_the_step_loop_s_threads_alone(folder: Path) -> None:
    import threading

    before = torch.get_num_threads()
    checker = ClipChecker.open(folder, AT)
    prepared = [checker.prepared(one) for one in pictures()[:2]]
    thread = threading.Thread(target=checker.scores, args=(prepared,))
    thread.start()
    thread.join()
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("file", "text", "why"),
    [
        ("config.json", "{", "needs config.json and model.safetensors"),
        ("config.json", "[" * 100_000, "needs config.json and model.safetensors"),
        ("config.json", "{}", "config of the safety checker is not usable"),
        ("config.json", '{"vision_config": {}, "projection_dim": 8}', "lack"),
        ("model.safetensors", "x", "safetensors"),
    ],
)
def test_a_broken_folder_is_said_at_start(
    folder: Path, tmp_path: Path, file: str, text: str, why: str
) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / file).write_text(text)
    with pytest.raises(ConfigurationError, match=why):
        ClipChecker.open(tmp_path, AT)


def test_no_code_is_read_from_a_config(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["attn_implementation"] = "owner/name"
    config["auto_map"] = {"AutoModel": "evil.py"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    assert ClipChecker.open(tmp_path, AT).labels == ClipChecker.labels

"""A checkpoint in one file draws what its folder draws, to the last bit."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.loaders import single_file_utils as stock
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

from latentry.errors import ConfigurationError
from tests.worker.engine import tiny
from tests.worker.engine.models import published
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.models import clip
from worker.engine.models.safetensors_header import TensorInfo
from worker.engine.models.sources.single_file import names as single_file_names
from worker.engine.models.sources.single_file.checkpoint import blueprint_from_file
from worker.engine.models.sources.single_file.configs import unet_config, vae_config
from worker.engine.models.weights import StoredTensor

FAMILIES = ["sd1", "sd2", "sdxl"]


def make(folder: Path, family: str) -> Path:
    """A tiny model that has the families' fixed facts: 32 groups, heads, CLIP's vocabulary."""
    torch.manual_seed(0)
    is_open, is_xl = family == "sd2", family == "sdxl"
    text = partial(
        CLIPTextConfig, vocab_size=clip.WORDS, intermediate_size=48, bos_token_id=49406,
        eos_token_id=49407, pad_token_id=49407, max_position_embeddings=77,
    )  # fmt: skip
    first = text(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=1, projection_dim=64,
        hidden_act="gelu" if is_open else "quick_gelu",
    )  # fmt: skip
    CLIPTextModel(first).save_pretrained(folder / "text_encoder")
    clip.tokenizer(pad="!" if is_open else clip.END).save_pretrained(folder / "tokenizer")
    if is_xl:
        second = text(
            hidden_size=128, num_hidden_layers=3, num_attention_heads=2, projection_dim=32,
            hidden_act="gelu",
        )  # fmt: skip
        CLIPTextModelWithProjection(second).save_pretrained(folder / "text_encoder_2")
        clip.tokenizer(pad="!").save_pretrained(folder / "tokenizer_2")
    sizes: dict[str, Any] = {
        "sample_size": 8, "block_out_channels": (64, 128), "cross_attention_dim": 64,
        "layers_per_block": 1, "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"), "attention_head_dim": 8,
    }  # fmt: skip
    if is_open or is_xl:
        sizes |= {"use_linear_projection": True, "attention_head_dim": (1, 2)}
    if is_xl:
        sizes |= {
            "cross_attention_dim": 192, "addition_embed_type": "text_time",
            "addition_time_embed_dim": 16, "projection_class_embeddings_input_dim": 32 + 96,
            "transformer_layers_per_block": (1, 2),
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        }  # fmt: skip
    UNet2DConditionModel(**sizes).save_pretrained(folder / "unet")
    AutoencoderKL(
        block_out_channels=(32, 32, 64, 64), layers_per_block=1, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        scaling_factor=0.13025 if is_xl else 0.18215,
    ).save_pretrained(folder / "vae")  # fmt: skip
    v = {"prediction_type": "v_prediction"} if is_open else {}
    (folder / "scheduler").mkdir()
    scheduler = tiny.EPSILON | {"timestep_spacing": "leading"} | v
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    index = {
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", "PNDMScheduler"],
    }
    if is_xl:
        index["tokenizer_2"] = ["transformers", "CLIPTokenizer"]
        index["text_encoder_2"] = ["transformers", "CLIPTextModelWithProjection"]
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("published")
    return {family: make(root / family, family) for family in FAMILIES}


@pytest.fixture(scope="module")
def files(folders: dict[str, Path]) -> dict[str, Path]:
    return {
        family: published.write(folder, folder.with_suffix(".safetensors"))
        for family, folder in folders.items()
    }


def latent(backend: Diffusion, model: str) -> np.ndarray:
    order = tiny.order(model=model, prompt="a red circle, 3 (blue:1.2) stars", sampler="euler")
    trajectory, _ = backend.begin(order, backend.plan(order))
    while trajectory.calls_left:
        backend.advance([trajectory], trajectory.rows)
    backend.decode([trajectory])
    return trajectory.latent.numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_draws_what_its_folder_draws(
    folders: dict[str, Path], files: dict[str, Path], family: str
) -> None:
    backend = Diffusion(device="cpu", dtype="float32", threads=1)
    card = backend.load("folder", folders[family])
    backend.load("file", files[family])
    expected, found = latent(backend, "folder"), latent(backend, "file")
    assert np.isfinite(found).all()
    assert np.abs(found).max() > 0.1
    assert np.array_equal(found, expected)
    derived = blueprint_from_file("file", files[family]).card
    assert derived.limits.size_conditioning == card.limits.size_conditioning == (family == "sdxl")
    assert derived.defaults.width == {"sd1": 512, "sd2": 768, "sdxl": 1024}[family]


@pytest.mark.parametrize("family", FAMILIES)
def test_diffusers_reads_the_same_from_the_file(
    folders: dict[str, Path], files: dict[str, Path], family: str
) -> None:
    """The writer of these tests is ours too; diffusers' own converter says that it is right."""
    checkpoint = load_file(files[family])
    for part, convert in {
        "unet": stock.convert_ldm_unet_checkpoint,
        "vae": stock.convert_ldm_vae_checkpoint,
    }.items():
        folder = folders[family] / part
        theirs = convert(checkpoint, json.loads((folder / "config.json").read_text()))
        ours = load_file(folder / "diffusion_pytorch_model.safetensors")
        assert theirs.keys() == ours.keys()
        assert all(torch.equal(theirs[name], tensor) for name, tensor in ours.items())


# The published models' configs, as their hub folders have them.
REAL_UNETS: dict[str, dict[str, Any]] = {
    "sd1": {"cross_attention_dim": 768, "attention_head_dim": 8},
    "sd2": {
        "cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20],
        "use_linear_projection": True,
    },
    "sdxl": {
        "cross_attention_dim": 2048, "attention_head_dim": [5, 10, 20],
        "use_linear_projection": True, "block_out_channels": [320, 640, 1280],
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "transformer_layers_per_block": [1, 2, 10], "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816,
    },
}  # fmt: skip


def stored(weights: dict[str, torch.Tensor], prefix: str) -> dict[str, StoredTensor]:
    nowhere = Path("nowhere")
    return {
        f"{prefix}{name}": StoredTensor(
            nowhere, TensorInfo("F32", tuple(t.shape), 0, 4 * t.numel())
        )
        for name, t in weights.items()
    }


def shapes(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(t.shape) for name, t in module.state_dict().items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_published_unets_are_recognised_by_their_shapes(family: str) -> None:
    with torch.device("meta"):
        real = UNet2DConditionModel(**REAL_UNETS[family])
    old = published.unet(real.state_dict(), blocks=len(real.config.block_out_channels), layers=2)
    found = single_file_names.unet(stored(old, "model.diffusion_model."))
    assert {name: one.shape for name, one in found.items()} == shapes(real)
    config = unet_config(found, real.config.sample_size, pooled=1280)
    with torch.device("meta"):
        ours = UNet2DConditionModel(**config)
    assert shapes(ours) == shapes(real)
    heads = ("attention_head_dim", "addition_time_embed_dim", "use_linear_projection")
    assert [ours.config[name] for name in heads] == [real.config[name] for name in heads]


def test_the_published_vae_is_recognised_by_its_shapes() -> None:
    with torch.device("meta"):
        real = AutoencoderKL(
            block_out_channels=[128, 256, 512, 512], layers_per_block=2, latent_channels=4,
            down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
        )  # fmt: skip
    old = published.vae(real.state_dict(), blocks=4)
    found = single_file_names.vae(stored(old, "first_stage_model."))
    assert {name: one.shape for name, one in found.items()} == shapes(real)
    config = vae_config(found, 0.18215)
    with torch.device("meta"):
        assert shapes(AutoencoderKL(**config)) == shapes(real)


def test_clips_vocabulary_is_the_one_that_openai_published() -> None:
    tokens = clip.tokenizer()("a photo of an astronaut riding a horse on mars").input_ids
    assert tokens == [49406, 320, 1125, 539, 550, 18376, 6765, 320, 4558, 525, 7496, 49407]
    assert len(clip.tokenizer()) == clip.WORDS
    padded = clip.tokenizer(pad="!")("x", padding="max_length", max_length=5).input_ids
    assert padded == [49406, 343, 49407, 0, 0]


@pytest.mark.parametrize(
    ("mark", "metadata", "overrides", "predicts", "has_zero_snr"),
    [
        ([], {}, {}, "epsilon", False),
        (["v_pred"], {}, {}, "v_prediction", False),
        (["v_pred", "ztsnr"], {}, {}, "v_prediction", True),
        ([], {"modelspec.prediction_type": "v"}, {}, "v_prediction", False),
        ([], {}, {"prediction_type": "v_prediction"}, "v_prediction", False),
        (["v_pred"], {}, {"prediction_type": "epsilon"}, "epsilon", False),
    ],
)
def test_a_file_may_say_what_its_unet_predicts_and_its_overrides_win(
    files: dict[str, Path], tmp_path: Path, mark: list[str], metadata: dict[str, str],
    overrides: dict[str, Any], predicts: str, has_zero_snr: bool,
) -> None:  # fmt: skip
    file = tmp_path / "dream.safetensors"
    marks = {name: torch.zeros(0) for name in mark}
    save_file(load_file(files["sd1"]) | marks, file, metadata)
    (tmp_path / "dream.latentry.json").write_text(json.dumps(overrides | {"strict_rows": 4}))
    blueprint = blueprint_from_file("dream", file)
    assert blueprint.schedule.prediction == predicts
    assert (blueprint.schedule.alphas_cumprod[-1] == 0) == has_zero_snr
    assert blueprint.strict_rows == 4


def without(prefix: str, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in weights.items() if not name.startswith(prefix)}


@pytest.mark.parametrize(
    ("prefix", "sentence"),
    [
        ("cond_stage_model.", "not a complete SD 1.x, 2.x or SDXL"),
        ("first_stage_model.", "incomplete"),
        ("model.diffusion_model.", "incomplete"),
        ("model.diffusion_model.middle_block.1.", "lack"),
    ],
)
def test_half_a_checkpoint_is_refused_with_a_sentence(
    files: dict[str, Path], tmp_path: Path, prefix: str, sentence: str
) -> None:
    save_file(without(prefix, load_file(files["sd1"])), tmp_path / "half.safetensors")
    with pytest.raises(ConfigurationError, match=sentence):
        Diffusion(device="cpu", dtype="float32").load("half", tmp_path / "half.safetensors")


def test_a_pickle_is_refused_whatever_it_is_called(tmp_path: Path) -> None:
    for name, sentence in {"a.ckpt": "pickles are not loaded", "a.safetensors": "JSON|cut"}.items():
        torch.save({"a": torch.zeros(3)}, tmp_path / name)
        with pytest.raises(ConfigurationError, match=sentence):
            blueprint_from_file("a", tmp_path / name)


def test_a_file_that_was_cut_short_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    whole = files["sd1"].read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigurationError, match="cut short"):
        blueprint_from_file("cut", tmp_path / "cut.safetensors")

"""A checkpoint in one file draws what its folder draws, to the last bit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
import torch
from diffusers.loaders import single_file_utils as stock
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import load_file, save_file

from latentry.errors import ConfigurationError
from tests.worker.engine import tiny
from tests.worker.engine.models import published, small
from tests.worker.engine.models.small import FAMILIES
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.models import clip
from worker.engine.models.safetensors_header import TensorInfo
from worker.engine.models.sources.single_file import names as single_file_names
from worker.engine.models.sources.single_file.checkpoint import blueprint_from_file
from worker.engine.models.sources.single_file.configs import unet_config, vae_config
from worker.engine.models.weights import StoredTensor


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("published")
    return {family: small.make(root / family, family) for family in FAMILIES}


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


OPEN_CLIPS = {
    "sd2": ("text_encoder", "cond_stage_model.model."),
    "sdxl": ("text_encoder_2", "conditioner.embedders.1.model."),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_diffusers_reads_the_same_text_encoders_from_the_file(
    folders: dict[str, Path], files: dict[str, Path], family: str
) -> None:
    checkpoint = load_file(files[family])
    found = {"text_encoder": stock.convert_ldm_clip_checkpoint(checkpoint)}
    if family in OPEN_CLIPS:
        part, prefix = OPEN_CLIPS[family]
        found[part] = stock.convert_open_clip_checkpoint(None, checkpoint, prefix)
    for part, weights in found.items():
        theirs = {name.removeprefix("text_model."): tensor for name, tensor in weights.items()}
        for name, ours in load_file(folders[family] / part / "model.safetensors").items():
            assert torch.equal(theirs[name.removeprefix("text_model.")], ours), name


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
    config = unet_config(found, real.config.sample_size, pooled=1280, numbers=6)
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
        ("cond_stage_model.", "not a text encoder"),
        ("cond_stage_model.transformer.text_model.embeddings.token", "incomplete"),
        ("first_stage_model.", "no VAE"),
        ("first_stage_model.decoder.conv_in.", "incomplete"),
        ("model.diffusion_model.", "not a UNet"),
        ("model.diffusion_model.input_blocks.1.0.in_layers.2.bias", "lack"),
        ("model.diffusion_model.middle_block.1.", "does not use"),
    ],
)
def test_half_a_checkpoint_is_refused_with_a_sentence(
    files: dict[str, Path], tmp_path: Path, prefix: str, sentence: str
) -> None:
    save_file(without(prefix, load_file(files["sd1"])), tmp_path / "half.safetensors")
    with pytest.raises(ConfigurationError, match=sentence):
        Diffusion(device="cpu", dtype="float32").load("half", tmp_path / "half.safetensors")


def test_its_overrides_decide_where_a_file_contradicts_itself(
    files: dict[str, Path], tmp_path: Path
) -> None:
    file = tmp_path / "dream.safetensors"
    weights = load_file(files["sd2"]) | {"v_pred": torch.zeros(0)}
    save_file(weights, file, {"modelspec.architecture": "stable-diffusion-v2-512"})
    with pytest.raises(ConfigurationError, match="contradicts itself"):
        blueprint_from_file("dream", file)
    (tmp_path / "dream.latentry.json").write_text('{"prediction_type": "epsilon"}')
    blueprint = blueprint_from_file("dream", file)
    assert (blueprint.schedule.prediction, blueprint.card.warnings) == ("epsilon", ())
    assert blueprint.card.defaults.width == 512


FP8 = (torch.float8_e4m3fn, torch.float8_e5m2)


@pytest.mark.parametrize(
    ("more", "metadata", "sentence"),
    [
        ({"scale_factor": torch.tensor(0.5)}, {}, "scale_factor 0.5"),
        ({"denoiser.sigmas": torch.linspace(0.002, 80, 1000)}, {}, "denoiser.sigmas"),
        ({}, {"modelspec.prediction_type": "flow"}, "prediction_type 'flow'"),
    ],
)
def test_what_a_file_says_otherwise_than_its_family_refuses_it(
    files: dict[str, Path], tmp_path: Path, more: dict[str, torch.Tensor],
    metadata: dict[str, str], sentence: str,
) -> None:  # fmt: skip
    save_file(load_file(files["sdxl"]) | more, tmp_path / "m.safetensors", metadata)
    with pytest.raises(ConfigurationError, match=sentence):
        blueprint_from_file("m", tmp_path / "m.safetensors")


def test_the_noise_levels_in_a_file_may_stand_in_either_order_and_precision(
    files: dict[str, Path], tmp_path: Path
) -> None:
    """generative-models counts its levels from the other end."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    kept = torch.cumprod(1 - betas, 0)
    sigmas = ((1 - kept) / kept).sqrt()
    for number, levels in enumerate((sigmas.flip(0), sigmas.half(), *map(sigmas.to, FP8))):
        file = tmp_path / f"{number}.safetensors"
        save_file(load_file(files["sdxl"]) | {"denoiser.sigmas": levels.contiguous()}, file)
        assert blueprint_from_file("m", file).card.warnings == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("cond_stage_model.transformer.text_model.", "cond_stage_model.transformer."),
        ("first_stage_model.encoder.mid.attn_1.q.", "first_stage_model.encoder.mid.attn_1.to_q."),
        ("model.diffusion_model.", "state_dict.model.diffusion_model."),
    ],
)
def test_a_weight_that_a_file_holds_under_two_names_refuses_it(
    files: dict[str, Path], tmp_path: Path, old: str, new: str
) -> None:
    weights = load_file(files["sd1"])
    again = {new + n.removeprefix(old): t.clone() for n, t in weights.items() if n.startswith(old)}
    save_file(weights | again, tmp_path / "m.safetensors")
    with pytest.raises(ConfigurationError, match="twice"):
        blueprint_from_file("m", tmp_path / "m.safetensors")


def test_a_pickled_vae_beside_a_file_is_told_on_the_card_and_in_the_log(
    files: dict[str, Path], tmp_path: Path
) -> None:
    file = tmp_path / "dream.safetensors"
    save_file(load_file(files["sd1"]), file)
    (tmp_path / "dream.vae.pt").write_bytes(b"")
    with structlog.testing.capture_logs() as logs:
        [card] = Diffusion(device="cpu", dtype="float32", threads=1).open({"dream": file})
    [warning] = card.warnings
    assert "dream.vae.pt beside it is not used" in warning
    [logged] = [one for one in logs if one["event"] == "model.warning"]
    assert (logged["model"], logged["warning"]) == ("dream", warning)


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

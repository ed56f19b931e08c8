"""A single `.safetensors` checkpoint to a blueprint: SD 1.x, 2.x and SDXL as they were published.

Such a file holds weights only. The sizes of the networks are read off the tensors' shapes; what
shapes do not tell (heads, activations, the noise schedule) is the same in every model of a family.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Final

from latentry.errors import ConfigurationError
from worker.engine.models import clip
from worker.engine.models.assembling import draft
from worker.engine.models.blueprint import Blueprint
from worker.engine.models.card import read_notes
from worker.engine.models.sources import single_file_names
from worker.engine.models.weights import StoredTensor, stored_in

# CLIP-L, OpenCLIP-H and bigG all have heads this wide, as have the UNets since SD 2.0.
_HEAD: Final = 64
_SD1_HEADS: Final = 8
_TEXT_CLASSES: Final = {
    "text_encoder": "CLIPTextModel",
    "text_encoder_2": "CLIPTextModelWithProjection",
}
_SCHEDULER: Final = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "timestep_spacing": "leading",
}
_V: Final = {"prediction_type": "v_prediction"}
_ZERO_SNR: Final = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}


class Family(StrEnum):
    """Which of Stability AI's models a checkpoint descends from; a value is what tells it."""

    SD1 = "cond_stage_model.transformer."
    SD2 = "cond_stage_model.model."
    SDXL = "conditioner.embedders.1.model."


# Side in pixels, VAE scaling factor, and the scheduler that its makers published it with.
_FACTS: Final[dict[Family, tuple[int, float, dict[str, Any]]]] = {
    Family.SD1: (512, 0.18215, {"_class_name": "PNDMScheduler"}),
    # 768-v. The 512 model, which predicts ε, has the very same shapes: its notes must say so.
    Family.SD2: (768, 0.18215, {"_class_name": "DDIMScheduler", **_V}),
    Family.SDXL: (1024, 0.13025, {"_class_name": "EulerDiscreteScheduler"}),
}


def blueprint_from_file(model: str, file: Path) -> Blueprint:
    """Read a checkpoint's header. Raises ConfigurationError with a sentence."""
    if file.suffix != ".safetensors":
        raise ConfigurationError(
            f"{file} is no .safetensors file; pickles are not loaded, because they can run code."
        )
    weights, metadata = stored_in(file)
    family = _family(file, weights)
    side, scaling, published = _FACTS[family]
    notes = read_notes(file.with_suffix(".latentry.json"))
    scheduler = _SCHEDULER | published | _told(weights, metadata) | notes.scheduler
    parts = {"unet": single_file_names.unet(weights), "vae": single_file_names.vae(weights)}
    parts |= _texts(family, weights)
    try:
        configs = {
            part: clip_config(found, is_open=_is_open(family, part))
            for part, found in parts.items()
            if part in _TEXT_CLASSES
        }
        pooled = configs.get("text_encoder_2", {}).get("projection_dim", 0)
        configs["unet"] = unet_config(parts["unet"], side // 8, pooled)
        configs["vae"] = vae_config(parts["vae"], scaling)
    except KeyError as error:
        raise ConfigurationError(f"{file} is not whole: it has no {error.args[0]}.") from error
    return draft(
        str(file),
        model,
        notes,
        classes={"unet": "UNet2DConditionModel", "vae": "AutoencoderKL", **_TEXT_CLASSES},
        configs=configs,
        weights=parts,
        tokenizers=_tokenizers(family),
        scheduler=scheduler,
        created=int(file.stat().st_mtime),
    )


def unet_config(unet: Mapping[str, StoredTensor], sample_size: int, pooled: int) -> dict[str, Any]:
    """A UNet's config from the shapes of its weights. Raises KeyError where one is missing.

    `pooled` is the width of SDXL's pooled prompt; six numbers follow it, embedded like a timestep.
    """
    blocks = _count(unet, "down_blocks.{}.resnets.0.conv1.weight")
    channels = [unet[f"down_blocks.{b}.resnets.0.conv1.weight"].shape[0] for b in range(blocks)]
    block = "down_blocks.{}.attentions.0.transformer_blocks.0.attn2.to_k.weight"
    attends = [block.format(b) in unet for b in range(blocks)]
    first = attends.index(True) if True in attends else 0
    is_linear = len(unet[f"down_blocks.{first}.attentions.0.proj_in.weight"].shape) == 2
    depths = [
        _count(unet, f"down_blocks.{b}.attentions.0.transformer_blocks.{{}}.norm1.weight")
        for b in range(blocks)
    ]
    down = ["CrossAttnDownBlock2D" if attend else "DownBlock2D" for attend in attends]
    up = ["CrossAttnUpBlock2D" if attend else "UpBlock2D" for attend in reversed(attends)]
    config = {
        "sample_size": sample_size,
        "in_channels": unet["conv_in.weight"].shape[1],
        "out_channels": unet["conv_out.weight"].shape[0],
        "block_out_channels": channels,
        "layers_per_block": _count(unet, "down_blocks.0.resnets.{}.conv1.weight"),
        "down_block_types": down,
        "up_block_types": up,
        "cross_attention_dim": unet[block.format(first)].shape[1],
        "transformer_layers_per_block": [max(depth, 1) for depth in depths],
        "use_linear_projection": is_linear,
        # diffusers' name for how many heads there are (huggingface/diffusers#2011).
        "attention_head_dim": [c // _HEAD for c in channels] if is_linear else _SD1_HEADS,
    }
    if "add_embedding.linear_1.weight" in unet:
        takes = unet["add_embedding.linear_1.weight"].shape[1]
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": (takes - pooled) // 6,
            "projection_class_embeddings_input_dim": takes,
        }
    return config


def vae_config(vae: Mapping[str, StoredTensor], scaling_factor: float) -> dict[str, Any]:
    """A VAE's config from the shapes of its weights. Raises KeyError where one is missing."""
    blocks = _count(vae, "encoder.down_blocks.{}.resnets.0.conv1.weight")
    weights = [f"encoder.down_blocks.{b}.resnets.0.conv1.weight" for b in range(blocks)]
    return {
        "block_out_channels": [vae[name].shape[0] for name in weights],
        "layers_per_block": _count(vae, "encoder.down_blocks.0.resnets.{}.conv1.weight"),
        "down_block_types": ["DownEncoderBlock2D"] * blocks,
        "up_block_types": ["UpDecoderBlock2D"] * blocks,
        "latent_channels": vae["decoder.conv_in.weight"].shape[1],
        "scaling_factor": scaling_factor,
    }


def clip_config(text: Mapping[str, StoredTensor], *, is_open: bool) -> dict[str, Any]:
    """A text encoder's config from the shapes of its weights. Raises KeyError."""
    words, width = text["text_model.embeddings.token_embedding.weight"].shape
    config = {
        "vocab_size": words,
        "hidden_size": width,
        "intermediate_size": text["text_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
        "num_hidden_layers": _count(text, "text_model.encoder.layers.{}.layer_norm1.weight"),
        "num_attention_heads": max(width // _HEAD, 1),
        "max_position_embeddings": text["text_model.embeddings.position_embedding.weight"].shape[0],
        "hidden_act": "gelu" if is_open else "quick_gelu",
        "bos_token_id": words - 2,
        "eos_token_id": words - 1,
        "pad_token_id": 0 if is_open else words - 1,
    }
    if "text_projection.weight" in text:
        config["projection_dim"] = text["text_projection.weight"].shape[0]
    return config


def _family(file: Path, weights: Mapping[str, StoredTensor]) -> Family:
    for family in Family:
        if any(name.startswith(family) for name in weights):
            return family
    raise ConfigurationError(
        f"{file} is no whole SD 1.x, 2.x or SDXL checkpoint in its original layout. The parts "
        "of a diffusers model are loaded from a folder with a model_index.json."
    )


def _told(weights: Mapping[str, StoredTensor], metadata: Mapping[str, str]) -> dict[str, Any]:
    """What a file itself says about its noise schedule: trainers' marks, or modelspec's words."""
    told: dict[str, Any] = {}
    if predicts := metadata.get("modelspec.prediction_type"):
        told |= _V if predicts.startswith("v") else {"prediction_type": "epsilon"}
    if "v_pred" in weights:
        told |= _V
    if "ztsnr" in weights:
        told |= _ZERO_SNR
    return told


def _texts(
    family: Family, weights: Mapping[str, StoredTensor]
) -> dict[str, dict[str, StoredTensor]]:
    match family:
        case Family.SD1:
            return {"text_encoder": single_file_names.clip(weights, family)}
        case Family.SD2:
            text = single_file_names.open_clip(weights, family)
            # Its UNet was trained on the last layer but one, so diffusers leaves out the last.
            layer = "text_model.encoder.layers.{}."
            last = layer.format(_count(text, layer + "layer_norm1.weight") - 1)
            return {"text_encoder": {n: s for n, s in text.items() if not n.startswith(last)}}
        case Family.SDXL:
            return {
                "text_encoder": single_file_names.clip(
                    weights, "conditioner.embedders.0.transformer."
                ),
                "text_encoder_2": single_file_names.open_clip(weights, family),
            }


def _is_open(family: Family, part: str) -> bool:
    """Whether a text encoder is an OpenCLIP; the others are OpenAI's."""
    return family is Family.SD2 or part == "text_encoder_2"


def _tokenizers(family: Family) -> dict[str, Callable[[], Any]]:
    match family:
        case Family.SD1:
            return {"tokenizer": clip.tokenizer}
        case Family.SD2:
            return {"tokenizer": partial(clip.tokenizer, pad="!")}
        case Family.SDXL:
            return {
                "tokenizer": clip.tokenizer,
                "tokenizer_2": partial(clip.tokenizer, pad="!"),
            }


def _count(weights: Mapping[str, StoredTensor], name: str) -> int:
    """How many weights there are of a numbered name, from 0 on."""
    count = 0
    while name.format(count) in weights:
        count += 1
    return count

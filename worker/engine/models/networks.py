"""The networks this engine knows, made from configs. A config chooses sizes, never code."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

from latentry.errors import ConfigurationError

_CLASSES: Final[Mapping[str, Any]] = {
    "AutoencoderKL": AutoencoderKL,
    "AutoencoderTiny": AutoencoderTiny,
    "CLIPTextModel": CLIPTextModel,
    "CLIPTextModelWithProjection": CLIPTextModelWithProjection,
    "UNet2DConditionModel": UNet2DConditionModel,
}
# The rest of a CLIP config can name code on a hub (`attn_implementation`), and is not listened to.
_CLIP_SIZES: Final = (
    "bos_token_id",
    "eos_token_id",
    "hidden_act",
    "hidden_size",
    "intermediate_size",
    "layer_norm_eps",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "pad_token_id",
    "projection_dim",
    "use_attention_mask",
    "vocab_size",
)


def network(kind: str, config: Mapping[str, Any]) -> Callable[[], nn.Module]:
    """What makes a network of this class and config."""
    return partial(_make, kind, config)


def _make(kind: str, config: Mapping[str, Any]) -> nn.Module:
    try:
        if kind.startswith("CLIP"):
            sizes = {name: config[name] for name in _CLIP_SIZES if name in config}
            module: nn.Module = _CLASSES[kind](CLIPTextConfig(**sizes))
        else:
            module = _CLASSES[kind].from_config(dict(config))
    except Exception as error:  # whatever a library makes of a config that nobody vetted
        raise ConfigurationError(f"The config of a {kind} is not usable: {error}") from error
    return module

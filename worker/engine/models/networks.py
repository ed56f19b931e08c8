"""The networks this engine knows, made from configs. A config chooses sizes, never code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import MotionAdapter
from torch import nn
from transformers import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

from latentry.errors import ConfigurationError

# Nothing else of a CLIP config is read: it could name code on a hub (`attn_implementation`).
_CLIP_OPTIONS: Final = (
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


@dataclass(frozen=True, slots=True)
class NetworkType:
    """The one class that a network of a model may have, and the stem of its weights' file names."""

    cls: Any
    stem: str

    @property
    def name(self) -> str:
        """The class's name, as a model's files write it."""
        return str(self.cls.__name__)

    def make(self, config: Mapping[str, Any]) -> nn.Module:
        """A network of this config, with random weights. Raises ConfigurationError."""
        try:
            if self.name.startswith("CLIP"):
                options = {name: config[name] for name in _CLIP_OPTIONS if name in config}
                module: nn.Module = self.cls(CLIPTextConfig(**options))
            else:
                module = self.cls.from_config(dict(config))
        except Exception as error:  # libraries raise anything for an unchecked config
            raise ConfigurationError(
                f"The config of a {self.name} is not usable: {error}"
            ) from error
        return module


# By the folder in which a model in diffusers layout keeps it.
NETWORKS: Final[Mapping[str, NetworkType]] = {
    "text_encoder": NetworkType(CLIPTextModel, "model"),
    "unet": NetworkType(UNet2DConditionModel, "diffusion_pytorch_model"),
    "vae": NetworkType(AutoencoderKL, "diffusion_pytorch_model"),
    "text_encoder_2": NetworkType(CLIPTextModelWithProjection, "model"),
    "taesd": NetworkType(AutoencoderTiny, "diffusion_pytorch_model"),
    "motion_adapter": NetworkType(MotionAdapter, "diffusion_pytorch_model"),
}

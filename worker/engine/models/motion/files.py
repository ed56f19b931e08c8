"""The motion module beside a model: diffusers' folder, or a single file as it was published."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from latentry.errors import ConfigurationError
from worker.engine.models.motion.names import config_of, renamed
from worker.engine.models.networks import NETWORKS
from worker.engine.models.sources.components import MOTION
from worker.engine.models.sources.json_file import read_json
from worker.engine.models.sources.part_files import weights_in
from worker.engine.models.weights import StoredTensor, stored_in

Config = Mapping[str, Any]

# Of diffusers' MotionAdapter.
_DEFAULTS: Final = {
    "block_out_channels": (320, 640, 1280, 1280),
    "motion_layers_per_block": 2,
    "motion_norm_num_groups": 32,
    "motion_max_seq_length": 32,
}


def motion_in_folder(
    folder: Path, unet: Config, *, prefer_fp16: bool
) -> tuple[dict[str, Any], dict[str, StoredTensor]]:
    """Config and weights of the module in a model's `motion_adapter` folder.

    Without a config.json it holds one file, as published. Raises ConfigurationError.
    """
    if not (folder / "config.json").exists():
        files = sorted(folder.glob("*.safetensors"))
        if len(files) != 1:
            raise ConfigurationError(
                f"{folder} has neither a config.json nor exactly one .safetensors file."
            )
        return motion_in_file(files[0], unet)
    config = _DEFAULTS | read_json(folder / "config.json")
    if (found := config.get("_class_name", "MotionAdapter")) != "MotionAdapter":
        raise ConfigurationError(f"{folder} has {found} as its {MOTION}; supported: MotionAdapter.")
    weights = weights_in(folder, NETWORKS[MOTION].stem, prefer_fp16=prefer_fp16)
    refuse_other_motion(str(folder), config, unet)
    return config, weights


def motion_in_file(file: Path, unet: Config) -> tuple[dict[str, Any], dict[str, StoredTensor]]:
    """Config and weights of a module in one file, under AnimateDiff's names or diffusers'.

    Raises ConfigurationError.
    """
    weights = renamed(str(file), stored_in(file)[0])
    config = config_of(str(file), weights, unet)
    refuse_other_motion(str(file), config, unet)
    return config, weights


def refuse_other_motion(where: str, config: Config, unet: Config) -> None:
    """Raise ConfigurationError for a module that was made for another UNet."""
    why = ""
    if unet.get("addition_embed_type") is not None:
        why = "motion modules are supported for Stable Diffusion 1.x and 2.x"
    elif config.get("conv_in_channels"):
        why = "it has a first convolution of its own (PIA), which is not supported"
    elif unet.get("in_channels", 4) != unet.get("out_channels", 4):
        why = "the UNet takes more than a latent"
    elif [*config["block_out_channels"]] != [*unet["block_out_channels"]]:
        why = f"its layers have {[*config['block_out_channels']]} channels, the UNet's have "
        why += f"{[*unet['block_out_channels']]}"
    elif _by_block(config, "motion_layers_per_block") != _by_block(unet, "layers_per_block"):
        why = "its layers are not as many as the UNet's"
    elif config["motion_norm_num_groups"] != unet.get("norm_num_groups", 32):
        why = "its norms have other groups than the UNet's"
    if why:
        raise ConfigurationError(f"The motion module {where} does not fit its model: {why}.")


def _by_block(config: Config, name: str) -> list[int]:
    layers = config.get(name, 2)
    return [layers] * len(config["block_out_channels"]) if isinstance(layers, int) else [*layers]

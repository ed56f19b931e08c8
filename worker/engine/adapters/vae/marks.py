"""Which files are VAEs, without torch."""

from typing import Final

from worker.engine.adapters.file import AdapterFile

CLASS: Final = "AutoencoderKL"
_ENCODER: Final = "encoder.conv_in.weight"
_CHECKPOINTS: Final = "model.diffusion_model."  # a UNet's weights beside it: a whole checkpoint


def is_vae(file: AdapterFile) -> bool:
    """Whether a file is a VAE, by the class that its config names or else by its tensors."""
    names = file.header.tensors
    if file.class_name:
        return file.class_name == CLASS
    has_encoder = _ENCODER in names or f"first_stage_model.{_ENCODER}" in names
    return has_encoder and not any(name.startswith(_CHECKPOINTS) for name in names)

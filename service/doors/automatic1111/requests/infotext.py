"""Generation parameters as the fields of a request: what `infotext` says of those not sent."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from latentry.provenance.parameters import Parameters, parse

_FILLS: Final = {"fill": 0, "original": 1, "latent noise": 2, "latent nothing": 3}
_RESIZE: Final = {"Just resize": 0, "Crop and resize": 1, "Resize and fill": 2}


def _is_true(text: str) -> bool:
    return text == "True"


# AUTOMATIC1111's name of a setting in the text: its field, and how that is read.
_FIELDS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "Steps": ("steps", int),
    "Sampler": ("sampler_name", str),
    "Schedule type": ("scheduler", str),
    "CFG scale": ("cfg_scale", float),
    "Seed": ("seed", int),
    "Variation seed": ("subseed", int),
    "Variation seed strength": ("subseed_strength", float),
    "Denoising strength": ("denoising_strength", float),
    "Image CFG scale": ("image_cfg_scale", float),
    "Tiling": ("tiling", _is_true),
    "Refiner": ("refiner_checkpoint", str),
    "Refiner switch at": ("refiner_switch_at", float),
    "Hires upscale": ("hr_scale", float),
    "Hires steps": ("hr_second_pass_steps", int),
    "Hires upscaler": ("hr_upscaler", str),
    # What changes the picture, and is refused by its field where it cannot be obeyed.
    "Hires checkpoint": ("hr_checkpoint_name", str),
    "Hires sampler": ("hr_sampler_name", str),
    "Hires schedule type": ("hr_scheduler", str),
    "Hires prompt": ("hr_prompt", str),
    "Hires negative prompt": ("hr_negative_prompt", str),
    "Eta": ("eta", float),
    "Eta DDIM": ("eta", float),
    "Sigma churn": ("s_churn", float),
    "Sigma noise": ("s_noise", float),
    "NGMS": ("s_min_uncond", float),
    "Noise multiplier": ("initial_noise_multiplier", float),
    "Mask mode": ("inpainting_mask_invert", lambda text: text == "Inpaint not masked"),
    "Mask blur": ("mask_blur", int),
    "Masked area padding": ("inpaint_full_res_padding", int),
    "Masked content": ("inpainting_fill", _FILLS.__getitem__),
    "Inpaint area": ("inpaint_full_res", lambda text: text == "Only masked"),
    "Resize mode": ("resize_mode", _RESIZE.__getitem__),
}
_OPTIONS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "Model": ("sd_model_checkpoint", str),
    "VAE": ("sd_vae", str),
    "Clip skip": ("CLIP_stop_at_last_layers", int),
    "ENSD": ("eta_noise_seed_delta", int),
}


def filled(body: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The body with what the text says of the fields that it leaves out.

    Model, VAE and clip skip become `override_settings`. Styles are in the text's prompts already.
    What cannot be read is left out, as there.
    """
    found = parse(text)
    fields = {"prompt": found.prompt, "negative_prompt": found.negative_prompt}
    fields |= _read(found, _FIELDS) | _sizes(found)
    sent = {name: value for name, value in body.items() if value is not None}
    settings = sent.get("override_settings", {})
    if isinstance(settings, dict) and (options := _read(found, _OPTIONS)):
        sent["override_settings"] = options | settings
    return fields | sent


def _read(
    found: Parameters, known: Mapping[str, tuple[str, Callable[[str], Any]]]
) -> dict[str, Any]:
    fields = {}
    for setting, (name, read) in known.items():
        if setting in found.settings:
            with suppress(ValueError, KeyError):
                fields[name] = read(found.settings[setting])
    return fields


def _sizes(found: Parameters) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if size := found.size("Size"):
        fields["width"], fields["height"] = size
    if size := found.size("Hires resize"):
        fields["hr_resize_x"], fields["hr_resize_y"] = size
    if any(name.startswith("Hires ") for name in found.settings):
        fields["enable_hr"] = True
    return fields

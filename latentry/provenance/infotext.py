"""AUTOMATIC1111's generation parameters: the text that most image tools read."""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from latentry import __version__
from latentry.contracts import (
    Embedding,
    Extend,
    Hires,
    InpaintArea,
    MaskChannel,
    MaskFill,
    PromptSyntax,
    ResizeMode,
    ResolvedRequest,
    Sampler,
    Seamless,
    Spacing,
)
from latentry.contracts.samplers import SAMPLER_ALIASES, SPACING_ALIASES
from latentry.provenance.controls import control_settings
from latentry.rules.sequences.frames import frame

# AUTOMATIC1111's names of the samplers, which readers of its convention expect.
_A1111: Final[dict[Sampler, str]] = {
    sampler: name for name, sampler in SAMPLER_ALIASES.items() if not name.endswith("Scheduler")
}
_SCHEDULE_TYPES: Final[dict[Spacing, str]] = {
    spacing: label for label, spacing in SPACING_ALIASES.items()
}

_AUTO: Final = MaskChannel.AUTO
_AREAS: Final = {InpaintArea.MASKED: "Only masked"}
_FILLS: Final = {
    MaskFill.FILL: "fill",
    MaskFill.NOISE: "latent noise",
    MaskFill.EMPTY: "latent nothing",
}
_HASH_DIGITS: Final = 12
_SWITCH_AT: Final = ResolvedRequest.model_fields["refiner_switch_at"].default
_MASK_PADDING: Final = ResolvedRequest.model_fields["mask_padding"].default
# A1111 writes `Tiling: True`, which knows no directions.
_TILING: Final = {Seamless.BOTH: "True", Seamless.X: "x", Seamless.Y: "y"}
_RESIZE_MODES: Final = {ResizeMode.CROP: "Crop and resize", ResizeMode.PAD: "Resize and fill"}


def infotext(
    request: ResolvedRequest,
    seed: int,
    profile: str | None = None,
    *,
    intermediate: str = "",
    sequence: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The `parameters` text of an image: prompt, negative prompt, one line of settings.

    As in create_infotext of AUTOMATIC1111's modules/processing.py; settings at their default are
    left out. A strict image names its profile, which with request and seed repeats it exactly; an
    intermediate names itself, so that it is not taken for the image. sequence: what there is to say
    of a frame, which names itself too.
    """
    negative = [f"Negative prompt: {request.negative_prompt}"] if request.negative_prompt else []
    settings = (
        _settings(request, seed)
        | dict(sequence)
        | {
            "Intermediate": intermediate or None,
            "Profile": profile,
            "Version": f"latentry {__version__}",
        }
    )
    line = ", ".join(f"{name}: {value}" for name, value in settings.items() if value is not None)
    return "\n".join([_tagged(request), *negative, line])


def frame_settings(request: ResolvedRequest, index: int) -> dict[str, str]:
    """What the `index`-th frame of an interpolation is; all else is of the keyframe behind it."""
    found = {"Frame": f"{index + 1} of {request.n}"}
    one = frame(request, index)
    if one.towards is not None:
        found |= {
            "Frame weight": _exact(one.weight),
            "Towards seed": str(one.towards.seed),
            "Towards CFG scale": _exact(one.towards.guidance_scale),
            "Towards": json.dumps(one.towards.prompt, ensure_ascii=False),
        }
        if one.towards.negative_prompt:
            negative = json.dumps(one.towards.negative_prompt, ensure_ascii=False)
            found["Towards negative"] = negative
        if hashes := _embedding_hashes(one.towards.embeddings):
            found["Towards TI hashes"] = hashes
        if one.towards.image is not None:
            found["Towards init image"] = one.towards.image.pixel_sha256
    return found


def _settings(request: ResolvedRequest, seed: int) -> dict[str, object]:
    """AUTOMATIC1111's name of each setting and its value; None leaves it out."""
    is_plain = request.prompt_syntax is PromptSyntax.PLAIN
    return {
        "Steps": request.num_inference_steps,
        "Sampler": _A1111.get(request.sampler, request.sampler),
        "Schedule type": _SCHEDULE_TYPES.get(request.spacing),
        "CFG scale": _exact(request.guidance_scale),
        "CFG rescale": _unless_zero(request.guidance_rescale),
        "CFG stop": _unless_one(request.guidance_stop),
        "Cache interval": every if (every := request.cache_interval) > 1 else None,
        "Seed": seed,
        "Variation seed": request.variation_seed,
        "Variation seed strength": _unless_zero(request.variation_strength),
        "Denoising strength": _strength(request),
        "Image CFG scale": _unless_zero(request.image_guidance_scale),
        **_part_of_the_steps(request),
        "Init image": request.image.pixel_sha256 if request.image else None,
        "Mask": request.mask.pixel_sha256 if request.mask else None,
        "Mask blur": request.mask_blur or None,
        "Mask channel": None if (of := request.mask_channel) is _AUTO else of.value,
        "Inpaint area": _AREAS.get(request.inpaint_area),
        "Masked area padding": None
        if request.mask_padding == _MASK_PADDING
        else request.mask_padding,
        "Masked content": _FILLS.get(request.mask_fill),
        "Extend": _sides(request.extend),
        **(_second_pass(request, request.hires) if request.hires else {}),
        "Resize mode": _RESIZE_MODES.get(request.resize_mode),
        "Clip skip": request.clip_skip + 1 if request.clip_skip else None,
        "Prompt syntax": request.prompt_syntax.value if is_plain else None,
        "Styles": _styles(request),
        **_adapters(request),
        "Tiling": _TILING.get(request.seamless),
        "Size": f"{request.width}x{request.height}",
        "Original size": _size(request.original_size),
        "Crop left top": _size(request.crops_coords_top_left),
        "Target size": _size(request.target_size),
        **_model(request),
    }


def _adapters(request: ResolvedRequest) -> dict[str, object]:
    return {
        "Lora hashes": _lora_hashes(request),
        "TI hashes": _embedding_hashes(request.embeddings),
        **control_settings(request),
        "Image prompts": _image_prompts(request),
    }


def _part_of_the_steps(request: ResolvedRequest) -> dict[str, object]:
    at = request.refiner_switch_at
    has_switch = request.refiner is not None or at != _SWITCH_AT
    return {
        "Denoise start": _unless_zero(request.denoise_start),
        "Denoise end": _unless_one(request.denoise_end),
        "Refiner": request.refiner,
        "Refiner switch at": _exact(at) if has_switch else None,
    }


def _tagged(request: ResolvedRequest) -> str:
    """The prompt with A1111's tags for its LoRAs: the text encoders' weight before the UNet's."""
    tags = [
        f"<lora:{one.id}:{_exact(one.text_encoder_weight)}>"
        if one.text_encoder_weight == one.weight
        else f"<lora:{one.id}:{_exact(one.text_encoder_weight)}:{_exact(one.weight)}>"
        for one in request.loras
    ]
    return " ".join([request.prompt, *tags]) if request.prompt else " ".join(tags)


def _lora_hashes(request: ResolvedRequest) -> str | None:
    text = ", ".join(dict.fromkeys(f"{one.id}: {one.autov3}" for one in request.loras))
    return json.dumps(text, ensure_ascii=False) if text else None


def _model(request: ResolvedRequest) -> dict[str, object]:
    """With its VAE's id and the first 10 digits of its SHA-256, as A1111 writes name and hash."""
    vae = request.vae
    found: dict[str, object] = {"Model": request.model}
    return found | {"VAE hash": vae.sha256[:10], "VAE": vae.id} if vae else found


def _image_prompts(request: ResolvedRequest) -> str | None:
    """Adapter, the beginning of its hash, and the picture's pixels: A1111 has no words for it."""
    text = ", ".join(
        f"{one.id} [{one.sha256[:_HASH_DIGITS]}]: {_exact(one.weight)} {one.image.pixel_sha256}"
        for one in request.image_prompts
    )
    return json.dumps(text, ensure_ascii=False) if text else None


def _embedding_hashes(embeddings: Sequence[Embedding]) -> str | None:
    """As AUTOMATIC1111 has them: the first digits of the whole file's SHA-256."""
    text = ", ".join(f"{one.id}: {one.sha256[:_HASH_DIGITS]}" for one in embeddings)
    return json.dumps(text, ensure_ascii=False) if text else None


def _strength(request: ResolvedRequest) -> str | None:
    """That of a second pass as A1111 writes it, unless the image starts from a picture too."""
    strength = request.strength
    if strength is None and request.hires is not None:
        strength = request.hires.strength
    return None if strength is None else _exact(strength)


def _second_pass(request: ResolvedRequest, hires: Hires) -> dict[str, object]:
    """A1111's names, and its `Latent` and `Lanczos`."""
    scale = hires.width / request.width
    is_scaled = scale == hires.height / request.height
    return {
        "Hires upscale": _exact(scale) if is_scaled else None,
        "Hires resize": None if is_scaled else f"{hires.width}x{hires.height}",
        "Hires steps": hires.made_steps,  # there, all are made
        "Hires upscaler": hires.upscaler.capitalize(),
        "Hires strength": None if request.strength is None else _exact(hires.strength),
    }


def _sides(extend: Extend | None) -> str | None:
    if extend is None:
        return None
    return f"{extend.left}/{extend.top}/{extend.right}/{extend.bottom}"


def _styles(request: ResolvedRequest) -> str | None:
    """Their names, quoted as A1111 does where they would not be one value in a line of many."""
    text = ", ".join(request.template.styles if request.template else ())
    return json.dumps(text, ensure_ascii=False) if set(text) & set(',:\n"') else text or None


def _exact(number: float) -> str:
    """The shortest text that parses to exactly this number, without a trailing `.0`."""
    return repr(number).removesuffix(".0")


def _unless_zero(number: float | None) -> str | None:
    return _exact(number) if number else None


def _unless_one(number: float) -> str | None:
    return None if number == 1 else _exact(number)


def _size(height_width: tuple[int, int] | None) -> str | None:
    return "x".join(map(str, reversed(height_width))) if height_width else None

"""What a clip may not ask."""

from typing import Final

from latentry.contracts import ModelCard, ResolvedRequest
from latentry.errors import InvalidRequest, TooManyFrames, UnsupportedField

# What a request for a clip may not change, because frames are drawn without it.
_NOT_OF_CLIPS = (
    *("image", "mask", "strength", "extend", "image_guidance_scale", "hires", "variation_strength"),
    *("denoise_start", "denoise_end", "loras", "image_prompts", "refiner"),
    *("intermediates", "preview_interval", "cache_interval", "guidance_rescale", "seamless", "n"),
)

_LARGER: Final = 2  # frames together than the model's most of its own size: memory is the bound


def refuse_impossible_clip(card: ModelCard, request: ResolvedRequest) -> None:
    """Raises TooManyFrames, UnsupportedField or InvalidRequest."""
    if (clip := request.clip) is None:
        return
    if not card.limits.max_frames:
        why = f"{card.id} has no motion module, and draws no clips."
        raise UnsupportedField(why, fields={"/frames": why})
    if clip.frames > card.limits.max_frames:
        why = f"The motion module of {card.id} knows {card.limits.max_frames} frames at most."
        raise TooManyFrames(why, fields={"/frames": why})
    _refuse_large(card, request, clip.frames)
    defaults = type(request).model_fields
    changed = [name for name in _NOT_OF_CLIPS if getattr(request, name) != defaults[name].default]
    if changed:
        why = f"Clips are drawn without {' and '.join(changed)}."
        raise UnsupportedField(why, fields={f"/{name}": why for name in changed})
    if not request.num_inference_steps:
        why = "A clip needs a step."
        raise InvalidRequest(why, fields={"/num_inference_steps": why})


def _refuse_large(card: ModelCard, request: ResolvedRequest, frames: int) -> None:
    """A clip is one row of a UNet call, and nothing of it can be drawn apart."""
    native = card.defaults.width * card.defaults.height
    most = _LARGER * card.limits.max_frames * native
    if (pixels := frames * request.width * request.height) > most:
        why = (
            f"The frames have {pixels / 1e6:.2f} megapixels together; {card.id} draws at most"
            f" {most / 1e6:.2f}, {_LARGER} times {card.limits.max_frames} frames of its own size."
        )
        raise TooManyFrames(why, fields=dict.fromkeys(("/frames", "/width", "/height"), why))

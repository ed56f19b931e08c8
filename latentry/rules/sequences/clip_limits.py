"""What a clip may not ask."""

from latentry.contracts import ModelCard, ResolvedRequest
from latentry.errors import InvalidRequest, TooManyFrames, UnsupportedField

# What a request for a clip may not change, because frames are drawn without it.
_NOT_OF_CLIPS = (
    *("image", "mask", "strength", "extend", "image_guidance_scale", "hires", "variation_strength"),
    *("denoise_start", "denoise_end", "loras", "refiner"),
    *("intermediates", "preview_interval", "cache_interval", "guidance_rescale", "seamless", "n"),
)


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
    defaults = type(request).model_fields
    changed = [name for name in _NOT_OF_CLIPS if getattr(request, name) != defaults[name].default]
    if changed:
        why = f"Clips are drawn without {' and '.join(changed)}."
        raise UnsupportedField(why, fields={f"/{name}": why for name in changed})
    if not request.num_inference_steps:
        why = "A clip needs a step."
        raise InvalidRequest(why, fields={"/num_inference_steps": why})

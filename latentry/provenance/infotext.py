"""What a picture says about its making: what repeats it, and never a time, an id or a host."""

from typing import Final

from PIL import Image

from latentry import __version__
from latentry.contracts import PromptSyntax, ResolvedRequest, Sampler, Spacing
from latentry.contracts.samplers import SAMPLER_ALIASES, SPACING_ALIASES

# What AUTOMATIC1111, and so every reader of its convention, calls the samplers.
_A1111: Final[dict[Sampler, str]] = {
    sampler: name for name, sampler in SAMPLER_ALIASES.items() if not name.endswith("Scheduler")
}
_SCHEDULE_TYPES: Final[dict[Spacing, str]] = {
    spacing: label for label, spacing in SPACING_ALIASES.items()
}
_USUAL: Final = PromptSyntax.WEIGHTED
_EXIF_IFD: Final = 0x8769
_USER_COMMENT: Final = 0x9286


def infotext(request: ResolvedRequest, seed: int, profile: str | None = None) -> str:
    """The `parameters` text of AUTOMATIC1111: prompt, negative prompt, one line of settings.

    A strict picture names its profile: with the same request, seed and profile it can be repeated.
    """
    settings = {
        "Steps": request.num_inference_steps,
        "Sampler": _A1111.get(request.sampler, request.sampler),
        "Schedule type": _SCHEDULE_TYPES.get(request.spacing),
        "CFG scale": _exact(request.guidance_scale),
        "CFG rescale": _exact(rescale) if (rescale := request.guidance_rescale) else None,
        "CFG stop": _exact(stop) if (stop := request.guidance_stop) < 1 else None,
        "Cache interval": every if (every := request.cache_interval) > 1 else None,
        "Seed": seed,
        "Clip skip": request.clip_skip + 1 if request.clip_skip else None,
        "Prompt syntax": None if (syntax := request.prompt_syntax) is _USUAL else syntax.value,
        "Size": f"{request.width}x{request.height}",
        "Original size": _size(request.original_size),
        "Crop left top": _size(request.crops_coords_top_left),
        "Target size": _size(request.target_size),
        "Model": request.model,
        **({"Profile": profile} if profile else {}),
        "Version": f"latentry {__version__}",
    }
    negative = [f"Negative prompt: {request.negative_prompt}"] if request.negative_prompt else []
    line = ", ".join(f"{name}: {value}" for name, value in settings.items() if value is not None)
    return "\n".join([request.prompt, *negative, line])


def _exact(number: float) -> str:
    """The shortest text that reads as this very number, without a bare `.0`."""
    return repr(number).removesuffix(".0")


def _size(height_width: tuple[int, int] | None) -> str | None:
    return "x".join(map(str, reversed(height_width))) if height_width else None


def recipe(request: ResolvedRequest, seed: int) -> str:
    """The JSON body that asks for this one image again.

    The caller's labels and previews stay out: they do not change the picture, and pictures travel.
    """
    alone = request.model_copy(update={"seed": seed, "n": 1})
    return alone.model_dump_json(exclude={"metadata", "preview_interval"})


def exif(text: str) -> Image.Exif:
    """EXIF with `text` as its UserComment, byte order and charset as AUTOMATIC1111 writes them."""
    tags = Image.Exif()
    tags.endian = ">"
    tags.get_ifd(_EXIF_IFD)[_USER_COMMENT] = b"UNICODE\0" + text.encode("utf-16-be")
    return tags

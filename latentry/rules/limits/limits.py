"""What a model does not support, by its card: one check, for admission and for the engine."""

from collections.abc import Sequence
from typing import Final

from latentry.contracts import InpaintArea, ModelCard, ResolvedRequest, Seamless
from latentry.contracts.fields.bounds import MAX_INTERMEDIATES
from latentry.contracts.samplers import SAMPLER_SPACINGS, SAMPLER_STEPS
from latentry.errors import (
    ClipSkipTooLarge,
    InvalidRequest,
    TooManyIntermediates,
    TooManySteps,
    UnsupportedField,
    UnsupportedSampler,
    UnsupportedSize,
    UnsupportedSpacing,
)
from latentry.rules.limits.controls import refuse_impossible_controls
from latentry.rules.limits.edits import check_edit
from latentry.rules.limits.hires import refuse_impossible_hires
from latentry.rules.limits.outputs import refuse_impossible_output
from latentry.rules.limits.prompts import check_prompts
from latentry.rules.limits.refiner import check_refiner
from latentry.rules.passes import passes
from latentry.rules.pricing import intermediates, skipped_steps
from latentry.rules.sequences.clip_limits import refuse_impossible_clip

_WITH_IMAGE: Final = ("mask", "strength", "extend")
# Fields that mean nothing without a picture, or without a part of it that is kept.
_OF_IMAGES: Final = ("resize_mode",)
_OF_MASKS: Final = ("mask_blur", "mask_channel", "mask_fill", "inpaint_area", "mask_padding")
_SIZE_CONDITIONS: Final = ("original_size", "crops_coords_top_left", "target_size")


def refuse_unsupported(card: ModelCard, request: ResolvedRequest) -> None:
    """Raises the InvalidRequest of the first check that fails.

    The error's `fields` are JSON pointers to what is wrong in the request.
    """
    first, *later = passes(request)
    later = later if request.hires is not None else []  # a refiner's own limits are on its card
    _check_size(card, first)
    if request.sampler not in card.samplers:
        why = f"{card.id} supports the samplers {', '.join(card.samplers)}."
        raise UnsupportedSampler(why, fields={"/sampler": why})
    if request.spacing not in (spacings := SAMPLER_SPACINGS[request.sampler]):
        why = f"The sampler {request.sampler} supports the spacings {', '.join(spacings)}."
        raise UnsupportedSpacing(why, fields={"/spacing": why})
    _check_steps(card, first)
    check_prompts(card, first)
    for one in later:
        _check_size(card, one, below="/hires")
        _check_steps(card, one, at="/hires/steps")
        check_prompts(card, one)
    refuse_impossible_hires(request)
    refuse_impossible_clip(card, request)
    _check_conditions(card, request)
    check_edit(card, request)
    check_refiner(card, request)
    _check_inputs(card, request)
    _check_part(request)
    refuse_impossible_controls(card, request)
    refuse_impossible_output(request)
    _check_intermediates(request)
    if request.preview_interval and not card.limits.previews:
        why = f"{card.id} does not support previews."
        raise UnsupportedField(why, fields={"/preview_interval": why})
    if not request.preview_interval:
        _refuse_idle(request, ("preview_size",), "preview_interval is 0")


def _check_size(card: ModelCard, request: ResolvedRequest, *, below: str = "") -> None:
    limits = card.limits
    why = (
        f"{card.id} supports sides of {limits.min_side} to {limits.max_side} pixels"
        f" in multiples of {limits.size_step}."
    )
    wrong = {
        f"{below}/{name}": why
        for name, side in (("width", request.width), ("height", request.height))
        if not limits.min_side <= side <= limits.max_side or side % limits.size_step
    }
    if wrong:
        raise UnsupportedSize(why, fields=wrong)


def _check_steps(
    card: ModelCard, request: ResolvedRequest, *, at: str = "/num_inference_steps"
) -> None:
    most = min(card.limits.max_steps, SAMPLER_STEPS.get(request.sampler, card.limits.max_steps))
    if request.num_inference_steps > most:
        name = card.id if most == card.limits.max_steps else f"The sampler {request.sampler}"
        why = f"{name} supports at most {most} steps."
        raise TooManySteps(why, fields={at: why})


def _check_inputs(card: ModelCard, request: ResolvedRequest) -> None:
    if request.image is None:
        _refuse_idle(request, ("denoise_start",), "it has no image to start from")
        given = [name for name in _WITH_IMAGE if getattr(request, name) is not None]
        if given:
            why = f"{' and '.join(given)} without image: name the picture to start from."
            raise UnsupportedField(why, fields={f"/{name}": why for name in given})
        of_images = () if request.controls else _OF_IMAGES
        _refuse_idle(request, (*of_images, *_OF_MASKS), "it has no image")
        return
    if not card.limits.images:
        why = f"{card.id} does not start from pictures."
        raise UnsupportedField(why, fields={"/image": why})
    _check_extend(request)
    _check_mask(request)


def _check_part(request: ResolvedRequest) -> None:
    """That some of the steps are made, by one of the fields that say which."""
    if request.denoise_start and request.strength is not None:
        why = "strength and denoise_start both say which step is the first; leave one out."
        raise InvalidRequest(why, fields=dict.fromkeys(("/denoise_start", "/strength"), why))
    is_from_picture = request.strength is not None or request.denoise_start > 0
    if (not is_from_picture and request.denoise_end == 1) or skipped_steps(
        request
    ) < request.last_step:
        return
    given = {
        "/strength": request.strength is not None,
        "/denoise_start": request.denoise_start > 0,
        "/denoise_end": request.denoise_end < 1,
    }
    named = [at for at, is_given in given.items() if is_given]
    why = f"No step would be made, by {' and '.join(at[1:] for at in named)} of "
    why += f"{request.num_inference_steps} steps."
    raise InvalidRequest(why, fields=dict.fromkeys((*named, "/num_inference_steps"), why))


def _refuse_idle(request: ResolvedRequest, names: Sequence[str], why: str) -> None:
    """Raises UnsupportedField for fields that would change nothing, unless they are at default."""
    defaults = type(request).model_fields
    if idle := [name for name in names if getattr(request, name) != defaults[name].default]:
        text = f"{' and '.join(idle)} would change nothing: {why}."
        raise UnsupportedField(text, fields={f"/{name}": text for name in idle})


def _check_mask(request: ResolvedRequest) -> None:
    if not request.repaints:
        _refuse_idle(request, _OF_MASKS, "nothing of the image is kept; name a mask")
    if request.mask is None:
        own = ("mask_blur", "mask_channel", "inpaint_area", "mask_padding")
        _refuse_idle(request, own, "it has no mask")
    if request.inpaint_area is InpaintArea.WHOLE:
        _refuse_idle(request, ("mask_padding",), "it is for inpaint_area: masked")
    is_part = request.extend is not None or request.inpaint_area is InpaintArea.MASKED
    if request.seamless is not Seamless.NONE and is_part:
        why = "What is drawn is a part of the picture, whose own edges are not to meet."
        raise UnsupportedField(why, fields={"/seamless": why})


def _check_extend(request: ResolvedRequest) -> None:
    if (extend := request.extend) is None:
        return
    if not extend.is_any:
        raise InvalidRequest(why := "All sides are 0.", fields={"/extend": why})
    across, down = extend.left + extend.right, extend.top + extend.bottom
    if across >= request.width or down >= request.height:
        why = "It must leave room for the picture within width and height."
        raise InvalidRequest(why, fields={"/extend": why})


def _check_intermediates(request: ResolvedRequest) -> None:
    wanted = request.intermediates
    if wanted is None:
        return
    each = len(intermediates(request))
    if not each:
        why = f"No step would be stored: {wanted.every} is more than the steps that are made."
        raise InvalidRequest(why, fields={"/intermediates/every": why})
    if each * request.n > MAX_INTERMEDIATES:
        why = f"{each * request.n} intermediates; a job stores at most {MAX_INTERMEDIATES}."
        at = ("/intermediates/every", "/intermediates/kinds", "/num_inference_steps", "/n")
        raise TooManyIntermediates(why, fields=dict.fromkeys(at, why))


def _check_conditions(card: ModelCard, request: ResolvedRequest) -> None:
    most = card.limits.max_clip_skip
    if (request.clip_skip or 0) > most:
        why = f"{card.id} can skip at most {most} layers of its text encoder."
        raise ClipSkipTooLarge(why, fields={"/clip_skip": why})
    given = [name for name in _SIZE_CONDITIONS if getattr(request, name) is not None]
    if given and not card.limits.size_conditioning:
        why = f"{card.id} does not support size conditioning (SDXL only)."
        raise UnsupportedField(why, fields={f"/{name}": why for name in given})

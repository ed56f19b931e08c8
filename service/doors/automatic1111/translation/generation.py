"""A body of `txt2img` or `img2img` as our request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from latentry.contracts import GenerationRequest, ModelCard, OutputFormat, Seamless
from latentry.contracts.fields.bounds import MAX_IMAGES
from latentry.errors import InvalidRequest
from service.doors.automatic1111.requests.generations import AnyGeneration, Img2Img, Txt2Img
from service.doors.automatic1111.requests.options import Options
from service.doors.automatic1111.translation.controls import Controls, controls
from service.doors.automatic1111.translation.hires import hires
from service.doors.automatic1111.translation.names import bare, is_none
from service.doors.automatic1111.translation.pictures import init_image, of_pictures
from service.doors.automatic1111.translation.refusals import (
    refuse,
    refuse_impossible,
    refuse_options,
)
from service.doors.automatic1111.translation.sampling import sampling
from service.doors.sizes import Size, nearest
from service.http import bodies

# What clients send that have chosen no size: the API's default.
_UNASKED: Final[Size] = (512, 512)
_SIZE_STEP: Final = 8
# AUTOMATIC1111's names of our fields, where they differ.
_NAMES: Final = {
    "num_inference_steps": "steps",
    "guidance_scale": "cfg_scale",
    "sampler": "sampler_name",
    "spacing": "scheduler",
    "n": "batch_size",
    "seamless": "tiling",
    "variation_seed": "subseed",
    "variation_strength": "subseed_strength",
    "strength": "denoising_strength",
    "image": "init_images",
    "image_guidance_scale": "image_cfg_scale",
    "mask_fill": "inpainting_fill",
    "mask_channel": "mask",
    "mask_padding": "inpaint_full_res_padding",
    "inpaint_area": "inpaint_full_res",
    "refiner": "refiner_checkpoint",
    "model": "override_settings/sd_model_checkpoint",
    "vae": "override_settings/sd_vae",
    "clip_skip": "override_settings/CLIP_stop_at_last_layers",
    "hires": "enable_hr",
    "hires/scale": "hr_scale",
    "hires/width": "hr_resize_x",
    "hires/height": "hr_resize_y",
    "hires/steps": "hr_second_pass_steps",
    "hires/strength": "denoising_strength",
    "hires/upscaler": "hr_upscaler",
}


@dataclass(frozen=True, slots=True)
class Translated:
    """Our request; what its fields are called there; which ControlNets' maps are wanted."""

    request: GenerationRequest
    names: Mapping[str, str]
    maps: tuple[bool, ...]


def translated(
    body: AnyGeneration, options: Options, card: ModelCard, picture: Size | None = None
) -> Translated:
    """The same request as ours, to the model of this card. Raises InvalidRequest or NotFound.

    `options`: with those of the request. `picture`: width and height of the one that it brings.
    """
    refuse_impossible(body)
    refuse_options(options)
    first = _size(body, card, picture)
    units = _units(body)
    fields = _common(body, options, card) | sampling(body) | dict(units.fields)
    fields["width"], fields["height"] = first
    if isinstance(body, Img2Img):
        fields |= of_pictures(body, card)
    if isinstance(body, Txt2Img):
        fields["hires"] = hires(body, first, card)
    names = _NAMES | dict(units.names)
    return Translated(_validated(fields, names), names, units.maps)


def _common(body: AnyGeneration, options: Options, card: ModelCard) -> dict[str, Any]:
    count = body.batch_size * body.n_iter
    if count > MAX_IMAGES:
        refuse("batch_size", f"batch_size × n_iter is {count}, and at most {MAX_IMAGES}.")
    found: dict[str, Any] = {
        "model": card.id,
        "prompt": body.prompt,
        "negative_prompt": body.negative_prompt,
        "styles": [name for name in body.styles if not is_none(name)],
        "n": count,
        "num_inference_steps": body.steps,
        "guidance_scale": body.cfg_scale,
        "seed": None if body.seed == -1 else body.seed,
        "clip_skip": options.CLIP_stop_at_last_layers - 1 or None,
        "vae": None if is_none(options.sd_vae) else bare(options.sd_vae or ""),
        "seamless": Seamless.BOTH if body.tiling else None,
        "output_format": options.output_format,
    }
    if options.output_format is not OutputFormat.PNG:
        found["output_quality"] = options.jpeg_quality
    if body.subseed_strength:
        found["variation_strength"] = body.subseed_strength
        found["variation_seed"] = None if body.subseed == -1 else body.subseed
    return found | _refiner(body)


def _refiner(body: AnyGeneration) -> dict[str, Any]:
    if is_none(body.refiner_checkpoint):
        return {}
    found: dict[str, Any] = {"refiner": bare(body.refiner_checkpoint or "").lower()}
    if body.refiner_switch_at is not None:
        found["refiner_switch_at"] = body.refiner_switch_at
    return found


def _units(body: AnyGeneration) -> Controls:
    has_units = any(body.alwayson_scripts.units)
    picture = init_image(body) if has_units and isinstance(body, Img2Img) else None
    return controls(body.alwayson_scripts, picture)


def _size(body: AnyGeneration, card: ModelCard, picture: Size | None) -> Size:
    """Width and height to draw: an omitted side is the picture's, or the model's."""
    own = nearest(picture, card.limits) if picture else (card.defaults.width, card.defaults.height)
    wished = body.width or own[0], body.height or own[1]
    if wished == _UNASKED:
        return nearest(wished, card.limits)
    width, height = (side // _SIZE_STEP * _SIZE_STEP for side in wished)
    return width, height


def _validated(fields: dict[str, Any], names: Mapping[str, str]) -> GenerationRequest:
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return GenerationRequest.model_validate(given)
    except ValidationError as error:
        wrong = bodies.invalid(error, GenerationRequest)
    named = {names.get(at[1:], at[1:]): why for at, why in wrong.fields.items()}
    said = "; ".join(f"{name.replace('/', '.')}: {why}" for name, why in named.items())
    raise InvalidRequest(said, fields={f"/{name}": why for name, why in named.items()})

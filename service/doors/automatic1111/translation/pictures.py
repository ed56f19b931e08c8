"""The picture and the mask of img2img, and how they are used."""

from typing import Any, Final

from latentry.contracts import InpaintArea, MaskChannel, MaskFill, ModelCard, ResizeMode
from latentry.errors import NotFound
from service.doors.automatic1111.requests.generations import Img2Img
from service.doors.automatic1111.translation.refusals import refuse

STRENGTH: Final = 0.75
MASK_BLUR: Final = 4
_RESIZE_MODES: Final = (ResizeMode.STRETCH, ResizeMode.CROP, ResizeMode.PAD)
_FILLS: Final = (MaskFill.FILL, MaskFill.ORIGINAL, MaskFill.NOISE, MaskFill.EMPTY)


def init_image(body: Img2Img) -> str:
    """The picture that it brings. Raises NotFound or UnsupportedField."""
    if not body.init_images:
        raise NotFound("Init image not found; send a picture in init_images.")
    if len(body.init_images) > 1:
        refuse("init_images", "One picture a request; send a request for each.")
    return body.init_images[0]


def of_pictures(body: Img2Img, card: ModelCard) -> dict[str, Any]:
    """Our fields. Raises NotFound or UnsupportedField."""
    found: dict[str, Any] = {"image": init_image(body)}
    if body.resize_mode not in range(len(_RESIZE_MODES)):
        refuse("resize_mode", "0, 1 or 2; the latent of a picture is not enlarged.")
    found["resize_mode"] = _RESIZE_MODES[body.resize_mode]
    if card.limits.edits:
        if body.mask:
            refuse("mask", "This model edits the whole picture; leave the mask out.")
        # There, too, such a model starts from noise, and its picture stands beside.
        return found | _given("image_guidance_scale", body.image_cfg_scale)
    strength = STRENGTH if body.denoising_strength is None else body.denoising_strength
    if not strength:
        refuse("denoising_strength", "At 0 nothing would be drawn.")
    return found | {"strength": strength} | _of_mask(body)


def _of_mask(body: Img2Img) -> dict[str, Any]:
    if not body.mask:
        return {}
    found: dict[str, Any] = {
        "mask": body.mask,
        "mask_blur": _blur(body),
        "mask_channel": MaskChannel.TRANSPARENT
        if body.inpainting_mask_invert
        else MaskChannel.OPAQUE,
        "mask_fill": _FILLS[body.inpainting_fill],
    }
    if body.inpaint_full_res:
        padding = body.inpaint_full_res_padding
        found |= {"inpaint_area": InpaintArea.MASKED, "mask_padding": padding}
    return found


def _blur(body: Img2Img) -> int:
    if body.mask_blur is not None:
        return body.mask_blur
    both = {MASK_BLUR if one is None else one for one in (body.mask_blur_x, body.mask_blur_y)}
    if len(both) > 1:
        refuse("mask_blur_x", "It must be equal to mask_blur_y, which is 4 if omitted.")
    return both.pop()


def _given(name: str, value: object) -> dict[str, Any]:
    return {} if value is None else {name: value}

"""Which pixels are repainted."""

from typing import Final, TypeAlias

from PIL import Image, ImageFilter

from latentry.contracts import MaskChannel, ResizeMode
from worker.engine.inputs.resize import resized

Box: TypeAlias = tuple[int, int, int, int]

_OPAQUE: Final = 255
_HALF: Final = 128


def read_mask(image: Image.Image, channel: MaskChannel = MaskChannel.AUTO) -> Image.Image:
    """Levels of repainting, mode L: 255 is repainted.

    White is repainted. If anything is transparent, that is repainted instead, as in OpenAI's edits,
    and only that if the channel is alpha; or what is opaque, as in AUTOMATIC1111's
    create_binary_mask, if that is the channel. Transparent is the inverse of opaque.
    """
    opacity = _opacity(image)
    if channel is MaskChannel.TRANSPARENT:
        return _inverted(read_mask(image, MaskChannel.OPAQUE))
    if opacity is not None:
        return opacity if channel is MaskChannel.OPAQUE else _inverted(opacity)
    if channel is MaskChannel.ALPHA:
        return Image.new("L", image.size)
    return image.convert("RGB").convert("L")


def _opacity(image: Image.Image) -> Image.Image | None:
    """Its alpha, unless nothing is transparent."""
    if image.mode != "RGBA":
        return None
    alpha = image.getchannel("A")
    lowest, _ = alpha.getextrema()
    return None if lowest == _OPAQUE else alpha


def _inverted(levels: Image.Image) -> Image.Image:
    return levels.point(lambda level: _OPAQUE - level)


def sized_mask(
    mask: Image.Image, width: int, height: int, mode: ResizeMode, blur: int
) -> Image.Image:
    """The mask at this size: black or white, and then its edge softened by so many pixels."""
    hard = resized(mask, width, height, mode).point(lambda level: _OPAQUE if level >= _HALF else 0)
    return hard.filter(ImageFilter.GaussianBlur(blur)) if blur else hard


def region(mask: Image.Image, padding: int, width: int, height: int) -> Box:
    """The box around all that is repainted, in pixels, of the shape width : height if it fits.

    Grown by `padding`, then along one side, then moved inside the picture, as AUTOMATIC1111's
    masking.get_crop_region and expand_crop_region. The whole picture if nothing is repainted.
    """
    box = mask.getbbox() or (0, 0, *mask.size)
    left, top, right, bottom = (
        max(box[0] - padding, 0),
        max(box[1] - padding, 0),
        min(box[2] + padding, mask.width),
        min(box[3] + padding, mask.height),
    )
    if (right - left) * height > (bottom - top) * width:
        top, bottom = _grown(top, bottom, round((right - left) * height / width), mask.height)
    else:
        left, right = _grown(left, right, round((bottom - top) * width / height), mask.width)
    return left, top, right, bottom


def _grown(low: int, high: int, wanted: int, most: int) -> tuple[int, int]:
    length = min(max(wanted, high - low), most)
    low = min(max(low - (length - (high - low)) // 2, 0), most - length)
    return low, low + length

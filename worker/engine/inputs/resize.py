"""A picture of any size at the size that is drawn."""

from typing import Final

from PIL import Image

from latentry.contracts import ResizeMode

# As diffusers' VaeImageProcessor.
FILTER: Final = Image.Resampling.LANCZOS


def resized(image: Image.Image, width: int, height: int, mode: ResizeMode) -> Image.Image:
    """The picture at this size in pixels; one that has it already is returned as it is."""
    if image.size == (width, height):
        return image
    if mode is ResizeMode.STRETCH:
        return image.resize((width, height), FILTER)
    if mode is ResizeMode.CROP:
        return image.resize((width, height), FILTER, box=_covering(image, width, height))
    scale = min(width / image.width, height / image.height)
    inner = image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))), FILTER
    )
    left, top = (width - inner.width) // 2, (height - inner.height) // 2
    return _padded(inner, width, height, left, top)


def _covering(image: Image.Image, width: int, height: int) -> tuple[float, float, float, float]:
    """The largest box of this shape in the middle of the picture."""
    scale = max(width / image.width, height / image.height)
    wide, high = min(width / scale, image.width), min(height / scale, image.height)
    left, top = (image.width - wide) / 2, (image.height - high) / 2
    return left, top, left + wide, top + high


def _padded(inner: Image.Image, width: int, height: int, left: int, top: int) -> Image.Image:
    """Its edges repeated on all sides, as AUTOMATIC1111's "Resize and fill" does."""
    whole = Image.new(inner.mode, (width, height))
    whole.paste(inner.resize((width, height), Image.Resampling.NEAREST))
    right, bottom = left + inner.width, top + inner.height
    for box, edge in (
        ((0, top, left, bottom), (0, 0, 1, inner.height)),
        ((right, top, width, bottom), (inner.width - 1, 0, inner.width, inner.height)),
        ((left, 0, right, top), (0, 0, inner.width, 1)),
        ((left, bottom, right, height), (0, inner.height - 1, inner.width, inner.height)),
    ):
        if (size := (box[2] - box[0], box[3] - box[1])) > (0, 0) and min(size) > 0:
            whole.paste(inner.crop(edge).resize(size), box)
    whole.paste(inner, (left, top))
    return whole

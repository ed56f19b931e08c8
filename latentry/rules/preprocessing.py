"""Controls: how large they are, in which calls they are made, and what they cost. Pure."""

from typing import Final

from latentry.contracts import InputFile, Preprocess, PreprocessorsCard, ResolvedControl
from latentry.errors import ImageTooLarge
from latentry.rules.limits.outputs import refuse_impossible_output
from latentry.rules.pricing import NOMINAL_STEP_MEGAPIXEL_S, Price
from latentry.rules.upscaling import MAX_SIDE_PX, strips

# What a call takes that does not look for edges, of one that does and has as many pixels.
LIGHT: Final = 0.1
MAX_PIXELS: Final = 4_194_304  # of a result, such as 2048 × 2048


def sized(request: ResolvedControl) -> ResolvedControl:
    """The request with both sides, once its picture's size is known: in its proportions if one is
    missing, its own if both are.
    """
    width, height = request.width, request.height
    if (width and height) or not is_known(request.image):
        return request
    scale = width / request.image.width or height / request.image.height or 1.0
    width = width or max(1, round(request.image.width * scale))
    height = height or max(1, round(request.image.height * scale))
    return request.model_copy(update={"width": width, "height": height})


def is_known(image: InputFile) -> bool:
    """Whether its size is known, as it is once it is fetched."""
    return image.width * image.height > 0


def control_calls(request: ResolvedControl) -> list[tuple[int, int]]:
    """Height and width that each call counts for: the resized picture, or the one that it was if
    that is larger; of edges also strips, and all strips connected. Empty while its size is not
    known.
    """
    width, height = request.final_size
    if not width * height:
        return []
    read, made = (request.image.height, request.image.width), (height, width)
    first = max(read, made, key=lambda size: size[0] * size[1])
    if request.preprocess is not Preprocess.CANNY:
        return [first]
    return [first, *(one.size for one in strips(width, height)), made]


def price_control(request: ResolvedControl, card: PreprocessorsCard) -> Price:
    """Its cost by the pixels that its calls make; their pace is that of looking for edges."""
    sizes = control_calls(request)
    megapixels = sum(height * width for height, width in sizes) / 1e6
    searched = sum(height * width for height, width in sizes[1:-1]) / 1e6
    work = searched + LIGHT * (megapixels - searched)
    pace = card.pace
    each_s = pace.step_megapixel_s if pace else NOMINAL_STEP_MEGAPIXEL_S
    return Price(
        step_megapixels=round(megapixels, 6),
        cost_ms=max(1, round(work * each_s * 1000)),
        seats=pace.images_at_once if pace else 0,
    )


def refuse_impossible_control(request: ResolvedControl) -> None:
    """Raises ImageTooLarge or UnsupportedField."""
    refuse_impossible_output(request)
    width, height = request.final_size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE_PX:
        why = (
            f"{width} × {height} pixels are too many: at most {MAX_PIXELS} are made, and sides of"
            f" {MAX_SIDE_PX}."
        )
        raise ImageTooLarge(why, fields=dict.fromkeys(("/width", "/height"), why))

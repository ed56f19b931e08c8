"""Controls: how large they are, in which calls they are made, and what they cost. Pure."""

from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Final

from latentry.contracts import InputFile, Preprocess, PreprocessorsCard, ResolvedControl
from latentry.errors import ImageTooLarge
from latentry.rules.limits.outputs import refuse_impossible_output
from latentry.rules.pricing import NOMINAL_STEP_MEGAPIXEL_S, Price
from latentry.rules.resizing import Fit, Strip, fit
from latentry.rules.upscaling import MAX_SIDE_PX, Box, strips


class Operation(StrEnum):
    """What a call does: calls of one size take different times."""

    ROWS = auto()
    COLUMNS = auto()
    PAD = auto()
    INVERT = auto()
    EDGES = auto()
    CONNECT = auto()
    NOTHING = auto()

    @classmethod
    def of(cls, strip: Strip) -> "Operation":
        """Of a strip that is resized."""
        return cls.ROWS if strip.is_of_rows else cls.COLUMNS


@dataclass(frozen=True, slots=True)
class ControlCall:
    """One call, and the strip that it is for."""

    operation: Operation
    box: Box
    resized: Strip | None = None


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


def fit_of(request: ResolvedControl) -> Fit:
    """How its picture, of a known size, is resized."""
    of = request.image.width, request.image.height
    return fit(of, request.final_size, request.resize_mode)


def control_calls(request: ResolvedControl) -> list[ControlCall]:
    """The picture is resized, in strips of its rows and of its columns; it is inverted, or edges
    are looked for in strips, and all strips connected. At least one call, but none while its size
    is not known.
    """
    width, height = request.final_size
    if not (width * height and is_known(request.image)):
        return []
    part, whole = fit_of(request), Box(0, 0, width, height)
    found = [ControlCall(Operation.of(strip), strip.box, strip) for strip in part.strips]
    if part.size != request.final_size:
        found.append(ControlCall(Operation.PAD, whole))
    match request.preprocess:
        case Preprocess.CANNY:
            found += [ControlCall(Operation.EDGES, strip) for strip in strips(width, height)]
            found.append(ControlCall(Operation.CONNECT, whole))
        case Preprocess.INVERT:
            found.append(ControlCall(Operation.INVERT, whole))
    return found or [ControlCall(Operation.NOTHING, whole)]


def price_control(request: ResolvedControl, card: PreprocessorsCard) -> Price:
    """Its cost by the pixels that its calls make; their pace is that of looking for edges."""
    calls = control_calls(request)
    megapixels = sum(one.box.area for one in calls) / 1e6
    searched = sum(one.box.area for one in calls if one.operation is Operation.EDGES) / 1e6
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

"""What a second pass may not ask."""

from latentry.contracts import ResolvedRequest
from latentry.errors import InvalidRequest, UnsupportedField, UnsupportedSize
from latentry.rules.passes import passes
from latentry.rules.pricing import skipped_steps


def refuse_impossible_hires(request: ResolvedRequest) -> None:
    """Raises InvalidRequest or a subclass; limits of its own size and steps are the card's."""
    if (hires := request.hires) is None:
        return
    given = [name for name in ("mask", "extend") if getattr(request, name) is not None]
    if given:
        why = "An image that keeps a part of a picture has no second pass."
        raise UnsupportedField(why, fields=dict.fromkeys(("/hires", f"/{given[0]}"), why))
    if request.denoise_end < 1:
        why = "A second pass begins with a finished image; denoise_end leaves noise in it."
        raise UnsupportedField(why, fields=dict.fromkeys(("/hires", "/denoise_end"), why))
    if not request.num_inference_steps:
        why = "Without a step there is no picture for a second pass."
        raise InvalidRequest(why, fields=dict.fromkeys(("/hires", "/num_inference_steps"), why))
    first, second = (request.width, request.height), (hires.width, hires.height)
    if first == second or any(b < a for a, b in zip(first, second, strict=True)):
        why = f"The second pass must be larger than the first, {first[0]} × {first[1]}."
        raise UnsupportedSize(why, fields=dict.fromkeys(("/hires/width", "/hires/height"), why))
    if skipped_steps(passes(request)[1]) >= hires.steps:
        why = "strength times steps must be at least 1: no step would be made."
        raise InvalidRequest(why, fields=dict.fromkeys(("/hires/strength", "/hires/steps"), why))

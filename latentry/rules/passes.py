"""The passes of an image: text to image is one, hires fix two."""

from latentry.contracts import ResolvedRequest


def passes(request: ResolvedRequest) -> tuple[ResolvedRequest, ...]:
    """The request as one of its own for each pass, with that pass's size, steps and strength."""
    if (hires := request.hires) is None:
        return (request,)
    first = request.model_copy(update={"hires": None})
    larger = {
        "width": hires.width,
        "height": hires.height,
        "num_inference_steps": hires.steps,
        "strength": hires.strength,
        "denoise_start": 0.0,
    }
    return first, first.model_copy(update=larger)

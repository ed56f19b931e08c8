"""The passes of an image: text to image is one, hires fix two, and a refiner makes a second."""

from latentry.contracts import ResolvedRequest


def passes(request: ResolvedRequest) -> tuple[ResolvedRequest, ...]:
    """The request as one of its own for each pass, with that pass's size, steps and strength."""
    if request.refiner is not None:
        return _refined(request)
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


def _refined(request: ResolvedRequest) -> tuple[ResolvedRequest, ...]:
    """The steps before the switch by its model, those after it by the refiner."""
    at = request.refiner_switch_at
    first = request.model_copy(update={"refiner": None, "denoise_end": at})
    later = {"model": request.refiner, "refiner": None, "strength": None, "denoise_start": at}
    return first, request.model_copy(update=later)

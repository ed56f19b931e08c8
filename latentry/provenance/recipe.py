"""The request that generates one image again, as JSON in the image's own file."""

from latentry.contracts import ResolvedRequest
from latentry.contracts.requests import WITHOUT_EFFECT


def recipe(request: ResolvedRequest, seed: int) -> str:
    """A body for `POST /v1/generations` that generates this one image again.

    Defaults are written out, so that it holds after a default has changed. Labels and previews are
    left out: they do not change the image, and images are passed on.
    """
    one = request.model_copy(update={"seed": seed, "n": 1})
    return one.model_dump_json(exclude=set(WITHOUT_EFFECT))

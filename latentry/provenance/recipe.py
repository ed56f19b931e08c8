"""The request that generates one image again, as JSON in the image's own file."""

import json

from latentry.contracts import ClipRequest, ResolvedRequest
from latentry.contracts.requests import WITHOUT_EFFECT


def recipe(request: ResolvedRequest, seed: int, *, is_intermediate: bool = False) -> str:
    """A body for `POST /v1/generations` that generates this one image again; of a frame of a clip,
    one for `POST /v1/clips` that makes the clip again.

    Defaults are written out, so that it holds after a default has changed. Labels and previews are
    left out: they do not change the image, and images are passed on. That of an intermediate stores
    it again beside the image.
    """
    left_out = set(WITHOUT_EFFECT) - {"intermediates"} if is_intermediate else set(WITHOUT_EFFECT)
    one = request.model_copy(update={"seed": seed, "n": 1})
    if one.clip is None:
        return one.model_dump_json(exclude=left_out | {"clip"})
    fields = one.model_dump(mode="json", exclude=left_out)
    whole = fields | fields.pop("clip")
    return json.dumps({name: whole[name] for name in ClipRequest.model_fields if name in whole})

"""What a picture shows, as a caption job."""

from typing import Final

from fastapi import Request

from latentry.contracts import CaptionRequest
from latentry.errors import NoModel, NotFound
from latentry.ledger import Accepted
from service.access.auth import Caller
from service.doors.automatic1111.requests.extras import Interrogate
from service.doors.automatic1111.several import accepted_each, ended_each
from service.doors.automatic1111.translation.refusals import refuse
from service.doors.submit import submit
from service.gateway import Gateway

_MODEL: Final = "clip"  # what its clients call the captioning model; deepdanbooru names tags


async def interrogated(
    gateway: Gateway,
    caller: Caller,
    request: Request,
    body: Interrogate,
    idempotency_key: str | None,
) -> str:
    """The caption. Its job is canceled if the client leaves, unless it has an idempotency key."""
    accepted = await _accepted(gateway, caller, request, body, idempotency_key)
    del body  # nobody keeps its picture while the client waits
    [record] = await ended_each(gateway, request, accepted, keep=idempotency_key is not None)
    return next(one.text for one in record.outputs if one.text is not None)


async def _accepted(
    gateway: Gateway,
    caller: Caller,
    request: Request,
    body: Interrogate,
    idempotency_key: str | None,
) -> list[Accepted]:
    """Raises NotFound, UnsupportedField, and what `submit` does."""
    if body.image is None:
        raise NotFound("Image not found; send a picture in image.")
    if body.model != _MODEL:
        refuse("model", f"Model not found; {_MODEL} is the only one.")

    async def one(_at: str, picture: str, key: str | None) -> Accepted:
        try:
            return await submit(gateway, caller, CaptionRequest(image=picture), key)
        except NoModel:
            why = "No model here says what a picture shows; LATENTRY_CAPTIONER names one."
            refuse("model", why)

    pictures = {"image": body.image}
    return await accepted_each(gateway, caller, request, pictures, one, idempotency_key)

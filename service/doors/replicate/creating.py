"""Replicate's request as a job, and what answers it."""

from collections.abc import Awaitable, Mapping
from typing import Annotated, Final

from fastapi import Header, Request
from starlette.responses import Response

from latentry.contracts import GenerationRequest
from latentry.ledger import Accepted
from service.access.auth import Caller
from service.doors.naming import named_as_sent
from service.doors.replicate import deadlines
from service.doors.replicate.answers import answer
from service.doors.replicate.requests import PredictionRequest
from service.doors.replicate.translation import (
    INPUT,
    generation_request,
    ignored,
    names,
    requested_model,
)
from service.doors.replicate.views import NOTIFY_AS, PREFIX
from service.doors.submit import submit
from service.doors.wait import created_and_ended
from service.gateway import Gateway
from service.http import bodies, prefer
from service.http.body_room import release_body
from service.jobs.admission import choose
from service.jobs.ids import new_ref

IGNORED: Final = "X-Ignored-Fields"
# Replicate's clients hang up half a second later.
_MOST_S: Final = 60

Prefer = Annotated[
    list[str] | None,
    Header(
        alias="Prefer",
        description="`wait` or `wait=N`: respond when the prediction has ended, after 60 or N"
        " seconds at the latest.",
    ),
]


async def create(
    gateway: Gateway,
    caller: Caller,
    request: Request,
    model: type[PredictionRequest],
    idempotency_key: str | None,
    preferences: list[str] | None,
    cancel_after: str | None,
    *,
    of_path: str = "",
) -> Response:
    """Create a prediction. `of_path`: the id of the model that the path names.

    Raises what reading the body and `submit` do.
    """
    most_s = min(_MOST_S, gateway.settings.max_wait_s)
    wait_s = prefer.wait_s(preferences or (), max_s=most_s)
    within_s = deadlines.seconds(cancel_after)
    body = await bodies.parse(request, model)
    headers = {IGNORED: left_out} if (left_out := ignored(body)) else {}
    if wait_s is not None:
        headers["Preference-Applied"] = f"wait={wait_s}"
    own = await _own(gateway, body, of_path, within_s)
    ref, is_low = new_ref(caller.tenant), bool(body.input.disable_safety_checker)
    submission = submit(
        gateway, caller, own, idempotency_key, ref, is_low=is_low, notify_as=NOTIFY_AS
    )
    submitted = _submitted(request, names(body), submission)
    del body, own, submission  # the pictures are not kept while the client waits
    if wait_s:
        record = await created_and_ended(gateway, ref, submitted, within_s=wait_s)
    else:
        accepted = await submitted
        record = accepted.record or await gateway.record(accepted.ref)
    headers["Location"] = f"{gateway.settings.base_url}{PREFIX}/v1/predictions/{record.ref.id}"
    return await answer(gateway, record, 201, headers, is_new=True)


async def _own(
    gateway: Gateway, body: PredictionRequest, of_path: str, within_s: int | None
) -> GenerationRequest:
    id = requested_model(body, of_path)
    card = choose(id, await gateway.catalogue.entries(including=id)).card
    return generation_request(body, card, within_s)


async def _submitted(
    request: Request, sent: Mapping[str, str], submission: Awaitable[Accepted]
) -> Accepted:
    with named_as_sent(sent, INPUT):
        accepted = await submission
    del submission
    release_body(request)
    return accepted

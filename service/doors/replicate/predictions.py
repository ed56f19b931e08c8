"""`/replicate/v1/predictions` and those of a model: create, list, read and cancel."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from latentry.contracts import JobKind
from latentry.ledger import commands
from latentry.ledger.commands import JobFilter
from service.doors.answers import body_schema, json_response
from service.doors.idempotency import IdempotencyKey
from service.doors.native.pages import cursors
from service.doors.replicate.access import MayRead, MayWrite
from service.doors.replicate.answers import answer
from service.doors.replicate.creating import Prefer, create
from service.doors.replicate.deadlines import CancelAfter
from service.doors.replicate.examples import TAG
from service.doors.replicate.requests import ModelPredictionRequest, PredictionRequest
from service.doors.replicate.responses import Page, Prediction
from service.doors.replicate.views import PREFIX, prediction
from service.gateway import GatewayDep
from service.http.direct import DirectRoute
from service.jobs import search
from service.jobs.ids import ref_of

PATH: Final = f"{PREFIX}/v1/predictions"
OF_MODEL: Final = PREFIX + "/v1/models/{owner}/{name}/predictions"
_PAGE: Final = 100  # as Replicate's
_INPUT: Final = {"input": {"prompt": "a red circle on a blue background"}}

router = APIRouter(tags=[TAG], route_class=DirectRoute)


@router.post(
    PATH,
    status_code=201,
    response_model=Prediction,
    openapi_extra=body_schema(PredictionRequest, {"version": "latentry/shapes"} | _INPUT),
)
async def create_prediction(
    gateway: GatewayDep,
    caller: MayWrite,
    request: Request,
    idempotency_key: IdempotencyKey = None,
    preferences: Prefer = None,
    cancel_after: CancelAfter = None,
) -> Response:
    """Create a prediction as Replicate's API does; with `Prefer: wait`, once it has ended.

    While it has not, it is `starting` here, as Replicate's `run()` polls nothing else. It goes on
    if the client disconnects. Fields without effect are named in `X-Ignored-Fields`.
    """
    headers = (idempotency_key, preferences, cancel_after)
    return await create(gateway, caller, request, PredictionRequest, *headers)


@router.post(
    OF_MODEL,
    status_code=201,
    response_model=Prediction,
    openapi_extra=body_schema(ModelPredictionRequest, _INPUT),
)
async def create_model_prediction(
    gateway: GatewayDep,
    caller: MayWrite,
    request: Request,
    owner: str,
    name: str,
    idempotency_key: IdempotencyKey = None,
    preferences: Prefer = None,
    cancel_after: CancelAfter = None,
) -> Response:
    """The same of the model that the path names; no owner is looked at."""
    headers = (idempotency_key, preferences, cancel_after)
    return await create(gateway, caller, request, ModelPredictionRequest, *headers, of_path=name)


@router.get(PATH, response_model=Page[Prediction])
async def list_predictions(
    gateway: GatewayDep,
    caller: MayRead,
    cursor: Annotated[str | None, Query(description="Of `next`; omit for the first page.")] = None,
) -> Response:
    """List the tenant's predictions, newest first, 100 a page. Their outputs are URLs."""
    below = cursors.parse(cursor)
    like = JobFilter(kind=JobKind.GENERATION)
    records, more = await search.page(gateway.ledger, caller.tenant, like, below=below, limit=_PAGE)
    root = f"{gateway.settings.base_url}{PATH}"
    page = Page[Prediction](
        next=None if more is None else f"{root}?cursor={cursors.cursor(more)}",
        results=[prediction(gateway, record) for record in records],
    )
    return json_response(page)


@router.get(PATH + "/{prediction_id}", response_model=Prediction)
async def get_prediction(gateway: GatewayDep, caller: MayRead, prediction_id: str) -> Response:
    """Get a prediction as it stands."""
    return await answer(gateway, await gateway.record(ref_of(caller.tenant, prediction_id)))


@router.post(PATH + "/{prediction_id}/cancel", response_model=Prediction)
async def cancel_prediction(gateway: GatewayDep, caller: MayWrite, prediction_id: str) -> Response:
    """Cancel a prediction: immediately if it waits, at its next step if it runs. Idempotent."""
    ref = ref_of(caller.tenant, prediction_id)
    if not await gateway.ledger.run(commands.cancel(ref)):
        raise await gateway.absence(ref)
    return await answer(gateway, await gateway.record(ref))

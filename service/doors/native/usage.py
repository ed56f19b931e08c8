"""`/v1/usage`: what the caller's key has used."""

from datetime import UTC, date, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from latentry.api_keys import Scope
from latentry.contracts import Usage, UsageList
from latentry.errors import InvalidRequest
from latentry.ledger import accounts
from service.access.auth import MaySeeUsage
from service.doors.answers import PROBLEMS, json_response
from service.gateway import Here
from service.http.accept import AnswersJson

router = APIRouter(
    prefix="/v1/usage", tags=["usage"], responses=PROBLEMS, dependencies=[AnswersJson]
)

_USUAL_DAYS: Final = 30
_MOST_DAYS: Final = 366


@router.get("", response_model=UsageList)
async def get_usage(
    gateway: Here,
    caller: MaySeeUsage,
    first: Annotated[
        date | None, Query(alias="from", description="30 days before `to` if left out.")
    ] = None,
    last: Annotated[date | None, Query(alias="to", description="Today (UTC) if left out.")] = None,
) -> Response:
    """What the key used, by days; with the scope `usage:tenant`, every key of its tenant."""
    last = last or datetime.now(UTC).date()
    first = first or date.fromordinal(max(last.toordinal() - _USUAL_DAYS, 1))
    if not 0 <= (last - first).days < _MOST_DAYS:
        why = f"`from` to `to` is at least one day and at most {_MOST_DAYS}."
        raise InvalidRequest(why, fields={"from": why})
    used = await gateway.ledger.run(accounts.usage(caller.tenant, first, last))
    sees_all = Scope.USAGE_OF_ALL in caller.scopes
    rows = [
        Usage(
            day=row.day,
            key=row.payer,
            jobs=row.jobs,
            images=row.images,
            step_megapixels=row.step_pixels / 1e6,
        )
        for row in used
        if sees_all or row.payer == caller.key_id
    ]
    return json_response(UsageList(data=rows))

"""`/v1/usage`: jobs, images and step-megapixels by key and day."""

from datetime import UTC, date, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from latentry.api_keys import Scope
from latentry.contracts import Usage, UsageList
from latentry.errors import InvalidRequest
from latentry.ledger import accounts
from service.access.auth import MaySeeUsage
from service.doors.answers import json_response
from service.doors.native.tags import Tag
from service.gateway import GatewayDep
from service.http.accept import ACCEPTS_JSON

router = APIRouter(prefix="/v1/usage", tags=[Tag.USAGE], dependencies=[ACCEPTS_JSON])

_DEFAULT_DAYS: Final = 30
_MAX_DAYS: Final = 366


First = Annotated[
    date | None,
    Query(alias="from", description="First day (UTC); 30 days before `to` if omitted."),
]
Last = Annotated[date | None, Query(alias="to", description="Last day (UTC); today if omitted.")]


@router.get("", response_model=UsageList)
async def get_usage(
    gateway: GatewayDep, caller: MaySeeUsage, first: First = None, last: Last = None
) -> Response:
    """Get the key's usage by day; with the scope `usage:tenant`, that of all keys of its tenant."""
    last = last or datetime.now(UTC).date()
    first = first or date.fromordinal(max(last.toordinal() - _DEFAULT_DAYS, 1))
    if not 0 <= (last - first).days < _MAX_DAYS:
        why = f"`from` to `to` must span 1 to {_MAX_DAYS} days."
        raise InvalidRequest(why, fields={"from": why})
    used = await gateway.ledger.run(accounts.read_usage(caller.tenant, first, last))
    sees_all = Scope.USAGE_OF_ALL in caller.scopes
    rows = [
        Usage(
            day=row.day,
            key=row.payer,
            jobs=row.jobs,
            images=row.images,
            rules=row.rules,
            step_megapixels=row.step_pixels / 1e6,
        )
        for row in used
        if sees_all or row.payer == caller.key_id
    ]
    return json_response(UsageList(data=rows))

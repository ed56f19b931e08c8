"""Waits for a job's end, for doors whose response is the finished job."""

import asyncio
from collections.abc import Awaitable

from fastapi import Request

from latentry.errors import ShuttingDown, Unavailable
from latentry.ledger import Accepted, JobRecord, JobRef, commands
from service.gateway import Gateway
from service.jobs.subscription import Subscription


async def until_ended(gateway: Gateway, ref: JobRef, *, within_s: float) -> JobRecord:
    """The job's record at its end, or after `within_s` seconds. Raises JobNotFound."""
    if within_s:
        await gateway.event_hub.ended(ref, within_s=within_s)
    return await gateway.record(ref)


async def created_and_ended(
    gateway: Gateway, ref: JobRef, submitted: Awaitable[Accepted], *, within_s: float
) -> JobRecord:
    """A new job's record at its end, or after `within_s` seconds. Raises what `submitted` does.

    `ref`: the job's, if `submitted` creates it; it may find an earlier one instead.
    """
    hub = gateway.event_hub
    with hub.expecting(ref) as expected:
        accepted = await submitted
        is_new = accepted.record is not None  # one of an idempotency key may have ended long ago
        found = expected if is_new else None
        await hub.ended(accepted.ref, within_s=within_s, expected=found)
    return await gateway.record(accepted.ref)


async def created_and_ended_or_canceled(
    gateway: Gateway,
    request: Request,
    ref: JobRef,
    submitted: Awaitable[Accepted],
    *,
    within_s: float,
    keep: bool = False,
) -> JobRecord:
    """The record of a job at its end; cancels it if the client disconnects or `within_s` pass.

    For doors whose clients never get the job's id and so cannot fetch its result later. `ref` and
    `submitted` are as in `created_and_ended`. `keep`: the client can, by the idempotency key of its
    request; so it is not canceled. Raises what `submitted` does, ShuttingDown, Unavailable or
    JobNotFound.
    """
    hub = gateway.event_hub
    with hub.expecting(ref) as expected:
        accepted = await submitted
        found = expected if accepted.record else Subscription(ends_only=True)
        # Closing it ends the wait, which canceling may not (see `service.background`).
        leaving = asyncio.create_task(_disconnected(request))
        leaving.add_done_callback(lambda _: found.close())
        try:
            await hub.ended(accepted.ref, within_s=within_s, expected=found)
        finally:
            leaving.cancel()
    record = await gateway.record(accepted.ref)
    if record.state.is_terminal:
        return record
    if not keep:
        await gateway.ledger.run(commands.cancel(accepted.ref))
    if gateway.is_stopping:
        raise ShuttingDown
    raise Unavailable(
        "The job did not end in time and continues; repeat the request with its Idempotency-Key."
        if keep
        else "The job did not end in time and was canceled."
    )


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

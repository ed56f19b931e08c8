"""A background task that repeats, whatever goes wrong in one round."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from latentry.errors import LatentryError

log = structlog.get_logger()


async def every(seconds: float, work: Callable[[], Awaitable[None]], *, name: str) -> None:
    """Do the work until canceled, with a pause of so many seconds after each round.

    An outage is logged as `NAME.failed`, a fault of ours as `NAME.crashed`; the next round tries
    again.
    """
    while True:
        try:
            await work()
        except LatentryError as error:
            log.warning(f"{name}.failed", code=error.code)
        except Exception:
            log.exception(f"{name}.crashed")
        await asyncio.sleep(seconds)

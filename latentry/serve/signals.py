"""Ctrl-C and SIGTERM as a normal exit."""

import asyncio
import signal
from collections.abc import Coroutine


def run(work: Coroutine[object, object, None]) -> bool:
    """Run to the end (True) or to the first SIGINT or SIGTERM (False), which cancels the work.

    A second signal does not wait for the cleanup, because the tethers stop the children anyway.
    """
    return asyncio.run(_run(work))


async def _run(work: Coroutine[object, object, None]) -> bool:
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return False
    return True

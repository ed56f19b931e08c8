"""Ctrl-C and SIGTERM as a normal exit."""

import asyncio
import signal
from collections.abc import Coroutine


def run(work: Coroutine[object, object, None]) -> bool:
    """Run to the end (True) or to the first SIGINT, SIGTERM or SIGHUP (False), which cancels it.

    A second signal does not wait for the cleanup, because the tethers stop the children anyway.
    Under nohup, SIGHUP stays without effect.
    """
    return asyncio.run(_run(work))


async def _run(work: Coroutine[object, object, None]) -> bool:
    task = asyncio.ensure_future(work)
    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    for number in (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hangs_up else [])):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return False
    return True

"""Keeping a child alive."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TextIO

from latentry.serve.child import Child

# A child that lived this long was well; its next death counts from one again.
SETTLED_S: Final = 30.0
# What both rooms end with when their settings make no gateway and no worker.
UNUSABLE: Final = 2


@dataclass(slots=True)
class Supervisor:
    """Starts a child, and starts it again when it dies, less and less eagerly."""

    child: Child
    output: TextIO
    say: Callable[[str], None]
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0
    quick_deaths: int = 0
    is_refused: bool = False
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _keeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Keep the child running from now on."""
        self._keeping = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Stop the child; returns when it and its process group are gone."""
        self._stopping.set()
        if self._keeping:
            await self._keeping

    async def _keep(self) -> None:
        while not self._stopping.is_set():
            started = time.monotonic()
            code = await self._end_of(await self.child.start(self.output))
            if self._stopping.is_set():
                return
            self.is_refused = code == UNUSABLE
            settled = time.monotonic() - started >= SETTLED_S
            self.quick_deaths = 1 if settled else self.quick_deaths + 1
            pause_s = min(self.longest_pause_s, self.first_pause_s * 2.0 ** (self.quick_deaths - 1))
            self.say(f"{self.child.name} ended with code {code}; again in {pause_s:.1f} s")
            await self._rest(pause_s)

    async def _end_of(self, process: asyncio.subprocess.Process) -> int:
        """Its exit code, once it ended by itself or because we let go of its tether."""
        ended = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if process.stdin:
            process.stdin.close()
        return await ended

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

"""Keeping a child process running."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TextIO

from latentry.serve.child import STOP, Child

# After this long a child counts as healthy, and its next death as the first.
HEALTHY_S: Final = 30.0
# The exit code of both applications for settings that they reject.
EXIT_REJECTED: Final = 2


@dataclass(slots=True)
class Supervisor:
    """Starts a child and restarts it when it dies, with exponential backoff."""

    child: Child
    output: TextIO
    say: Callable[[str], None]
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0
    quick_deaths: int = 0
    is_refused: bool = False
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Keep the child running from now on."""
        self._loop = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop the child; returns when it and its process group are gone."""
        self._stopping.set()
        if self._loop:
            await self._loop

    async def _run(self) -> None:
        while not self._stopping.is_set():
            started = time.monotonic()
            code = await self._exit_code(await self.child.start(self.output))
            if self._stopping.is_set():
                return
            self.is_refused = code == EXIT_REJECTED
            was_healthy = time.monotonic() - started >= HEALTHY_S
            self.quick_deaths = 1 if was_healthy else self.quick_deaths + 1
            pause_s = min(self.longest_pause_s, self.first_pause_s * 2.0 ** (self.quick_deaths - 1))
            self.say(f"{self.child.name} ended with exit code {code}; restart in {pause_s:.1f} s")
            await self._sleep(pause_s)

    async def _exit_code(self, process: asyncio.subprocess.Process) -> int:
        """The exit code, after the child ended by itself or was told to stop."""
        ended = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if process.stdin:
            process.stdin.write(STOP)
        code = await ended
        with suppress(ProcessLookupError, PermissionError):  # macOS: PermissionError for zombies
            os.killpg(process.pid, signal.SIGKILL)  # what it left running, if its tether was killed
        return code

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

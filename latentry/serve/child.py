"""One process of the stack."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from latentry.serve import tether

TETHER: Final = str(Path(tether.__file__).resolve())
# What tells a tether to stop its command.
STOP: Final = b"."


@dataclass(frozen=True, slots=True)
class Child:
    """How to start a process, and how many seconds it may take to stop."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    grace_s: float
    holds: tuple[int, ...] = ()  # file descriptors that it inherits

    async def start(self, output: TextIO) -> asyncio.subprocess.Process:
        """Start it under a tether; STOP on the tether's standard input stops it."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", TETHER, self.name, str(self.grace_s), *self.command),
            stdin=asyncio.subprocess.PIPE,
            stdout=output,
            stderr=output,
            pass_fds=self.holds,
            env=dict(self.env),
            start_new_session=True,
        )

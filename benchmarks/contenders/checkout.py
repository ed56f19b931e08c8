"""A working tree whose code is measured, and how its processes are started."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

_FACTS: Final = "import platform, torch; print(platform.python_version(), torch.__version__)"


@dataclass(frozen=True, slots=True)
class Checkout:
    """A working tree and the interpreter that runs its code.

    Modules are started by name in the tree's folder, which Python searches first; so nothing of
    another tree is ever imported, and processes are reached by their pipes and ports only.
    """

    root: Path
    python: str

    @classmethod
    def at(cls, folder: Path) -> Self:
        """The tree in this folder, with its own `.venv` if it has one, else with ours."""
        root = folder.resolve()
        own = root / ".venv" / "bin" / "python"
        return cls(root, str(own) if own.exists() else sys.executable)

    async def start(
        self, module: str, *arguments: str, env: Mapping[str, str], **streams: Any
    ) -> asyncio.subprocess.Process:
        """Start `python -m module` here."""
        return await asyncio.create_subprocess_exec(
            self.python, "-m", module, *arguments, cwd=self.root, env=env, **streams
        )

    def facts(self) -> str:
        """Commit and versions, in words."""
        commit = self._output("git", "rev-parse", "--short", "HEAD") or "no commit"
        changed = ", with changes" if self._output("git", "status", "--porcelain") else ""
        python, torch = self._output(self.python, "-c", _FACTS).split()
        return f"{commit}{changed}, Python {python}, torch {torch}"

    def _output(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)
        return done.stdout.strip()


HERE: Final = Checkout(Path(__file__).parents[2], sys.executable)

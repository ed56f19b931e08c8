"""What goes wrong in a worker on purpose: in its calls by marks on requests, around them by name.

A request's metadata may hold `{"hazard": "exit@3"}`: its process dies in the third call of that
image. `exit@3!` does so only the first time.
"""

import ctypes
import mmap
import os
import re
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

from latentry.errors import EngineError, OutOfMemory
from worker.engine.loop.backend import Taken

_MARK = re.compile(r"(\w+)@(\d+)(!?)")


def die() -> NoReturn:
    """As by `kill -9`: nothing is said, nothing is tidied up."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("SIGKILL does not return")


@dataclass(frozen=True, slots=True)
class Mark:
    """What is to happen, and at which number (a step, or of rows)."""

    kind: str
    number: int
    is_once: bool

    @classmethod
    def of(cls, member: Any) -> Self | None:
        """The mark on a trajectory's request."""
        found = _MARK.fullmatch(member.order.request.metadata.get("hazard", ""))
        if found is None:
            return None
        kind, number, once = found.groups()
        return cls(kind, int(number), bool(once))

    def is_due(self, member: Any, rows: int, flags: Path) -> bool:
        """Whether it is to happen now; one that happens once leaves a flag."""
        reached = rows > self.number if self.kind == "oom" else member.step + 1 == self.number
        flag = flags / f"happened.{member.order.job.partition('#')[0]}"
        if not reached or (self.is_once and flag.exists()):
            return False
        flag.touch()
        return True


class Tally:
    """A counter in a file, which says after a SIGKILL what it said before."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        file = folder / f"{os.getpid()}.{os.urandom(3).hex()}"
        file.write_bytes(bytes(8))
        with file.open("r+b") as opened:
            self._page = mmap.mmap(opened.fileno(), 8)

    def add(self, number: int) -> None:
        """Count so many more."""
        self._page[:] = (int.from_bytes(self._page[:]) + number).to_bytes(8)

    @staticmethod
    def total(folder: Path) -> int:
        """What all that ever counted there say together."""
        return sum(int.from_bytes(file.read_bytes()) for file in folder.glob("*"))


class Hazardous:
    """A backend that is itself, but for marked requests; and it counts the calls of each image."""

    def __init__(self, backend: Any, folder: Path) -> None:
        self._backend = backend
        self._folder = folder
        self._tally = Tally(folder / "tally")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def advance(self, members: Sequence[Any], rows: int) -> None:
        for member in members:
            mark = Mark.of(member)
            if mark and mark.is_due(member, rows, self._folder):
                _happen(mark.kind)
        self._backend.advance(members, rows)
        # An idle engine measures calls with an example, which belongs to no job.
        self._tally.add(sum(member.order.job != "example" for member in members))

    def decode(self, members: Sequence[Any]) -> Any:
        marks = [Mark.of(member) for member in members]
        if any(mark and mark.kind == "nan" for mark in marks):
            answers = self._backend.decode(members).take()
            why = "The picture has values that are no numbers."
            return Taken(
                [
                    EngineError(why) if mark and mark.kind == "nan" else answer
                    for mark, answer in zip(marks, answers, strict=True)
                ]
            )
        return self._backend.decode(members)


def _happen(kind: str) -> None:
    match kind:
        case "oom":
            raise OutOfMemory
        case "exit":
            die()
        case "hang":
            threading.Event().wait()
        case "hang_in_c":  # PyDLL keeps the interpreter's lock: no thread of ours runs meanwhile
            ctypes.PyDLL(None).sleep(1_000_000)
        case "device":
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        case "fail":
            raise EngineError("told to fail")


@dataclass(slots=True)
class Point:
    """Where in its dealings with the ledger or the storage a process dies, once in its house.

    Written `before:settle:2` or `after:put:1`: the second command of that name, the first upload.
    """

    is_after: bool
    name: str
    number: int
    flag: Path

    @classmethod
    def parse(cls, text: str, folder: Path) -> Self:
        when, name, number = text.split(":")
        return cls(when == "after", name, int(number), folder / f"died.{text.replace(':', '-')}")

    def pass_by(self, name: str, *, is_after: bool) -> None:
        """One such call begins, or is over."""
        if (name, is_after) != (self.name, self.is_after):
            return
        self.number -= 1
        if self.number == 0 and not self.flag.exists():
            self.flag.touch()
            die()

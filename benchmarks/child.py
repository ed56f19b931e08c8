"""The process of a contender that computes: takes lines of JSON, draws, answers.

python -m benchmarks.child stock | dynamic | engine
"""

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.load.traces import Wish, wish_of


@dataclass(frozen=True, slots=True)
class Asked:
    """One line of the parent, and when it came."""

    verb: str
    number: int
    arguments: Mapping[str, Any]
    at_s: float

    @property
    def wish(self) -> Wish:
        """What is to be drawn."""
        return wish_of(self.arguments["wish"])


class Inbox:
    """Reads on a thread of its own, so that an arrival is stamped when it happens."""

    def __init__(self) -> None:
        self.interrupted = threading.Event()
        self._asked: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def take(self, *, wait: bool) -> Iterator[Asked]:
        """Everything asked by now, at least one thing with `wait`. Ends the process at the end."""
        while True:
            try:
                asked = self._asked.get(block=wait)
            except queue.Empty:
                return
            if asked is None:
                raise SystemExit
            yield asked
            wait = False

    def _read(self) -> None:
        for line in sys.stdin:
            told = json.loads(line)
            asked = Asked(told.pop("do"), told.pop("id"), told, time.monotonic())
            self._asked.put(asked)
            if asked.verb == "clear":
                self.interrupted.set()
        self._asked.put(None)
        self.interrupted.set()


Tell = Callable[[Asked, Mapping[str, Any]], None]


def main() -> None:
    """Run one contender until its input ends."""
    # Libraries may print; the answers keep the real standard output for themselves.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def tell(asked: Asked, answer: Mapping[str, Any]) -> None:
        answers.write(json.dumps({"id": asked.number, **answer}) + "\n")

    _KINDS[sys.argv[1]](Inbox(), tell)


def _stock(inbox: Inbox, tell: Tell) -> None:
    from benchmarks.contenders.stock import run

    run(inbox, tell)


def _engine(inbox: Inbox, tell: Tell) -> None:
    from benchmarks.contenders.engine import run

    run(inbox, tell)


_KINDS: Final = {"stock": _stock, "engine": _engine}

if __name__ == "__main__":
    main()

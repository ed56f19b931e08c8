"""The process of a contender that draws: `python -m benchmarks.child stock | engine | grouping`.

It reads commands and writes replies, one JSON object per line. `benchmarks.beside` starts this
module of other checkouts too: name, arguments and lines have to stay as they are.
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
class Command:
    """One line from the parent, and when it arrived by the monotonic clock."""

    verb: str
    number: int
    arguments: Mapping[str, Any]
    received_s: float

    @property
    def wish(self) -> Wish:
        """The picture to draw."""
        return wish_of(self.arguments["wish"])


class Inbox:
    """Reads on a thread of its own, so that commands get their time of arrival."""

    def __init__(self) -> None:
        self.interrupted = threading.Event()
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def take(self, *, wait: bool) -> Iterator[Command]:
        """The commands that have arrived; at least one with `wait`. Exits at the end of input."""
        while True:
            try:
                command = self._commands.get(block=wait)
            except queue.Empty:
                return
            if command is None:
                raise SystemExit
            yield command
            wait = False

    def _read(self) -> None:
        for line in sys.stdin:
            fields = json.loads(line)
            command = Command(fields.pop("do"), fields.pop("id"), fields, time.monotonic())
            self._commands.put(command)
            if command.verb == "clear":
                self.interrupted.set()
        self._commands.put(None)
        self.interrupted.set()


Reply = Callable[[Command, Mapping[str, Any]], None]


def main() -> None:
    """Run one contender until its input ends."""
    # Libraries may print, so only replies get the real standard output.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def reply(command: Command, fields: Mapping[str, Any]) -> None:
        replies.write(json.dumps({"id": command.number, **fields}) + "\n")

    _KINDS[sys.argv[1]](Inbox(), reply)


def _stock(inbox: Inbox, reply: Reply) -> None:
    from benchmarks.contenders.stock import run

    run(inbox, reply)


def _engine(inbox: Inbox, reply: Reply) -> None:
    from benchmarks.contenders.engine import run

    run(inbox, reply)


def _grouping(inbox: Inbox, reply: Reply) -> None:
    from benchmarks.contenders.engine import run
    from benchmarks.contenders.grouping import ByAdapter

    run(inbox, reply, ByAdapter.of)


_KINDS: Final = {"stock": _stock, "engine": _engine, "grouping": _grouping}

if __name__ == "__main__":
    main()

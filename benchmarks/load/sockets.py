"""A cheap closed loop of HTTP callers: `python -m benchmarks.load.sockets`, a process of its own.

It reads a Load as JSON and writes what came of it. Each caller has one keep-alive connection, on
which prepared bytes are sent and the end of a response is found by its Content-Length: about 15 µs
of processor time a request, so that the server under test is what limits the rate.
`python -m benchmarks.load.sockets answer` is the cheapest server there is, for the load's own
ceiling: it writes its port, and gives every request the same answer.
"""

import json
import re
import selectors
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import cycle
from typing import Any, Final

_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_URL: Final = re.compile(rb'"url":"https?://[^/"]+(/[^"]+)"')
_END: Final = b"\r\n\r\n"
_ANSWER: Final = b"HTTP/1.1 202 Accepted\r\ncontent-length: 1000\r\n\r\n" + 1000 * b" "
_BUFFER: Final = 65_536


@dataclass(frozen=True, slots=True)
class Load:
    """So many callers of one address, each with the next of these requests when it has an answer.

    Answers of the first `warm_s` seconds are not counted. `reads_pictures`: an answer is not whole
    before the picture whose URL it has is read too, by the same connection.
    """

    port: int
    callers: int
    requests: Sequence[str]
    for_s: float
    warm_s: float = 0.5
    host: str = "127.0.0.1"
    reads_pictures: bool = False


@dataclass(slots=True)
class Counted:
    """Answers by status, seconds of each, and how long they were counted."""

    took_s: float = 0.0
    cpu_s: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)

    @property
    def summary(self) -> Mapping[str, Any]:
        """Rate in answers a second, latencies in milliseconds."""
        ordered = sorted(self.latencies_s) or [0.0]
        return {
            "rate": len(self.latencies_s) / self.took_s,
            "p50_ms": ordered[len(ordered) // 2] * 1e3,
            "p99_ms": ordered[len(ordered) * 99 // 100] * 1e3,
            "cpu_ms": self.cpu_s * 1e3 / len(ordered),
            "statuses": dict(self.statuses),
        }


class Caller:
    """One connection."""

    def __init__(self, load: Load, requests: Iterator[bytes]) -> None:
        self.socket = socket.create_connection((load.host, load.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests = requests
        self._received = b""
        self._sent_s = 0.0
        self._reads_pictures = load.reads_pictures
        self._is_picture = False  # what comes is one

    def ask(self) -> None:
        """Send the next request."""
        self._received, self._is_picture = b"", False
        self._sent_s = time.perf_counter()
        self.socket.sendall(next(self._requests))

    def read(self) -> tuple[str, float] | None:
        """Status and seconds of the answer once all of it is here. Raises ConnectionError."""
        data = self.socket.recv(_BUFFER)
        if not data:
            raise ConnectionError("The server hung up.")
        self._received += data
        head = self._received.find(_END)
        length = _LENGTH.search(self._received, 0, head + 2) if head >= 0 else None
        if length is None or len(self._received) < head + len(_END) + int(length[1]):
            return None
        status = self._received[9:12].decode()
        if self._reads_pictures and not self._is_picture and (url := _URL.search(self._received)):
            self._received, self._is_picture = b"", True
            self.socket.sendall(b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % url[1])
            return None
        return status, time.perf_counter() - self._sent_s


def drive(load: Load) -> Counted:
    """The closed loop."""
    requests = cycle([text.encode() for text in load.requests])
    counted, ready = Counted(), selectors.DefaultSelector()
    for caller in [Caller(load, requests) for _ in range(load.callers)]:
        ready.register(caller.socket, selectors.EVENT_READ, caller)
        caller.ask()
    begin_s = time.perf_counter() + load.warm_s
    end_s, cpu_s = begin_s + load.for_s, 0.0
    while (now_s := time.perf_counter()) < end_s:
        cpu_s = cpu_s or (time.process_time() if now_s >= begin_s else 0.0)
        for key, _ in ready.select(timeout=end_s - now_s):
            if answer := key.data.read():
                if cpu_s:
                    counted.statuses[answer[0]] += 1
                    counted.latencies_s.append(answer[1])
                key.data.ask()
    counted.took_s, counted.cpu_s = time.perf_counter() - begin_s, time.process_time() - cpu_s
    return counted


def answer() -> None:
    """Serve the same answer to every request, until the standard input ends."""
    ready, listener = selectors.DefaultSelector(), socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    ready.register(listener, selectors.EVENT_READ)
    ready.register(sys.stdin, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            if key.fileobj is sys.stdin:
                return
            if key.fileobj is listener:
                ready.register(listener.accept()[0], selectors.EVENT_READ)
            elif isinstance(key.fileobj, socket.socket):
                try:
                    if key.fileobj.recv(_BUFFER):
                        key.fileobj.sendall(_ANSWER)
                        continue
                except ConnectionError:
                    pass  # the load is over
                ready.unregister(key.fileobj)


def command(load: Load) -> str:
    """The line that starts this load."""
    return json.dumps(asdict(load))


def main() -> None:
    """Drive the load that the standard input describes, or `answer`."""
    if sys.argv[1:] == ["answer"]:
        answer()
    else:
        print(json.dumps(drive(Load(**json.loads(sys.stdin.read()))).summary))


if __name__ == "__main__":
    main()

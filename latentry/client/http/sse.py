"""A parser of server-sent events, without I/O."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event. `id` is the last one seen in the stream, as the standard says."""

    event: str
    data: str
    id: str | None


@dataclass(slots=True)
class SseParser:
    """The line protocol of the WHATWG HTML standard, section 9.2.6; `retry` is ignored."""

    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )
    _rest: str = ""
    _event: str = ""
    _data: list[str] = field(default_factory=list)
    _id: str | None = None

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Take the next bytes; yield the events that they complete."""
        self._rest += self._decoder.decode(chunk)
        # A CR at the very end may be half of a CRLF: it is kept until the next bytes arrive.
        whole = self._rest.removesuffix("\r")
        lines = whole.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = lines.pop() + self._rest[len(whole) :]
        for line in lines:
            if line:
                self._field(line)
            elif self._data:
                yield ServerSentEvent(self._event or "message", "\n".join(self._data), self._id)
                self._event, self._data = "", []
            else:
                self._event = ""

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value

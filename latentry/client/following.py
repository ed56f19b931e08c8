"""Following a job's events across dropped connections, without I/O."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import httpx
from pydantic import ValidationError

from latentry.client import api_calls
from latentry.client.api_calls import ApiCall
from latentry.client.retries import Outcome, Retries, error_of
from latentry.client.sse import ServerSentEvent, SseParser
from latentry.contracts import Event

# The service pings an idle stream every 15 s; three missed ones are a dead connection.
SILENCE_S: Final = 45


@dataclass(slots=True)
class Following:
    """Which stream to open next, what its bytes mean, and when there is no more to come."""

    job_id: str
    retries: Retries
    last_event_id: str | None = None
    ended: bool = False
    pause_s: float = 0.0
    _parser: SseParser = field(default_factory=SseParser)
    _failures: int = 0

    @property
    def call(self) -> ApiCall[None]:
        """The stream from where the last one broke off."""
        return api_calls.events(self.job_id, self.last_event_id, SILENCE_S)

    def opened(self, response: httpx.Response) -> None:
        """The service answers: with a stream, or that nothing follows what was seen already."""
        self.ended = response.status_code == httpx.codes.NO_CONTENT

    def broke(self, outcome: Outcome) -> None:
        """The stream did not open, or did not last: pause, or raise if that was once too often."""
        self._parser = SseParser()
        self._failures += 1
        pause_s = self.retries.pause_s(self._failures, outcome)
        if pause_s is None:
            raise error_of(outcome)
        self.pause_s = pause_s

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Take the next bytes; give the events that they complete."""
        self._failures = 0
        for heard in self._parser.feed(chunk):
            self.last_event_id = heard.id or self.last_event_id
            event = _event_of(heard)
            if event:
                self.ended = event.type.is_terminal
                yield event
            if self.ended:
                return


def cut_short(request: httpx.Request) -> httpx.TransportError:
    """What it comes to when a stream closes in good order, yet before the job's end."""
    return httpx.RemoteProtocolError("the event stream ended before the job", request=request)


def _event_of(heard: ServerSentEvent) -> Event | None:
    try:
        return Event.model_validate_json(heard.data)
    except ValidationError:
        return None  # a kind of event that a newer service tells and we do not know

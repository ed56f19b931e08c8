"""Following a job's events across dropped connections, without I/O."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import httpx
from pydantic import ValidationError

from latentry.client import api_calls
from latentry.client.api_calls import AnyJob, ApiCall
from latentry.client.errors import ApiError
from latentry.client.http.sse import ServerSentEvent, SseParser
from latentry.client.results import Event, Source
from latentry.client.retries import Endurance, Outcome, Retries, error_of

# The service pings an idle stream every 15 s; three missed pings mean a dead connection.
SILENCE_S: Final = 45


@dataclass(slots=True)
class Following:
    """The state of following one job: which stream to open next, and whether it has ended."""

    job_id: AnyJob
    retries: Retries
    last_event_id: str | None = None
    ended: bool = False
    pause_s: float = 0.0
    _source: Source = field(default_factory=Source)
    _response: httpx.Response | None = None
    _parser: SseParser = field(default_factory=SseParser)
    _endurance: Endurance = field(init=False)

    def __post_init__(self) -> None:
        self._endurance = Endurance(self.retries)

    @property
    def call(self) -> ApiCall[None]:
        """The call that opens the stream where the last one ended."""
        return api_calls.events(self.job_id, self.last_event_id, SILENCE_S)

    def opened(self, response: httpx.Response, source: Source) -> None:
        """The service responded: with a stream, or with 204 if there are no more events.

        source: what the images of its events are read with.
        """
        self._source, self._response = source, response
        self.ended = response.status_code == httpx.codes.NO_CONTENT

    def failed(self, outcome: Outcome) -> None:
        """The stream did not open or was interrupted: pause, or raise when no retry is left."""
        self._parser = SseParser()
        pause_s = self._endurance.pause_s(outcome)
        if pause_s is None:
            raise error_of(outcome)
        self.pause_s = pause_s

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Take the next bytes; yield the events that they complete.

        Raises ApiError for one that is no JSON: to read on would lose what it said.
        """
        self._endurance.responded()
        for received in self._parser.feed(chunk):
            self.last_event_id = received.id or self.last_event_id
            event = self._event_of(received)
            if event:
                self.ended = event.type.is_terminal
                yield event
            if self.ended:
                return

    def _event_of(self, received: ServerSentEvent) -> Event | None:
        try:
            return Event.model_validate_json(received.data, context=self._source)
        except ValidationError as error:
            if self._response is None or error.errors()[0]["type"] != "json_invalid":
                return None  # an event type of a newer service
            raise ApiError.foreign(self._response) from error


def is_stream(response: httpx.Response) -> bool:
    """Whether it is a job's events, or says that there are no more; else it may be a proxy's page.

    Such a page would end as a stream does that was cut, and be asked for again without end.
    """
    if response.status_code == httpx.codes.NO_CONTENT:
        return True
    kind: str = response.headers.get("Content-Type", "")
    return response.is_success and kind.partition(";")[0].strip().lower() == "text/event-stream"


def cut_short(request: httpx.Request) -> httpx.TransportError:
    """The error of a stream that was closed properly, but before the job's end."""
    return httpx.RemoteProtocolError("the event stream ended before the job", request=request)

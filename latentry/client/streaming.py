"""Jobs followed step by step, for both clients."""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Final, Unpack

from latentry.client import api_calls
from latentry.client.api_calls import AnyJob
from latentry.client.errors import JobDidNotSucceed
from latentry.client.fields import Fields, request_of
from latentry.client.following import Following
from latentry.client.http.connections import AsyncConnection, Connection
from latentry.client.pictures import images_read
from latentry.client.results import Event
from latentry.contracts import JobStatus

_WANTED: Final = Fields(preview_interval=1)


class Streaming(Connection):
    """What a client does while a job runs."""

    def stream(
        self,
        prompt: str | None = None,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[Fields],
    ) -> Iterator[Event]:
        """Submit a job and follow it: its steps, previews and images, then `succeeded`.

        A preview is asked for after each step; `preview_interval` says otherwise, and 0 where the
        model has none. The job goes on if nobody follows it any more. Raises what `generate` does.
        """
        request = request_of(prompt, _WANTED | fields)
        job = self._call(api_calls.submit(request, idempotency_key))
        for event in self._follow(Following(job, self._retries)):
            yield _of_success(event)

    def events(self, job_id: AnyJob, *, last_event_id: str | None = None) -> Iterator[Event]:
        """The events of the job until its end; reconnects after dropped connections."""
        yield from self._follow(Following(job_id, self._retries, last_event_id))


class AsyncStreaming(AsyncConnection):
    """What an asyncio client does while a job runs."""

    async def stream(
        self,
        prompt: str | None = None,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[Fields],
    ) -> AsyncIterator[Event]:
        """Submit a job and follow it: its steps, previews and images, then `succeeded`.

        A preview is asked for after each step; `preview_interval` says otherwise, and 0 where the
        model has none. The job goes on if nobody follows it any more. Raises what `generate` does.
        """
        request = request_of(prompt, await images_read(_WANTED | fields))
        job = await self._call(api_calls.submit(request, idempotency_key))
        async with aclosing(self._follow(Following(job, self._retries))) as events:
            async for event in events:
                yield _of_success(event)

    async def events(
        self, job_id: AnyJob, *, last_event_id: str | None = None
    ) -> AsyncIterator[Event]:
        """The events of the job until its end; reconnects after dropped connections."""
        following = Following(job_id, self._retries, last_event_id)
        async with aclosing(self._follow(following)) as events:
            async for event in events:
                yield event


def _of_success(event: Event) -> Event:
    """The event, unless it is the end of a job that did not succeed. Raises JobDidNotSucceed."""
    if event.job and event.job.status is not JobStatus.SUCCEEDED:
        raise JobDidNotSucceed(event.job)
    return event

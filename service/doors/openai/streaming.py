"""A job as OpenAI's server-sent events, from its place in the queue to its end."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

import structlog
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from latentry.contracts import EventType, JobStatus, StoredOutput
from latentry.errors import JobNotFound, LatentryError, ShuttingDown, Unavailable
from latentry.ledger import JobRecord, JobUpdate, LedgerEvent, PreviewUpdate, commands
from service.doors.encoded import pieces, read
from service.doors.ends import failed
from service.doors.openai.encoded import around_pictures
from service.doors.openai.errors import StreamError, fault_of
from service.doors.openai.responses import completed_image, partial_image
from service.doors.openai.wanted import Wanted
from service.doors.patience import with_pauses
from service.gateway import Gateway
from service.jobs.subscription import Subscription

log = structlog.get_logger()

KEEPALIVE_S: Final = 15.0
_HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class ImageStream(StreamingResponse):
    """The events of one job. `keep`: it is not canceled if the client leaves."""

    def __init__(self, gateway: Gateway, record: JobRecord, wanted: Wanted, *, keep: bool) -> None:
        self._subscription = Subscription()
        self._gateway = gateway
        self._record = record
        self._wanted = wanted
        self._keep = keep
        self._has_left = False
        self._shown = Counter[int]()  # partial images, by image
        self._sent = set[int]()
        headers = _HEADERS | dict(wanted.headers)
        super().__init__(self._events(), headers=headers, media_type="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until the job ends or the client leaves; then cancel it, unless `keep`.

        Nothing is canceled here but the job: the subscription is closed, and its reader returns.
        """
        leaving = asyncio.create_task(_disconnected(receive))
        leaving.add_done_callback(self._leave)
        try:
            await self.stream_response(send)
        finally:
            leaving.cancel()
            self._subscription.close()
            if not self._keep:
                await self._cancel()

    def _leave(self, _: object) -> None:
        self._has_left = True
        self._subscription.close()

    async def _cancel(self) -> None:
        if not self._record.state.is_terminal:
            try:
                await self._gateway.ledger.run(commands.cancel(self._record.ref))
            except LatentryError as error:
                log.warning("stream.not_canceled", job=self._record.ref.id, code=error.code)

    async def _events(self) -> AsyncIterator[bytes]:
        hub, ref = self._gateway.event_hub, self._record.ref
        updates = with_pauses(hub.follow(ref, expected=self._subscription), KEEPALIVE_S)
        try:
            async with aclosing(updates):
                async for update in updates:
                    async for piece in self._event(update):
                        yield piece
            if not (self._record.state.is_terminal or self._has_left):
                raise ShuttingDown if self._gateway.is_stopping else JobNotFound
        except LatentryError as error:  # too late for a status
            log.info("stream.failed", job=ref.id, code=error.code)
            yield _event("error", StreamError(error=fault_of(error)).model_dump_json().encode())

    async def _event(self, update: JobUpdate | None) -> AsyncIterator[bytes]:
        if update is None:
            yield await self._comment()
        elif isinstance(update, PreviewUpdate):
            if event := self._partial(update):
                yield event
        elif isinstance(update, LedgerEvent):
            async for piece in self._durable(update):
                yield piece

    async def _durable(self, event: LedgerEvent) -> AsyncIterator[bytes]:
        if event.type is EventType.QUEUED:
            yield f": queued, {event.data.get('position', 0)} before it\n\n".encode()
        elif event.type is EventType.RUNNING:
            yield b": running\n\n"
        elif event.type is EventType.IMAGE:
            async for piece in self._completed(StoredOutput.model_validate(event.data)):
                yield piece
        elif event.type.is_terminal:
            async for piece in self._end():
                yield piece

    async def _end(self) -> AsyncIterator[bytes]:
        self._record = await self._gateway.record(self._record.ref)
        if self._record.state is not JobStatus.SUCCEEDED:
            raise failed(self._record)
        for image in self._record.images:
            async for piece in self._completed(image):
                yield piece

    def _partial(self, update: PreviewUpdate) -> bytes | None:
        index, picture = update.preview.index, update.preview.url.partition(",")[2]
        number = self._shown[index]
        if index in self._sent or number >= self._wanted.partial_images:
            return None
        self._shown[index] += 1
        body = partial_image(self._record, self._wanted, number=number, index=index)
        before, after = around_pictures(body)
        return _event(body.type, before + picture.encode() + after)

    async def _completed(self, image: StoredOutput) -> AsyncIterator[bytes]:
        if image.index in self._sent:
            return
        self._sent.add(image.index)
        body = completed_image(self._record, self._wanted, index=image.index, seed=image.seed)
        before, after = around_pictures(body)
        picture = await read(self._gateway.storage, image)
        yield _event(body.type, before).rstrip()
        for piece in pieces(picture):
            yield piece
        yield after + b"\n\n"

    async def _comment(self) -> bytes:
        """That the client still waits, and for what."""
        try:
            record = await self._gateway.record(self._record.ref)
        except Unavailable:  # the ledger may be back at the next one
            return b": waiting\n\n"
        if record.state is not JobStatus.QUEUED:
            return b": running\n\n"
        return f": queued, {record.position or 0} before it\n\n".encode()


def _event(name: str, data: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

"""Ledger records as API objects. URLs are signed at each read, so they are never stale."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from latentry.contracts import (
    Event,
    EventType,
    Image,
    Job,
    JobUrls,
    Output,
    StoredOutput,
)
from latentry.ledger import JobRecord, JobUpdate, PreviewUpdate, StepUpdate
from latentry.settings import Settings
from latentry.storage import Storage

_MANY_OUTPUTS: Final = 200  # more would hold up the event loop


@dataclass(frozen=True, slots=True)
class Views:
    """Makes API objects of records. Raises StorageUnavailable if it cannot sign a URL."""

    settings: Settings
    storage: Storage

    def url(self, job_id: str) -> str:
        """A job's absolute URL."""
        return f"{self.settings.base_url}/v1/generations/{job_id}"

    async def job(self, record: JobRecord) -> Job:
        """One job."""
        return (await self.jobs([record]))[0]

    async def jobs(self, records: Sequence[JobRecord]) -> list[Job]:
        """Several jobs, their URLs signed in one thread if that may wait or take long."""
        outputs = sum(len(record.outputs) for record in records)
        if outputs > (0 if self.storage.is_remote else _MANY_OUTPUTS):
            return await asyncio.to_thread(lambda: [self._job(record) for record in records])
        return [self._job(record) for record in records]

    async def event(self, update: JobUpdate, record: JobRecord | None) -> Event:
        """One event. `record` is that of terminal events, which carry the whole job."""
        if isinstance(update, StepUpdate):
            return Event(type=EventType.STEP, progress=update.progress)
        if isinstance(update, PreviewUpdate):
            return Event(type=EventType.PREVIEW, preview=update.preview)
        if update.type in (EventType.IMAGE, EventType.OUTPUT):
            stored = StoredOutput.model_validate(update.data)
            output = await asyncio.to_thread(self._output, stored)
            if update.type is EventType.OUTPUT:
                return Event(type=update.type, id=update.id, output=output)
            return Event(type=update.type, id=update.id, image=_image(output))
        job = await self.job(record) if record else None
        return Event(type=update.type, id=update.id, position=update.data.get("position"), job=job)

    def _job(self, record: JobRecord) -> Job:
        url = self.url(record.ref.id)
        outputs = [self._output(one) for one in record.outputs if one.text is None]
        return Job(
            id=record.ref.id,
            kind=record.request.kind,
            status=record.state,
            request=record.request,
            images=[_image(one) for one in outputs if one.kind.is_final and one.error is None],
            outputs=outputs,
            caption=next((one.text for one in record.outputs if one.text is not None), None),
            error=record.error,
            warnings=list(record.warnings),
            progress=record.progress,
            priority=record.priority,
            cost=record.price.cost,
            queue_position=record.position,
            estimated_start_at=time_of(record.start_ms),
            finish_by=time_of(record.finish_by_ms),
            queue_ms=record.queue_ms,
            run_ms=record.run_ms,
            created_at=_time(record.created_ms),
            started_at=time_of(record.started_ms),
            finished_at=time_of(record.finished_ms),
            urls=JobUrls(self=url, events=f"{url}/events", cancel=f"{url}/cancel"),
        )

    def _output(self, stored: StoredOutput) -> Output:
        url = self.storage.url(stored.key, self.settings.url_ttl_s) if stored.key else ""
        return Output(
            **stored.model_dump(exclude={"key", "is_charged", "applied", "signed_sha256", "text"}),
            url=url,
        )


def _image(output: Output) -> Image:
    return Image(**output.model_dump(exclude={"name", "kind", "step", "error"}))


def time_of(unix_ms: int | None) -> datetime | None:
    """A Unix time of the ledger's clock in milliseconds as a datetime; None for None."""
    return None if unix_ms is None else _time(unix_ms)


def _time(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1000, UTC)

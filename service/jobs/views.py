"""Records as clients see them. URLs are signed here, at read time: a polled one is never stale."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from latentry.contracts import Event, EventType, Image, Job, JobUrls, StoredOutput
from latentry.ledger import JobRecord, JobUpdate, PreviewUpdate, StepUpdate
from latentry.settings import Settings
from latentry.storage import Storage


@dataclass(frozen=True, slots=True)
class Views:
    """Turns what the ledger says into contracts. Raises StorageUnavailable if it cannot sign."""

    settings: Settings
    storage: Storage

    def url(self, job_id: str) -> str:
        """A job's address."""
        return f"{self.settings.base_url}/v1/generations/{job_id}"

    async def job(self, record: JobRecord) -> Job:
        """One job."""
        return (await self.jobs([record]))[0]

    async def jobs(self, records: Sequence[JobRecord]) -> list[Job]:
        """Several, signed in one go."""
        if any(record.images for record in records):
            return await asyncio.to_thread(lambda: [self._job(record) for record in records])
        return [self._job(record) for record in records]

    async def event(self, news: JobUpdate, record: JobRecord | None) -> Event:
        """One event; the record is for the terminal ones, which carry the whole job."""
        if isinstance(news, StepUpdate):
            return Event(type=EventType.STEP, progress=news.progress)
        if isinstance(news, PreviewUpdate):
            return Event(type=EventType.PREVIEW, preview=news.preview)
        if news.type is EventType.IMAGE:
            stored = StoredOutput.model_validate(news.data)
            image = await asyncio.to_thread(self._image, stored)
            return Event(type=news.type, id=news.id, image=image)
        job = await self.job(record) if record else None
        return Event(type=news.type, id=news.id, position=news.data.get("position"), job=job)

    def _job(self, record: JobRecord) -> Job:
        url = self.url(record.ref.id)
        return Job(
            id=record.ref.id,
            status=record.state,
            request=record.request,
            images=[self._image(image) for image in record.images],
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

    def _image(self, stored: StoredOutput) -> Image:
        url = self.storage.url(stored.key, self.settings.url_ttl_s)
        return Image(**stored.model_dump(exclude={"key", "name", "kind"}), url=url)


def time_of(unix_ms: int | None) -> datetime | None:
    """A time of the ledger's clock for clients, if there is one."""
    return None if unix_ms is None else _time(unix_ms)


def _time(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1000, UTC)

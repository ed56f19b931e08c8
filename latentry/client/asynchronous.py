"""The client for asyncio."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import date
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import httpx

from latentry.client import api_calls, flows
from latentry.client.fields import (
    Fields,
    InterpolationFields,
    Keyframe,
    interpolation_of,
    request_of,
)
from latentry.client.filters import Filters
from latentry.client.following import Following
from latentry.client.many_jobs import AsyncManyJobs
from latentry.client.pictures import Source, picture_bytes
from latentry.client.saving import opened, targets
from latentry.client.sequences.clips import AsyncClips
from latentry.client.uploads import AsyncUploads
from latentry.client.upscales import AsyncUpscales
from latentry.client.verifying import AsyncVerifying
from latentry.contracts import (
    AdapterList,
    Delivery,
    DeliveryList,
    Estimate,
    Event,
    File,
    Image,
    Job,
    JobList,
    ModelList,
    StyleList,
    UsageList,
)
from latentry.contracts.catalogue.capabilities import Capabilities

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage


class AsyncClient(AsyncManyJobs, AsyncUpscales, AsyncClips, AsyncUploads, AsyncVerifying):
    """A client of a latentry service for asyncio. Its methods are those of Client."""

    async def generate(
        self,
        prompt: str | None = None,
        *,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        **fields: Unpack[Fields],
    ) -> Job:
        """Submit a job and wait until it has succeeded.

        `timeout_s` bounds the wait in seconds; by default it has no bound. Raises InvalidRequest,
        ApiError, Unreachable, JobDidNotSucceed, or StillRunning when the time is over.
        """
        key = idempotency_key or uuid.uuid4().hex
        request = request_of(prompt, fields)
        return await self._run(flows.generated(request, key, timeout_s, self._retries))

    async def submit(
        self,
        prompt: str | None = None,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[Fields],
    ) -> Job:
        """Submit a job and return it at once.

        A repeat with the same `idempotency_key` returns the same job. Raises InvalidRequest,
        ApiError or Unreachable.
        """
        key = idempotency_key or uuid.uuid4().hex
        return await self._call(api_calls.submit(request_of(prompt, fields), key))

    async def interpolate(
        self,
        first: Keyframe,
        last: Keyframe,
        frames: int,
        *,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        **fields: Unpack[InterpolationFields],
    ) -> Job:
        """Submit a job of frames from one picture to another, and wait until it has succeeded.

        A picture is given as a mapping of a request's fields, or as the request of a job. Raises as
        `generate`.
        """
        key = idempotency_key or uuid.uuid4().hex
        request = interpolation_of(first, last, frames, fields)
        return await self._run(flows.generated(request, key, timeout_s, self._retries))

    async def submit_interpolation(
        self,
        first: Keyframe,
        last: Keyframe,
        frames: int,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[InterpolationFields],
    ) -> Job:
        """Submit a job as `interpolate` does, and return it at once. Raises as `submit`."""
        key = idempotency_key or uuid.uuid4().hex
        request = interpolation_of(first, last, frames, fields)
        return await self._call(api_calls.submit(request, key))

    async def estimate_interpolation(
        self, first: Keyframe, last: Keyframe, frames: int, **fields: Unpack[InterpolationFields]
    ) -> Estimate:
        """The cost and the estimated start of an interpolation. Raises as `estimate`."""
        request = interpolation_of(first, last, frames, fields)
        return await self._call(api_calls.estimate(request))

    async def estimate(self, prompt: str | None = None, **fields: Unpack[Fields]) -> Estimate:
        """The cost and the estimated start of a request. Raises ApiError if it would be refused."""
        return await self._call(api_calls.estimate(request_of(prompt, fields)))

    async def get(self, job_id: Job | str) -> Job:
        """The job in its current state."""
        return await self._call(api_calls.get(job_id))

    async def list(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        count: bool = False,
        **filters: Unpack[Filters],
    ) -> JobList:
        """One page of jobs that match, newest first; with `count` also how many do."""
        return await self._call(api_calls.listing(limit, cursor, filters, count=count))

    async def list_all(self, **filters: Unpack[Filters]) -> AsyncIterator[Job]:
        """All jobs of the tenant that match, newest first, read page by page."""
        cursor: str | None = None
        while True:
            page = await self._call(api_calls.listing(100, cursor, filters))
            for job in page:
                yield job
            cursor = page.next_cursor
            if cursor is None:
                return

    async def wait(self, job_id: Job | str, *, timeout_s: float | None = None) -> Job:
        """The job at its end, successful or not.

        It outlasts restarts of the service. After `timeout_s` seconds it raises StillRunning, or
        Unreachable or ApiError if the service does not respond.
        """
        return await self._run(flows.ended(job_id, timeout_s, self._retries))

    async def cancel(self, job_id: Job | str) -> Job:
        """Cancel the job, if it has not ended yet."""
        return await self._call(api_calls.cancel(job_id))

    async def delete(self, job_id: Job | str) -> None:
        """Delete the job and its images."""
        await self._call(api_calls.delete(job_id))

    async def deliveries(self, job_id: Job | str) -> DeliveryList:
        """The deliveries of the job's webhook, with their attempts."""
        return await self._call(api_calls.deliveries(job_id))

    async def redeliver(self, job_id: Job | str, delivery_id: str) -> Delivery:
        """Send a notification again, under the same id."""
        return await self._call(api_calls.redeliver(job_id, delivery_id))

    async def capabilities(self) -> Capabilities:
        """What the service can do: kinds of jobs, modes of its models, formats, limits."""
        return await self._call(api_calls.capabilities())

    async def models(self) -> ModelList:
        """The models of the service and their limits."""
        return await self._call(api_calls.models())

    async def adapters(self) -> AdapterList:
        """The LoRAs that a request may name."""
        return await self._call(api_calls.adapters())

    async def styles(self) -> StyleList:
        """The styles that a request may name."""
        return await self._call(api_calls.styles())

    async def usage(self, first: date | None = None, last: date | None = None) -> UsageList:
        """The usage of the API key by day (UTC), inclusive; by default the last 30 days."""
        return await self._call(api_calls.usage(first, last))

    async def upload(self, picture: Source) -> File:
        """Upload a PNG, JPEG or WebP picture; it expires after a time.

        Given as a path, bytes, a file opened with `rb`, or an image of Pillow's. Raises OSError.
        """
        return await self._call(api_calls.upload(await asyncio.to_thread(picture_bytes, picture)))

    async def delete_file(self, file_id: str) -> None:
        """Delete an uploaded picture."""
        await self._call(api_calls.delete_file(file_id))

    async def download(self, image: Image | str) -> bytes:
        """The encoded bytes of an image or another output, given as such or by its URL."""
        return await self._call(api_calls.download(image if isinstance(image, str) else image.url))

    async def save(
        self, what: Job | Image | str, path: str | PathLike[str] | None = None
    ) -> Sequence[Path]:
        """Save the images of a job, or one by itself or by its URL; the files.

        `path` is a file or a directory; the images of one job are numbered, and a clip is saved
        instead of its frames. Raises OSError.
        """
        saved = []
        for url, target in targets(what, path):
            data = await self.download(url)
            await asyncio.to_thread(target.write_bytes, data)
            saved.append(target)
        return saved

    async def pil(self, image: Image | str) -> "PillowImage":
        """An image, opened by Pillow. Raises ConfigurationError if Pillow is not installed."""
        return opened(await self.download(image))

    async def events(
        self, job_id: Job | str, *, last_event_id: str | None = None
    ) -> AsyncIterator[Event]:
        """The events of the job until its end; reconnects after dropped connections."""
        following = Following(job_id, self._retries, last_event_id)
        while not following.ended:
            await asyncio.sleep(following.pause_s)
            try:
                async with aclosing(self._listen(following)) as events:
                    async for event in events:
                        yield event
            except httpx.RequestError as error:
                following.failed(error)

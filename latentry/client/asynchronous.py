"""The client for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from latentry.client import api_calls, flows
from latentry.client.api_calls import AnyJob
from latentry.client.catalogue import AsyncCatalogue
from latentry.client.fields import Fields, request_of
from latentry.client.filters import Filters
from latentry.client.many_jobs import AsyncManyJobs
from latentry.client.pictures import images_read
from latentry.client.pictures.captions import AsyncCaptions
from latentry.client.pictures.controls import AsyncControls
from latentry.client.pictures.files import AsyncFiles
from latentry.client.pictures.upscales import AsyncUpscales
from latentry.client.pictures.verifying import AsyncVerifying
from latentry.client.results import Job, JobList
from latentry.client.saving import opened, targets
from latentry.client.sequences.clips import AsyncClips
from latentry.client.sequences.interpolations import AsyncInterpolations
from latentry.client.streaming import AsyncStreaming
from latentry.contracts import Delivery, DeliveryList, Estimate, File, Image

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage


class AsyncClient(
    AsyncManyJobs,
    AsyncStreaming,
    AsyncInterpolations,
    AsyncClips,
    AsyncUpscales,
    AsyncControls,
    AsyncCaptions,
    AsyncFiles,
    AsyncVerifying,
    AsyncCatalogue,
):
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
        request = request_of(prompt, await images_read(fields))
        return await self._run(flows.generated(request, idempotency_key, timeout_s, self._retries))

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
        return await self._call(
            api_calls.submit(request_of(prompt, await images_read(fields)), idempotency_key)
        )

    async def estimate(self, prompt: str | None = None, **fields: Unpack[Fields]) -> Estimate:
        """The cost and the estimated start of a request. Raises ApiError if it would be refused."""
        return await self._call(api_calls.estimate(request_of(prompt, await images_read(fields))))

    async def get(self, job_id: AnyJob) -> Job:
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

    async def wait(self, job_id: AnyJob, *, timeout_s: float | None = None) -> Job:
        """The job at its end, successful or not.

        It outlasts restarts of the service. After `timeout_s` seconds it raises StillRunning, or
        Unreachable or ApiError if the service does not respond.
        """
        return await self._run(flows.ended(job_id, timeout_s, self._retries))

    async def cancel(self, job_id: AnyJob) -> Job:
        """Cancel the job, if it has not ended yet."""
        return await self._call(api_calls.cancel(job_id))

    async def delete(self, job_id: AnyJob) -> None:
        """Delete the job and its images."""
        await self._call(api_calls.delete(job_id))

    async def deliveries(self, job_id: AnyJob) -> DeliveryList:
        """The deliveries of the job's webhook, with their attempts."""
        return await self._call(api_calls.deliveries(job_id))

    async def redeliver(self, job_id: AnyJob, delivery_id: str) -> Delivery:
        """Send a notification again, under the same id."""
        return await self._call(api_calls.redeliver(job_id, delivery_id))

    async def download(self, image: Image | File | str) -> bytes:
        """The encoded bytes of an image, another output, or an uploaded file, or of a URL of one.

        An image that came in a job is read though its URL has expired.
        """
        if isinstance(image, Image):
            return await self._run(flows.image_bytes(image, self._retries))
        url = image if isinstance(image, str) else api_calls.file_path(image, "/content")
        return await self._call(api_calls.download(url))

    async def save(
        self, what: Job | Image | str, path: str | PathLike[str] | None = None
    ) -> Sequence[Path]:
        """Save the images of a job, or one by itself or by its URL; the files.

        `path` is a file or a directory; the images of one job are numbered, and a clip is saved
        instead of its frames. Raises OSError.
        """
        saved = []
        for image, target in targets(what, path):
            await asyncio.to_thread(target.write_bytes, await self.download(image))
            saved.append(target)
        return saved

    async def pil(self, image: Image | File | str) -> "PillowImage":
        """An image, opened by Pillow. Raises ConfigurationError if Pillow is not installed."""
        return opened(await self.download(image))

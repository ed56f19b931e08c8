"""The blocking client."""

import time
import uuid
from collections.abc import Iterator, Sequence
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
from latentry.client.many_jobs import ManyJobs
from latentry.client.pictures import Source, picture_bytes
from latentry.client.saving import opened, targets
from latentry.client.sequences.clips import Clips
from latentry.client.uploads import Uploads
from latentry.client.upscales import Upscales
from latentry.client.verifying import Verifying
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


class Client(ManyJobs, Upscales, Clips, Uploads, Verifying):
    """A blocking client of a latentry service.

    `timeout_s` bounds each response in seconds. Where a method takes a job's id, it takes the job
    as well. Every method raises ApiError when the service refuses the call and Unreachable when it
    does not respond after all retries.
    """

    def generate(
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
        return self._run(flows.generated(request, key, timeout_s, self._retries))

    def submit(
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
        return self._call(api_calls.submit(request_of(prompt, fields), key))

    def interpolate(
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
        return self._run(flows.generated(request, key, timeout_s, self._retries))

    def submit_interpolation(
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
        return self._call(api_calls.submit(request, key))

    def estimate_interpolation(
        self, first: Keyframe, last: Keyframe, frames: int, **fields: Unpack[InterpolationFields]
    ) -> Estimate:
        """The cost and the estimated start of an interpolation. Raises as `estimate`."""
        request = interpolation_of(first, last, frames, fields)
        return self._call(api_calls.estimate(request))

    def estimate(self, prompt: str | None = None, **fields: Unpack[Fields]) -> Estimate:
        """The cost and the estimated start of a request. Raises ApiError if it would be refused."""
        return self._call(api_calls.estimate(request_of(prompt, fields)))

    def get(self, job_id: Job | str) -> Job:
        """The job in its current state."""
        return self._call(api_calls.get(job_id))

    def list(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        count: bool = False,
        **filters: Unpack[Filters],
    ) -> JobList:
        """One page of jobs that match, newest first; with `count` also how many do."""
        return self._call(api_calls.listing(limit, cursor, filters, count=count))

    def list_all(self, **filters: Unpack[Filters]) -> Iterator[Job]:
        """All jobs of the tenant that match, newest first, read page by page."""
        cursor: str | None = None
        while True:
            page = self._call(api_calls.listing(100, cursor, filters))
            yield from page
            cursor = page.next_cursor
            if cursor is None:
                return

    def wait(self, job_id: Job | str, *, timeout_s: float | None = None) -> Job:
        """The job at its end, successful or not.

        It outlasts restarts of the service. After `timeout_s` seconds it raises StillRunning, or
        Unreachable or ApiError if the service does not respond.
        """
        return self._run(flows.ended(job_id, timeout_s, self._retries))

    def cancel(self, job_id: Job | str) -> Job:
        """Cancel the job, if it has not ended yet."""
        return self._call(api_calls.cancel(job_id))

    def delete(self, job_id: Job | str) -> None:
        """Delete the job and its images."""
        self._call(api_calls.delete(job_id))

    def deliveries(self, job_id: Job | str) -> DeliveryList:
        """The deliveries of the job's webhook, with their attempts."""
        return self._call(api_calls.deliveries(job_id))

    def redeliver(self, job_id: Job | str, delivery_id: str) -> Delivery:
        """Send a notification again, under the same id."""
        return self._call(api_calls.redeliver(job_id, delivery_id))

    def capabilities(self) -> Capabilities:
        """What the service can do: kinds of jobs, modes of its models, formats, limits."""
        return self._call(api_calls.capabilities())

    def models(self) -> ModelList:
        """The models of the service and their limits."""
        return self._call(api_calls.models())

    def adapters(self) -> AdapterList:
        """The LoRAs that a request may name."""
        return self._call(api_calls.adapters())

    def styles(self) -> StyleList:
        """The styles that a request may name."""
        return self._call(api_calls.styles())

    def usage(self, first: date | None = None, last: date | None = None) -> UsageList:
        """The usage of the API key by day (UTC), inclusive; by default the last 30 days."""
        return self._call(api_calls.usage(first, last))

    def upload(self, picture: Source) -> File:
        """Upload a PNG, JPEG or WebP picture; it expires after a time.

        Given as a path, bytes, a file opened with `rb`, or an image of Pillow's. Raises OSError.
        """
        return self._call(api_calls.upload(picture_bytes(picture)))

    def delete_file(self, file_id: str) -> None:
        """Delete an uploaded picture."""
        self._call(api_calls.delete_file(file_id))

    def download(self, image: Image | str) -> bytes:
        """The encoded bytes of an image or another output, given as such or by its URL."""
        return self._call(api_calls.download(image if isinstance(image, str) else image.url))

    def save(
        self, what: Job | Image | str, path: str | PathLike[str] | None = None
    ) -> Sequence[Path]:
        """Save the images of a job, or one by itself or by its URL; the files.

        `path` is a file or a directory; the images of one job are numbered, and a clip is saved
        instead of its frames. Raises OSError.
        """
        saved = []
        for url, target in targets(what, path):
            target.write_bytes(self.download(url))
            saved.append(target)
        return saved

    def pil(self, image: Image | str) -> "PillowImage":
        """An image, opened by Pillow. Raises ConfigurationError if Pillow is not installed."""
        return opened(self.download(image))

    def events(self, job_id: Job | str, *, last_event_id: str | None = None) -> Iterator[Event]:
        """The events of the job until its end; reconnects after dropped connections."""
        following = Following(job_id, self._retries, last_event_id)
        while not following.ended:
            time.sleep(following.pause_s)
            try:
                yield from self._listen(following)
            except httpx.RequestError as error:
                following.failed(error)

"""The blocking client."""

import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from typing import Self, TypeVar, Unpack

import httpx

from latentry.client import api_calls, flows
from latentry.client.address import Address
from latentry.client.fields import Fields, Picture, UpscaleFields, request_of, upscale_of
from latentry.client.flows import Flow, Pause
from latentry.client.following import Following, cut_short
from latentry.client.retries import Outcome, Retries
from latentry.client.transports import Transport
from latentry.contracts import (
    Estimate,
    Event,
    File,
    Image,
    Job,
    JobList,
    ModelList,
    StyleList,
    UpscalerList,
    UsageList,
)

T = TypeVar("T")


class Client:
    """A blocking client of a latentry service.

    `timeout_s` bounds each response in seconds. Every method raises ApiError when the service
    refuses the call and Unreachable when it does not respond after all retries.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        timeout_s: float = 30.0,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._address = Address(base_url, api_key, timeout_s)
        self._retries = retries or Retries()
        self._http = httpx.Client(base_url=base_url, transport=transport or Transport())

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

    def estimate(self, prompt: str | None = None, **fields: Unpack[Fields]) -> Estimate:
        """The cost and the estimated start of a request. Raises ApiError if it would be refused."""
        return self._call(api_calls.estimate(request_of(prompt, fields)))

    def upscale(
        self,
        image: Picture,
        *,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        **fields: Unpack[UpscaleFields],
    ) -> Job:
        """Enlarge a picture and wait until that has succeeded. Raises what `generate` does.

        `image`: the bytes of a picture, the path of its file, or what a request may name.
        """
        key = idempotency_key or uuid.uuid4().hex
        request = upscale_of(image, fields)
        return self._run(flows.generated(request, key, timeout_s, self._retries))

    def submit_upscale(
        self,
        image: Picture,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[UpscaleFields],
    ) -> Job:
        """Submit an upscale and return its job at once. Raises what `submit` does."""
        key = idempotency_key or uuid.uuid4().hex
        return self._call(api_calls.submit(upscale_of(image, fields), key))

    def estimate_upscale(self, image: Picture, **fields: Unpack[UpscaleFields]) -> Estimate:
        """The cost and the estimated start of an upscale. Raises what `estimate` does."""
        return self._call(api_calls.estimate(upscale_of(image, fields)))

    def upscalers(self) -> UpscalerList:
        """The upscalers of the service, and by how much they enlarge."""
        return self._call(api_calls.upscalers())

    def get(self, job_id: str) -> Job:
        """The job in its current state."""
        return self._call(api_calls.get(job_id))

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> JobList:
        """One page of jobs, newest first."""
        return self._call(api_calls.listing(limit, cursor))

    def wait(self, job_id: str, *, timeout_s: float | None = None) -> Job:
        """The job at its end, successful or not. Raises StillRunning after `timeout_s` seconds."""
        return self._run(flows.ended(job_id, timeout_s, self._retries))

    def cancel(self, job_id: str) -> Job:
        """Cancel the job, if it has not ended yet."""
        return self._call(api_calls.cancel(job_id))

    def delete(self, job_id: str) -> None:
        """Delete the job and its images."""
        self._call(api_calls.delete(job_id))

    def models(self) -> ModelList:
        """The models of the service and their limits."""
        return self._call(api_calls.models())

    def styles(self) -> StyleList:
        """The styles that a request may name."""
        return self._call(api_calls.styles())

    def usage(self, first: date | None = None, last: date | None = None) -> UsageList:
        """The usage of the API key by day (UTC), inclusive; by default the last 30 days."""
        return self._call(api_calls.usage(first, last))

    def upload(self, picture: bytes) -> File:
        """Upload the bytes of a PNG, JPEG or WebP picture; it expires after a time."""
        return self._call(api_calls.upload(picture))

    def delete_file(self, file_id: str) -> None:
        """Delete an uploaded picture."""
        self._call(api_calls.delete_file(file_id))

    def download(self, image: Image | str) -> bytes:
        """The encoded bytes of an image or another output, given as such or by its URL."""
        return self._call(api_calls.download(image if isinstance(image, str) else image.url))

    def events(self, job_id: str, *, last_event_id: str | None = None) -> Iterator[Event]:
        """The events of the job until its end; reconnects after dropped connections."""
        following = Following(job_id, self._retries, last_event_id)
        while not following.ended:
            time.sleep(following.pause_s)
            try:
                yield from self._listen(following)
            except httpx.TransportError as error:
                following.failed(error)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self, following: Following) -> Iterator[Event]:
        request = self._address.request(self._http, following.call)
        with closing(self._http.send(request, stream=True)) as response:
            if response.is_error:
                response.read()
                following.failed(response)
                return
            following.opened(response)
            for chunk in response.iter_bytes():
                yield from following.feed(chunk)
                if following.ended:
                    return
        if not following.ended:
            raise cut_short(request)

    def _call(self, call: api_calls.ApiCall[T]) -> T:
        return self._run(flows.answered(call, self._retries))

    def _run(self, flow: Flow[T]) -> T:
        outcome: Outcome | None = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as done:
                answer: T = done.value
                return answer
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                outcome = None
            else:
                outcome = self._send(step)

    def _send(self, call: api_calls.ApiCall[T]) -> Outcome:
        try:
            return self._http.send(self._address.request(self._http, call))
        except httpx.TransportError as error:
            return error

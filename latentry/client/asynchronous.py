"""The client for asyncio."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import date
from typing import Self, TypeVar, Unpack

import httpx

from latentry.client import api_calls, flows
from latentry.client.address import Address
from latentry.client.fields import Fields, Picture, UpscaleFields, request_of, upscale_of
from latentry.client.flows import Flow, Pause
from latentry.client.following import Following, cut_short
from latentry.client.retries import Outcome, Retries
from latentry.client.transports import AsyncTransport
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


class AsyncClient:
    """A client of a latentry service for asyncio. Its methods are those of Client."""

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        timeout_s: float = 30.0,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._address = Address(base_url, api_key, timeout_s)
        self._retries = retries or Retries()
        self._http = httpx.AsyncClient(base_url=base_url, transport=transport or AsyncTransport())

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

    async def estimate(self, prompt: str | None = None, **fields: Unpack[Fields]) -> Estimate:
        """The cost and the estimated start of a request. Raises ApiError if it would be refused."""
        return await self._call(api_calls.estimate(request_of(prompt, fields)))

    async def upscale(
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
        return await self._run(flows.generated(request, key, timeout_s, self._retries))

    async def submit_upscale(
        self,
        image: Picture,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[UpscaleFields],
    ) -> Job:
        """Submit an upscale and return its job at once. Raises what `submit` does."""
        key = idempotency_key or uuid.uuid4().hex
        return await self._call(api_calls.submit(upscale_of(image, fields), key))

    async def estimate_upscale(self, image: Picture, **fields: Unpack[UpscaleFields]) -> Estimate:
        """The cost and the estimated start of an upscale. Raises what `estimate` does."""
        return await self._call(api_calls.estimate(upscale_of(image, fields)))

    async def upscalers(self) -> UpscalerList:
        """The upscalers of the service, and by how much they enlarge."""
        return await self._call(api_calls.upscalers())

    async def get(self, job_id: str) -> Job:
        """The job in its current state."""
        return await self._call(api_calls.get(job_id))

    async def list(self, *, limit: int | None = None, cursor: str | None = None) -> JobList:
        """One page of jobs, newest first."""
        return await self._call(api_calls.listing(limit, cursor))

    async def wait(self, job_id: str, *, timeout_s: float | None = None) -> Job:
        """The job at its end, successful or not. Raises StillRunning after `timeout_s` seconds."""
        return await self._run(flows.ended(job_id, timeout_s, self._retries))

    async def cancel(self, job_id: str) -> Job:
        """Cancel the job, if it has not ended yet."""
        return await self._call(api_calls.cancel(job_id))

    async def delete(self, job_id: str) -> None:
        """Delete the job and its images."""
        await self._call(api_calls.delete(job_id))

    async def models(self) -> ModelList:
        """The models of the service and their limits."""
        return await self._call(api_calls.models())

    async def styles(self) -> StyleList:
        """The styles that a request may name."""
        return await self._call(api_calls.styles())

    async def usage(self, first: date | None = None, last: date | None = None) -> UsageList:
        """The usage of the API key by day (UTC), inclusive; by default the last 30 days."""
        return await self._call(api_calls.usage(first, last))

    async def upload(self, picture: bytes) -> File:
        """Upload the bytes of a PNG, JPEG or WebP picture; it expires after a time."""
        return await self._call(api_calls.upload(picture))

    async def delete_file(self, file_id: str) -> None:
        """Delete an uploaded picture."""
        await self._call(api_calls.delete_file(file_id))

    async def download(self, image: Image | str) -> bytes:
        """The encoded bytes of an image or another output, given as such or by its URL."""
        return await self._call(api_calls.download(image if isinstance(image, str) else image.url))

    async def events(
        self, job_id: str, *, last_event_id: str | None = None
    ) -> AsyncIterator[Event]:
        """The events of the job until its end; reconnects after dropped connections."""
        following = Following(job_id, self._retries, last_event_id)
        while not following.ended:
            await asyncio.sleep(following.pause_s)
            try:
                async with aclosing(self._listen(following)) as events:
                    async for event in events:
                        yield event
            except httpx.TransportError as error:
                following.failed(error)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _listen(self, following: Following) -> AsyncGenerator[Event]:
        request = self._address.request(self._http, following.call)
        async with aclosing(await self._http.send(request, stream=True)) as response:
            if response.is_error:
                await response.aread()
                following.failed(response)
                return
            following.opened(response)
            async for chunk in response.aiter_bytes():
                for event in following.feed(chunk):
                    yield event
                if following.ended:
                    return
        if not following.ended:
            raise cut_short(request)

    async def _call(self, call: api_calls.ApiCall[T]) -> T:
        return await self._run(flows.answered(call, self._retries))

    async def _run(self, flow: Flow[T]) -> T:
        outcome: Outcome | None = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as done:
                answer: T = done.value
                return answer
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                outcome = None
            else:
                outcome = await self._send(step)

    async def _send(self, call: api_calls.ApiCall[T]) -> Outcome:
        try:
            return await self._http.send(self._address.request(self._http, call))
        except httpx.TransportError as error:
            return error

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
from latentry.client.fields import Fields, request_of
from latentry.client.flows import Flow, Pause
from latentry.client.following import Following, cut_short
from latentry.client.retries import Outcome, Retries
from latentry.contracts import Estimate, Event, File, Image, Job, JobList, ModelList, UsageList

T = TypeVar("T")


class Client:
    """A latentry service, one blocking call at a time. AsyncClient is its twin."""

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
        self._http = httpx.Client(base_url=base_url, transport=transport)

    def generate(
        self,
        prompt: str,
        *,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        **fields: Unpack[Fields],
    ) -> Job:
        """Order pictures and wait for them. Raises JobDidNotSucceed, StillRunning, ApiError."""
        key = idempotency_key or uuid.uuid4().hex
        request = request_of(prompt, fields)
        return self._run(flows.generated(request, key, timeout_s, self._retries))

    def submit(
        self, prompt: str, *, idempotency_key: str | None = None, **fields: Unpack[Fields]
    ) -> Job:
        """Order pictures; the job comes back at once. The key makes a repeat harmless."""
        key = idempotency_key or uuid.uuid4().hex
        return self._call(api_calls.submit(request_of(prompt, fields), key))

    def estimate(self, prompt: str, **fields: Unpack[Fields]) -> Estimate:
        """What the order would cost and when it would start; raises what would refuse it."""
        return self._call(api_calls.estimate(request_of(prompt, fields)))

    def get(self, job_id: str) -> Job:
        """The job as it is now."""
        return self._call(api_calls.get(job_id))

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> JobList:
        """One page of jobs, newest first."""
        return self._call(api_calls.listing(limit, cursor))

    def wait(self, job_id: str, *, timeout_s: float | None = None) -> Job:
        """The job once it has ended, well or not. Raises StillRunning."""
        return self._run(flows.ended(job_id, timeout_s, self._retries))

    def cancel(self, job_id: str) -> Job:
        """Stop the job, if it has not ended yet."""
        return self._call(api_calls.cancel(job_id))

    def delete(self, job_id: str) -> None:
        """Remove the job and its pictures."""
        self._call(api_calls.delete(job_id))

    def models(self) -> ModelList:
        """What the service can draw with."""
        return self._call(api_calls.models())

    def usage(self, first: date | None = None, last: date | None = None) -> UsageList:
        """What the key has used, by days (UTC); the last 30 unless said otherwise."""
        return self._call(api_calls.usage(first, last))

    def upload(self, picture: bytes) -> File:
        """Keep a PNG, JPEG or WebP picture there for a while. Raises ApiError."""
        return self._call(api_calls.upload(picture))

    def delete_file(self, file_id: str) -> None:
        """Remove a picture that was kept there."""
        self._call(api_calls.delete_file(file_id))

    def download(self, image: Image | str) -> bytes:
        """The encoded bytes of a picture, or of what lies at its URL."""
        return self._call(api_calls.download(image if isinstance(image, str) else image.url))

    def events(self, job_id: str, *, last_event_id: str | None = None) -> Iterator[Event]:
        """What happens to the job, to its end, across dropped connections."""
        following = Following(job_id, self._retries, last_event_id)
        while not following.ended:
            time.sleep(following.pause_s)
            try:
                yield from self._listen(following)
            except httpx.TransportError as error:
                following.broke(error)

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
                following.broke(response)
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

"""The fake service: what a test holds."""

import threading
from collections.abc import Sequence
from typing import Final

import httpx

from latentry.client import AsyncClient, Client
from latentry.contracts import JobError, JobStatus, JobWarning
from latentry.errors import LatentryError, NotFound, Unauthenticated
from latentry.testing import answers
from latentry.testing.jobs import FakeJob
from latentry.testing.routes import ANSWERS, call_of, methods_of
from latentry.testing.script import JobScript, Refusal, message_of
from latentry.testing.state import FakeCall, State, card_of

URL: Final = "http://latentry.test"
_OPEN: Final = ("livez", "readyz", "get_file")  # without a key


class FakeService:
    """A latentry service in this process, for tests. Its images are of one colour each.

    `client()` and `async_client()` make clients of it, which do not wait between their attempts;
    `transport` is for a client of your own: `Client(fake.url, transport=fake.transport)`. It has
    one model, `model`. With an `api_key` it refuses calls without it.
    """

    def __init__(
        self, url: str = URL, *, api_key: str | None = None, model: str = "stable-diffusion"
    ) -> None:
        self.url = url
        self.pauses: list[float] = []
        """How many seconds its clients would have waited before each repetition of a call."""
        self._state = State(url, api_key, card_of(model))
        self._lock = threading.Lock()

    @property
    def transport(self) -> httpx.MockTransport:
        """For httpx, and for both clients of the SDK."""
        return httpx.MockTransport(self._answer)

    def client(self) -> Client:
        """A blocking client of it."""
        return _Client(self)

    def async_client(self) -> AsyncClient:
        """A client of it for asyncio."""
        return _AsyncClient(self)

    @property
    def calls(self) -> Sequence[FakeCall]:
        """All calls that it was sent, those that it refused too."""
        return tuple(self._state.calls)

    @property
    def jobs(self) -> Sequence[FakeJob]:
        """The jobs that it has, oldest first."""
        return tuple(self._state.jobs.values())

    def next_job(
        self,
        *,
        polls: int = 0,
        ends: JobStatus | str = JobStatus.SUCCEEDED,
        fails: str | None = None,
        warns: Sequence[str] = (),
        times: int = 1,
    ) -> None:
        """What becomes of the next job that is accepted, or of the next `times`.

        `polls`: how many reads find it unfinished; `ends`: its last state; `fails`: the code that
        it fails with; `warns`: codes of its warnings. Scripts queue up; jobs without one succeed.
        """
        script = JobScript(
            polls=polls,
            ends=JobStatus.FAILED if fails else JobStatus(ends),
            error=JobError(code=fails, message=message_of(fails)) if fails else None,
            warnings=tuple(JobWarning(code=code, message=message_of(code)) for code in warns),
        )
        self._state.scripts.extend([script] * times)

    def refuse(
        self,
        status: int,
        code: str,
        *,
        retry_after_s: int | None = None,
        operation: str | None = None,
        times: int = 1,
    ) -> None:
        """Refuse the next call, or the next `times`, or the next of an operation of the API.

        `operation`: its id in the OpenAPI document, such as `create_generation`.
        """
        self._expect(Refusal(status, code, retry_after_s, operation), times)

    def drop(self, *, operation: str | None = None, times: int = 1) -> None:
        """Lose the connection of the next call, before it has any effect."""
        self._expect(Refusal(operation=operation), times)

    def expire_urls(self) -> None:
        """All URLs of images that were told before are of no use from now on."""
        self._state.links += 1

    def _expect(self, refusal: Refusal, times: int) -> None:
        if refusal.operation is not None and refusal.operation not in ANSWERS:
            raise ValueError(f"{refusal.operation} is no operation of the OpenAPI document.")
        self._state.refusals += [refusal] * times

    def _answer(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            request_id = f"req_{len(self._state.calls) + 1}"
            call = call_of(request) or FakeCall("", request)
            self._state.calls.append(call)
            try:
                response = self._answered(call, request_id)
            except LatentryError as error:
                response = answers.refusal(error, request_id)
            response.headers["X-Request-Id"] = request_id
            if request.method == "HEAD":
                return httpx.Response(response.status_code, headers=response.headers)
            return response

    def _answered(self, call: FakeCall, request_id: str) -> httpx.Response:
        if not call.operation:
            return _of_no_operation(call.request, request_id)
        if refusal := self._state.refused(call.operation):
            if not refusal.status:
                raise httpx.ConnectError("The fake service dropped it.", request=call.request)
            status, code, after_s = refusal.status, refusal.code, refusal.retry_after_s
            text = message_of(code)
            return answers.problem(status, code, text, request_id, retry_after_s=after_s)
        if call.operation not in _OPEN:
            self._check_key(call.request)
        return ANSWERS[call.operation][2](self._state, call)

    def _check_key(self, request: httpx.Request) -> None:
        key = self._state.api_key
        if key and request.headers.get("Authorization") != f"Bearer {key}":
            raise Unauthenticated


def _of_no_operation(request: httpx.Request, request_id: str) -> httpx.Response:
    """Why a call is of none: its method, or its path. Raises NotFound."""
    methods = methods_of(request.url.path)
    if not methods:
        raise NotFound
    text = "This path does not support the method; see the Allow header."
    response = answers.problem(405, "method_not_allowed", text, request_id)
    response.headers["Allow"] = ", ".join(methods)
    return response


class _Client(Client):
    """A client that notes pauses instead of making them."""

    def __init__(self, fake: FakeService) -> None:
        super().__init__(fake.url, api_key=fake._state.api_key, transport=fake.transport)
        self._pauses = fake.pauses

    def _pause(self, seconds: float) -> None:
        self._pauses.append(seconds)


class _AsyncClient(AsyncClient):
    """The same for asyncio."""

    def __init__(self, fake: FakeService) -> None:
        super().__init__(fake.url, api_key=fake._state.api_key, transport=fake.transport)
        self._pauses = fake.pauses

    async def _pause(self, seconds: float) -> None:
        self._pauses.append(seconds)

"""How both clients reach the service: one connection pool each, and what drives their flows."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, closing
from typing import Self, TypeVar

import httpx

from latentry.client import flows
from latentry.client.api_calls import ApiCall
from latentry.client.flows import Flow, Pause
from latentry.client.following import Following, cut_short
from latentry.client.http.address import Address
from latentry.client.http.transports import AsyncTransport, Transport
from latentry.client.retries import Outcome, Retries
from latentry.contracts import Event

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8000"


class Connection:
    """What the blocking client's calls go through. Threads may share it."""

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float = 30.0,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._address = Address(base_url, api_key, timeout_s)
        self._retries = retries or Retries()
        self._http = httpx.Client(base_url=base_url, transport=transport or Transport())

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

    def _call(self, call: ApiCall[T]) -> T:
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

    def _send(self, call: ApiCall[T]) -> Outcome:
        try:
            return self._http.send(self._address.request(self._http, call))
        except httpx.RequestError as error:
            return error


class AsyncConnection:
    """What the calls of the client for asyncio go through."""

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float = 30.0,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._address = Address(base_url, api_key, timeout_s)
        self._retries = retries or Retries()
        self._http = httpx.AsyncClient(base_url=base_url, transport=transport or AsyncTransport())

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

    async def _call(self, call: ApiCall[T]) -> T:
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

    async def _send(self, call: ApiCall[T]) -> Outcome:
        try:
            return await self._http.send(self._address.request(self._http, call))
        except httpx.RequestError as error:
            return error

"""How both clients reach the service: one connection pool each, and what drives their flows."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, closing
from typing import Self, TypeVar

import httpx

from latentry.client import flows
from latentry.client.api_calls import SOURCE, ApiCall
from latentry.client.flows import Flow, Pause
from latentry.client.following import Following, cut_short, is_stream
from latentry.client.http.address import Address
from latentry.client.http.transports import AsyncTransport, Transport
from latentry.client.results import Event, Image, Source
from latentry.client.retries import Outcome, Retries
from latentry.errors import ConfigurationError

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
        self._transport = transport
        self._http = httpx.Client(base_url=base_url, transport=transport or Transport())
        self._source = _Blocking(self)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _follow(self, following: Following) -> Iterator[Event]:
        while not following.ended:
            self._pause(following.pause_s)
            try:
                yield from self._listen(following)
            except httpx.RequestError as error:
                following.failed(error)

    def _listen(self, following: Following) -> Iterator[Event]:
        request = self._address.request(self._http, following.call)
        with closing(self._http.send(request, stream=True)) as response:
            if not is_stream(response):
                response.read()
                following.failed(response)
                return
            following.opened(response, self._source)
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
                self._pause(step.seconds)
                outcome = None
            else:
                outcome = self._send(step)

    def _send(self, call: ApiCall[T]) -> Outcome:
        try:
            response = self._http.send(self._address.request(self._http, call))
        except httpx.RequestError as error:
            return error
        response.extensions[SOURCE] = self._source
        return response

    def _pause(self, seconds: float) -> None:
        time.sleep(seconds)

    def _read(self, image: Image) -> bytes:
        # Callers keep images for longer than clients.
        if self._http.is_closed:
            with Connection(**self._address.options, transport=self._transport) as another:
                return another._read(image)
        return self._run(flows.image_bytes(image, self._retries))


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
        self._transport = transport
        self._http = httpx.AsyncClient(base_url=base_url, transport=transport or AsyncTransport())
        self._source = _Async(self)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _follow(self, following: Following) -> AsyncGenerator[Event]:
        while not following.ended:
            await self._pause(following.pause_s)
            try:
                async with aclosing(self._listen(following)) as events:
                    async for event in events:
                        yield event
            except httpx.RequestError as error:
                following.failed(error)

    async def _listen(self, following: Following) -> AsyncGenerator[Event]:
        request = self._address.request(self._http, following.call)
        async with aclosing(await self._http.send(request, stream=True)) as response:
            if not is_stream(response):
                await response.aread()
                following.failed(response)
                return
            following.opened(response, self._source)
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
                await self._pause(step.seconds)
                outcome = None
            else:
                outcome = await self._send(step)

    async def _send(self, call: ApiCall[T]) -> Outcome:
        try:
            response = await self._http.send(self._address.request(self._http, call))
        except httpx.RequestError as error:
            return error
        response.extensions[SOURCE] = self._source
        return response

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _read(self, image: Image) -> bytes:
        if self._http.is_closed:
            async with AsyncConnection(
                **self._address.options, transport=self._transport
            ) as another:
                return await another._read(image)
        return await self._run(flows.image_bytes(image, self._retries))


class _Blocking(Source):
    """Images read by a blocking client."""

    def __init__(self, client: Connection) -> None:
        self._client = client

    def read(self, image: Image) -> bytes:
        """The encoded bytes of an image."""
        return self._client._read(image)

    async def aread(self, image: Image) -> bytes:
        """The same in a thread."""
        return await asyncio.to_thread(self.read, image)


class _Async(Source):
    """Images read by a client for asyncio."""

    def __init__(self, client: AsyncConnection) -> None:
        self._client = client

    def read(self, image: Image) -> bytes:
        """Raises ConfigurationError: it cannot wait."""
        raise ConfigurationError(
            "This image is an AsyncClient's: await image.asave(), image.apil() or image.aread()."
        )

    async def aread(self, image: Image) -> bytes:
        """The encoded bytes of an image."""
        return await self._client._read(image)

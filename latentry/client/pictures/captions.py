"""What pictures show, in words, for both clients."""

from typing import Unpack

from latentry.client import api_calls, flows
from latentry.client.http.connections import AsyncConnection, Connection
from latentry.client.pictures import Picture, images_read
from latentry.client.pictures.fields import CaptionFields, caption_of
from latentry.client.results import Job
from latentry.contracts import Estimate


class Captions(Connection):
    """What a client asks about pictures."""

    def caption(
        self,
        image: Picture,
        *,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        **fields: Unpack[CaptionFields],
    ) -> Job:
        """Say what a picture shows: `caption` of a job that has succeeded.

        Raises what `generate` does.
        """
        request = caption_of(image, fields)
        return self._run(flows.generated(request, idempotency_key, timeout_s, self._retries))

    def submit_caption(
        self,
        image: Picture,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[CaptionFields],
    ) -> Job:
        """Submit a caption and return its job at once. Raises what `submit` does."""
        return self._call(api_calls.submit(caption_of(image, fields), idempotency_key))

    def estimate_caption(self, image: Picture, **fields: Unpack[CaptionFields]) -> Estimate:
        """The cost and the estimated start of a caption. Raises what `estimate` does."""
        return self._call(api_calls.estimate(caption_of(image, fields)))


class AsyncCaptions(AsyncConnection):
    """What an asyncio client asks about pictures."""

    async def caption(
        self,
        image: Picture,
        *,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        **fields: Unpack[CaptionFields],
    ) -> Job:
        """Say what a picture shows: `caption` of a job that has succeeded.

        Raises what `generate` does.
        """
        request = caption_of(await images_read(image), fields)
        return await self._run(flows.generated(request, idempotency_key, timeout_s, self._retries))

    async def submit_caption(
        self,
        image: Picture,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[CaptionFields],
    ) -> Job:
        """Submit a caption and return its job at once. Raises what `submit` does."""
        return await self._call(
            api_calls.submit(caption_of(await images_read(image), fields), idempotency_key)
        )

    async def estimate_caption(self, image: Picture, **fields: Unpack[CaptionFields]) -> Estimate:
        """The cost and the estimated start of a caption. Raises what `estimate` does."""
        return await self._call(api_calls.estimate(caption_of(await images_read(image), fields)))

"""Pictures enlarged by themselves, for both clients."""

from typing import Unpack

from latentry.client import api_calls, flows
from latentry.client.http.connections import AsyncConnection, Connection
from latentry.client.pictures import Picture, images_read
from latentry.client.pictures.fields import UpscaleFields, upscale_of
from latentry.client.results import Job
from latentry.contracts import Estimate, UpscalerList


class Upscales(Connection):
    """What a client does with pictures that are only enlarged."""

    def upscale(
        self,
        image: Picture,
        *,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        **fields: Unpack[UpscaleFields],
    ) -> Job:
        """Enlarge a picture and wait until that has succeeded. Raises what `generate` does."""
        request = upscale_of(image, fields)
        return self._run(flows.generated(request, idempotency_key, timeout_s, self._retries))

    def submit_upscale(
        self,
        image: Picture,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[UpscaleFields],
    ) -> Job:
        """Submit an upscale and return its job at once. Raises what `submit` does."""
        return self._call(api_calls.submit(upscale_of(image, fields), idempotency_key))

    def estimate_upscale(self, image: Picture, **fields: Unpack[UpscaleFields]) -> Estimate:
        """The cost and the estimated start of an upscale. Raises what `estimate` does."""
        return self._call(api_calls.estimate(upscale_of(image, fields)))

    def upscalers(self) -> UpscalerList:
        """The upscalers of the service, and by how much they enlarge."""
        return self._call(api_calls.upscalers())


class AsyncUpscales(AsyncConnection):
    """What an asyncio client does with pictures that are only enlarged."""

    async def upscale(
        self,
        image: Picture,
        *,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        **fields: Unpack[UpscaleFields],
    ) -> Job:
        """Enlarge a picture and wait until that has succeeded. Raises what `generate` does."""
        request = upscale_of(await images_read(image), fields)
        return await self._run(flows.generated(request, idempotency_key, timeout_s, self._retries))

    async def submit_upscale(
        self,
        image: Picture,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[UpscaleFields],
    ) -> Job:
        """Submit an upscale and return its job at once. Raises what `submit` does."""
        return await self._call(
            api_calls.submit(upscale_of(await images_read(image), fields), idempotency_key)
        )

    async def estimate_upscale(self, image: Picture, **fields: Unpack[UpscaleFields]) -> Estimate:
        """The cost and the estimated start of an upscale. Raises what `estimate` does."""
        return await self._call(api_calls.estimate(upscale_of(await images_read(image), fields)))

    async def upscalers(self) -> UpscalerList:
        """The upscalers of the service, and by how much they enlarge."""
        return await self._call(api_calls.upscalers())

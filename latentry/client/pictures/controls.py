"""What ControlNets would be shown, made of pictures by themselves, for both clients."""

from typing import Unpack

from latentry.client import api_calls, flows
from latentry.client.http.connections import AsyncConnection, Connection
from latentry.client.pictures import Picture, images_read
from latentry.client.pictures.fields import ControlFields, control_of
from latentry.client.results import Job
from latentry.contracts import Estimate


class Controls(Connection):
    """What a client does with pictures that are only preprocessed."""

    def control(
        self,
        image: Picture,
        *,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        **fields: Unpack[ControlFields],
    ) -> Job:
        """Make of a picture what a ControlNet would be shown, and wait until that has succeeded.

        Raises what `generate` does.
        """
        request = control_of(image, fields)
        return self._run(flows.generated(request, idempotency_key, timeout_s, self._retries))

    def submit_control(
        self,
        image: Picture,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[ControlFields],
    ) -> Job:
        """Submit a control and return its job at once. Raises what `submit` does."""
        return self._call(api_calls.submit(control_of(image, fields), idempotency_key))

    def estimate_control(self, image: Picture, **fields: Unpack[ControlFields]) -> Estimate:
        """The cost and the estimated start of a control. Raises what `estimate` does."""
        return self._call(api_calls.estimate(control_of(image, fields)))


class AsyncControls(AsyncConnection):
    """What an asyncio client does with pictures that are only preprocessed."""

    async def control(
        self,
        image: Picture,
        *,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        **fields: Unpack[ControlFields],
    ) -> Job:
        """Make of a picture what a ControlNet would be shown, and wait until that has succeeded.

        Raises what `generate` does.
        """
        request = control_of(await images_read(image), fields)
        return await self._run(flows.generated(request, idempotency_key, timeout_s, self._retries))

    async def submit_control(
        self,
        image: Picture,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[ControlFields],
    ) -> Job:
        """Submit a control and return its job at once. Raises what `submit` does."""
        return await self._call(
            api_calls.submit(control_of(await images_read(image), fields), idempotency_key)
        )

    async def estimate_control(self, image: Picture, **fields: Unpack[ControlFields]) -> Estimate:
        """The cost and the estimated start of a control. Raises what `estimate` does."""
        return await self._call(api_calls.estimate(control_of(await images_read(image), fields)))

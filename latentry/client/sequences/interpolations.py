"""Frames between pictures, for both clients."""

from typing import Unpack

from latentry.client import api_calls, flows
from latentry.client.fields import InterpolationFields, Keyframe, interpolation_of
from latentry.client.http.connections import AsyncConnection, Connection
from latentry.client.pictures import images_read
from latentry.client.results import Job
from latentry.contracts import Estimate


class Interpolations(Connection):
    """What a client does with frames between pictures."""

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

        A picture is given as a prompt, as a mapping of a request's fields, or as the request of a
        job. Raises as `generate`.
        """
        request = interpolation_of(first, last, frames, fields)
        return self._run(flows.generated(request, idempotency_key, timeout_s, self._retries))

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
        request = interpolation_of(first, last, frames, fields)
        return self._call(api_calls.submit(request, idempotency_key))

    def estimate_interpolation(
        self, first: Keyframe, last: Keyframe, frames: int, **fields: Unpack[InterpolationFields]
    ) -> Estimate:
        """The cost and the estimated start of an interpolation. Raises as `estimate`."""
        request = interpolation_of(first, last, frames, fields)
        return self._call(api_calls.estimate(request))


class AsyncInterpolations(AsyncConnection):
    """What an asyncio client does with frames between pictures."""

    async def interpolate(
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

        A picture is given as a prompt, as a mapping of a request's fields, or as the request of a
        job. Raises as `generate`.
        """
        first, last, fields = await images_read((first, last, fields))
        request = interpolation_of(first, last, frames, fields)
        return await self._run(flows.generated(request, idempotency_key, timeout_s, self._retries))

    async def submit_interpolation(
        self,
        first: Keyframe,
        last: Keyframe,
        frames: int,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[InterpolationFields],
    ) -> Job:
        """Submit a job as `interpolate` does, and return it at once. Raises as `submit`."""
        first, last, fields = await images_read((first, last, fields))
        request = interpolation_of(first, last, frames, fields)
        return await self._call(api_calls.submit(request, idempotency_key))

    async def estimate_interpolation(
        self, first: Keyframe, last: Keyframe, frames: int, **fields: Unpack[InterpolationFields]
    ) -> Estimate:
        """The cost and the estimated start of an interpolation. Raises as `estimate`."""
        first, last, fields = await images_read((first, last, fields))
        request = interpolation_of(first, last, frames, fields)
        return await self._call(api_calls.estimate(request))

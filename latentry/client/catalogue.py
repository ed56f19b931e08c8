"""What the service has and can, for both clients."""

from datetime import date

from latentry.client import api_calls
from latentry.client.http.connections import AsyncConnection, Connection
from latentry.contracts import AdapterList, Model, ModelList, StyleList, UsageList
from latentry.contracts.catalogue.capabilities import Capabilities, Readiness


class Catalogue(Connection):
    """What a client asks about the service."""

    def ready(self) -> Readiness:
        """Whether a worker can draw; raises ApiError while the service accepts no jobs."""
        return self._call(api_calls.ready())

    def capabilities(self) -> Capabilities:
        """What the service can do: kinds of jobs, modes of its models, formats, limits."""
        return self._call(api_calls.capabilities())

    def models(self) -> ModelList:
        """The models of the service and their limits."""
        return self._call(api_calls.models())

    def model(self, model_id: str) -> Model:
        """One model and its limits."""
        return self._call(api_calls.model(model_id))

    def adapters(self) -> AdapterList:
        """The LoRAs and other adapters that a request may name."""
        return self._call(api_calls.adapters())

    def styles(self) -> StyleList:
        """The styles that a request may name."""
        return self._call(api_calls.styles())

    def usage(self, first: date | None = None, last: date | None = None) -> UsageList:
        """The usage of the API key by day (UTC), inclusive; by default the last 30 days."""
        return self._call(api_calls.usage(first, last))


class AsyncCatalogue(AsyncConnection):
    """What an asyncio client asks about the service."""

    async def ready(self) -> Readiness:
        """Whether a worker can draw; raises ApiError while the service accepts no jobs."""
        return await self._call(api_calls.ready())

    async def capabilities(self) -> Capabilities:
        """What the service can do: kinds of jobs, modes of its models, formats, limits."""
        return await self._call(api_calls.capabilities())

    async def models(self) -> ModelList:
        """The models of the service and their limits."""
        return await self._call(api_calls.models())

    async def model(self, model_id: str) -> Model:
        """One model and its limits."""
        return await self._call(api_calls.model(model_id))

    async def adapters(self) -> AdapterList:
        """The LoRAs and other adapters that a request may name."""
        return await self._call(api_calls.adapters())

    async def styles(self) -> StyleList:
        """The styles that a request may name."""
        return await self._call(api_calls.styles())

    async def usage(self, first: date | None = None, last: date | None = None) -> UsageList:
        """The usage of the API key by day (UTC), inclusive; by default the last 30 days."""
        return await self._call(api_calls.usage(first, last))

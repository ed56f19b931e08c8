"""What pictures say of their origin, for both clients."""

from latentry.client import api_calls
from latentry.client.http.connections import AsyncConnection, Connection
from latentry.client.pictures import Picture, images_read, reference_of
from latentry.contracts import Verification


class Verifying(Connection):
    """What a client asks about files that exist already."""

    def verify(self, picture: Picture) -> Verification:
        """What a picture or clip says of its origin, and whether that holds. Nothing is kept.

        Given as `upload` takes it, or as a file id or URL. Raises OSError too.
        """
        return self._call(api_calls.verify(reference_of(picture)))


class AsyncVerifying(AsyncConnection):
    """What an asyncio client asks about files that exist already."""

    async def verify(self, picture: Picture) -> Verification:
        """What a picture or clip says of its origin, and whether that holds. Nothing is kept.

        Given as `upload` takes it, or as a file id or URL. Raises OSError too.
        """
        return await self._call(api_calls.verify(reference_of(await images_read(picture))))

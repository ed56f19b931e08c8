"""Pictures as files of the service, for both clients."""

import asyncio

from latentry.client import api_calls
from latentry.client.http.connections import AsyncConnection, Connection
from latentry.client.pictures.sources import Source, picture_bytes
from latentry.contracts import File


class Files(Connection):
    """What a client does with uploaded pictures."""

    def upload(self, picture: Source) -> File:
        """Upload a PNG, JPEG or WebP picture; it expires after a time.

        Given as a path, bytes, a file opened with `rb`, an image of Pillow's or an array of
        numpy's. Raises OSError, or InvalidRequest for what is no picture.
        """
        return self._call(api_calls.upload(picture_bytes(picture)))

    def file(self, file_id: File | str) -> File:
        """What is known of an uploaded picture; `download` gives its bytes."""
        return self._call(api_calls.file(file_id))

    def delete_file(self, file_id: File | str) -> None:
        """Delete an uploaded picture."""
        self._call(api_calls.delete_file(file_id))


class AsyncFiles(AsyncConnection):
    """What an asyncio client does with uploaded pictures."""

    async def upload(self, picture: Source) -> File:
        """Upload a PNG, JPEG or WebP picture; it expires after a time.

        Given as a path, bytes, a file opened with `rb`, an image of Pillow's or an array of
        numpy's. Raises OSError, or InvalidRequest for what is no picture.
        """
        return await self._call(api_calls.upload(await asyncio.to_thread(picture_bytes, picture)))

    async def file(self, file_id: File | str) -> File:
        """What is known of an uploaded picture; `download` gives its bytes."""
        return await self._call(api_calls.file(file_id))

    async def delete_file(self, file_id: File | str) -> None:
        """Delete an uploaded picture."""
        await self._call(api_calls.delete_file(file_id))

"""Pictures as files of the service, for both clients."""

import asyncio
from collections.abc import AsyncIterator, Iterator

from latentry.client import api_calls
from latentry.client.http.connections import AsyncConnection, Connection
from latentry.client.pictures.sources import Source, images_read, picture_bytes
from latentry.contracts import File


class Files(Connection):
    """What a client does with uploaded pictures."""

    def upload(self, picture: Source) -> File:
        """Upload a PNG, JPEG or WebP picture; it expires after a time.

        Given as a path, bytes, a file opened with `rb`, an image of Pillow's or an array of
        numpy's. Raises OSError, or InvalidRequest for what is no picture.
        """
        return self._call(api_calls.upload(picture_bytes(picture)))

    def files(self) -> Iterator[File]:
        """All uploaded pictures of the tenant, those that expire last first, page by page."""
        cursor: str | None = None
        while True:
            page = self._call(api_calls.files(cursor))
            yield from page
            cursor = page.next_cursor
            if cursor is None:
                return

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
        data = await asyncio.to_thread(picture_bytes, await images_read(picture))
        return await self._call(api_calls.upload(data))

    async def files(self) -> AsyncIterator[File]:
        """All uploaded pictures of the tenant, those that expire last first, page by page."""
        cursor: str | None = None
        while True:
            page = await self._call(api_calls.files(cursor))
            for file in page:
                yield file
            cursor = page.next_cursor
            if cursor is None:
                return

    async def file(self, file_id: File | str) -> File:
        """What is known of an uploaded picture; `download` gives its bytes."""
        return await self._call(api_calls.file(file_id))

    async def delete_file(self, file_id: File | str) -> None:
        """Delete an uploaded picture."""
        await self._call(api_calls.delete_file(file_id))

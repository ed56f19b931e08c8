"""The uploaded pictures that there are, for both clients."""

from collections.abc import AsyncIterator, Iterator
from typing import Final

from latentry.client.api_calls import ApiCall
from latentry.client.http.connections import AsyncConnection, Connection
from latentry.contracts import File, FileList

_PAGE: Final = 100


class Uploads(Connection):
    """What a client asks about uploaded pictures."""

    def files(self) -> Iterator[File]:
        """All uploaded pictures of the tenant, those that expire last first, page by page."""
        cursor: str | None = None
        while True:
            page = self._call(_page(cursor))
            yield from page
            cursor = page.next_cursor
            if cursor is None:
                return


class AsyncUploads(AsyncConnection):
    """What an asyncio client asks about uploaded pictures."""

    async def files(self) -> AsyncIterator[File]:
        """All uploaded pictures of the tenant, those that expire last first, page by page."""
        cursor: str | None = None
        while True:
            page = await self._call(_page(cursor))
            for file in page:
                yield file
            cursor = page.next_cursor
            if cursor is None:
                return


def _page(cursor: str | None) -> ApiCall[FileList]:
    params = {"limit": _PAGE} | ({} if cursor is None else {"cursor": cursor})
    return ApiCall(
        "GET",
        "/v1/files",
        lambda response: FileList.model_validate_json(response.content),
        params=params,
    )

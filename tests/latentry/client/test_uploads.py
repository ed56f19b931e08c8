"""The uploaded pictures that both clients list."""

from datetime import UTC, datetime

from latentry.contracts import File, FileList
from tests.latentry.client.conftest import json_response

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def file(number: int) -> File:
    return File(
        id=f"file_{number}", bytes=1, width=1, height=1, content_type="image/png", sha256="0",
        created_at=NOW, expires_at=NOW,
    )  # fmt: skip


async def test_files_are_read_page_by_page(caller) -> None:
    pages = [FileList(data=[file(1)], next_cursor="c2"), FileList(data=[file(2)])]
    client = caller(*map(json_response, pages))
    assert [one.id for one in await client("files")] == ["file_1", "file_2"]
    assert [dict(sent.url.params) for sent in client.sent] == [
        {"limit": "100"},
        {"limit": "100", "cursor": "c2"},
    ]

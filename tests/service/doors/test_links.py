"""Links to pictures: ours, young and unaltered, or refused."""

import time

import pytest

from latentry.storage import open_storage, sign

KEY = "default/gen_1/1-0.png"


@pytest.fixture
def link(settings) -> str:
    storage = open_storage(settings)
    storage.put(KEY, b"bytes")
    return storage.url(KEY, 60).removeprefix(settings.base_url)


async def test_a_picture_can_be_embedded_but_never_read_as_a_page(client, link: str) -> None:
    answer = await client.get(link)
    assert (answer.status_code, answer.content) == (200, b"bytes")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "private" in answer.headers["cache-control"]


async def test_a_head_request_has_the_same_headers_without_the_bytes(client, link: str) -> None:
    answer = await client.head(link)
    assert (answer.status_code, answer.headers["content-length"]) == (200, "5")


async def test_ranges_are_ignored(client, link: str) -> None:
    many = "bytes=" + ",".join(f"{i}-{i}" for i in range(10_000))
    answer = await client.get(link, headers={"Range": many})
    assert (answer.status_code, answer.content) == (200, b"bytes")


@pytest.mark.parametrize(
    "change",
    [
        lambda link: link[:-1] + ("0" if link[-1] != "0" else "1"),
        lambda link: link.replace("1-0.png", "1-1.png"),
        lambda link: link.replace("exp=", "exp=1"),
        lambda link: link.partition("?")[0],
        lambda link: link.partition("&")[0],
        lambda link: link.replace("exp=", "exp=x"),
        lambda link: link.partition("sig=")[0] + "sig=%E9%00",
        lambda link: link.replace("default/", "other/"),
    ],
)
async def test_a_forged_link_is_refused(client, link: str, change) -> None:
    answer = await client.get(change(link))
    assert (answer.status_code, answer.json()["code"]) == (403, "link_refused")


async def test_an_expired_link_is_refused(client, settings, link: str) -> None:
    past = int(time.time()) - 1
    signature = sign(settings.signing_secret(), KEY, past)
    answer = await client.get(f"/v1/files/{KEY}?exp={past}&sig={signature}")
    assert (answer.status_code, answer.json()["code"]) == (403, "link_refused")


@pytest.mark.parametrize("key", ["default/gen_2/1-0.png", "../../etc/passwd", "signing.key"])
async def test_a_genuine_link_to_nothing_is_not_found(client, settings, key: str) -> None:
    soon = int(time.time()) + 60
    signature = sign(settings.signing_secret(), key, soon)
    answer = await client.get(f"/v1/files/{key.replace('..', '%2e%2e')}?exp={soon}&sig={signature}")
    assert (answer.status_code, answer.json()["code"]) == (404, "file_not_found")

"""Pictures that requests name: what is none is refused by its field, and no URL leads inside."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from PIL import Image

from latentry.errors import UrlNotAllowed
from latentry.settings import Settings
from service.jobs import inputs
from service.outbound import Outbound, Rules
from tests.hostile.pictures import chunk, encoded, jpeg_claiming, painted, png
from tests.hostile.test_pictures import RENAMED
from tests.tls import Authority, tls_front

REQUEST = {"prompt": "a red circle"}
PICTURE = encoded("PNG")


def data_url(picture: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(picture).decode()}"


def saved(image: Image.Image, form: str = "PNG", **how: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **how)
    return file.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(painted(), "JPEG", exif=exif)


ACCEPTED = {
    "16-bit grey": (saved(Image.new("I;16", (40, 24), 30_000)), (40, 24)),
    "16-bit colour": (png(depth=16, colour=2, pixels=b"\0" + b"\x80\0" * 3), (1, 1)),
    "palette": (encoded("PNG", mode="P"), (40, 24)),
    "one bit": (encoded("PNG", mode="1"), (40, 24)),
    "grey with alpha": (encoded("PNG", mode="LA"), (40, 24)),
    "CMYK": (encoded("JPEG", mode="CMYK"), (40, 24)),
    "turned by EXIF": (turned(), (24, 40)),
    "10,000 × 1": (encoded("PNG", size=(10_000, 1)), (10_000, 1)),
    "one colour": (saved(Image.new("RGB", (64, 64), "white")), (64, 64)),
}


@pytest.mark.parametrize("kind", ACCEPTED)
async def test_an_odd_picture_is_taken_as_it_looks(client, worker, kind: str) -> None:
    picture, size = ACCEPTED[kind]
    body = REQUEST | {"image": data_url(picture), "mask": data_url(PICTURE)}
    answer = await client.post("/v1/generations", json=body)
    assert answer.status_code == 202, answer.text
    request = answer.json()["request"]
    assert (request["image"]["width"], request["image"]["height"]) == size
    assert (request["mask"]["width"], request["mask"]["height"]) == (40, 24), "of another size"


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        *((data_url(data), "unsupported_image") for data in RENAMED.values()),
        (data_url(PICTURE, "text/html"), "unsupported_image"),
        (data_url(PICTURE, "image/svg+xml"), "unsupported_image"),
        (data_url(PICTURE, "image/png;charset=utf-8"), "unsupported_image"),
        ("data:image/png,%89PNG", "unsupported_image"),
        ("data:", "unsupported_image"),
        ("data:image/png;base64,", "unsupported_image"),
        ("data:image/png;base64,????", "broken_image"),
        ("data:image/png;base64,AAA", "broken_image"),
        ("data:image/png;base64,AA AA", "broken_image"),
        ("data:image/png;base64,\u00e4\u00e4\u00e4\u00e4", "broken_image"),
        (data_url(PICTURE[:60]), "broken_image"),
        (data_url(png(width=0)), "broken_image"),
        (data_url(png(width=65_535, height=65_535)), "image_too_large"),
        (data_url(jpeg_claiming(30_000, 30_000)), "image_too_large"),
        (data_url(PICTURE + bytes(11 * 2**20)), "image_too_large"),
        (data_url(png(before=chunk(b"acTL", bytes(8)))), "unsupported_image"),
        ("file_", "file_gone"),
        ("file_\u202egnp", "file_gone"),
        ("http://example.com/a.png", "invalid_request"),
        ("/etc/passwd", "invalid_request"),
        ("file:///etc/passwd", "invalid_request"),
        ("", "invalid_request"),
        (7, "invalid_request"),
        ("https://127.0.0.1/a.png", "url_not_allowed"),
        ("https://localhost/a.png", "url_not_allowed"),
        ("https://169.254.169.254/latest/meta-data/", "url_not_allowed"),
        ("https://[::1]/a.png", "url_not_allowed"),
        ("https://user@example.com/a.png", "url_not_allowed"),
        ("https://example.com:22/a.png", "url_not_allowed"),
        ("https://2130706433/a.png", "url_not_allowed"),
        ("https://", "url_not_allowed"),
    ],
)
async def test_what_is_no_picture_is_refused_by_its_field(
    client, worker, settings, reference: object, code: str
) -> None:
    for name, body in (
        ("image", {"image": reference}),
        ("mask", {"image": data_url(PICTURE), "mask": reference}),
    ):
        answer = await client.post("/v1/generations", json=REQUEST | body)
        assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
        assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{name}"]
    assert not list((settings.data_dir / "images").rglob("file_*/*"))


class Site:
    """A server of pictures on loopback, behind TLS, and of what is none."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.decode())
        answer = ANSWERS.get(head.split()[1].decode(), b"HTTP/1.1 404 Not Found\r\n\r\n")
        writer.write(answer)
        if not answer:
            await reader.read()  # until the other side gives up
        writer.close()

    @asynccontextmanager
    async def at(self, folder: Path) -> AsyncIterator[tuple[str, Settings]]:
        """Its URL, and settings under which it may be asked."""
        authority = Authority(folder)
        listening = await asyncio.start_server(self.talk, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        with tls_front(port, authority.sign("DNS:localhost")) as front:
            host = f"localhost:{front.port}"
            yield (
                f"https://{host}",
                Settings(image_url_allow=host, webhook_ca_file=str(authority.file)),
            )
        listening.close()


def ok(body: bytes, headers: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


ANSWERS = {
    "/picture": ok(PICTURE, "Content-Type: text/html\r\n"),
    "/text": ok(b"<html>"),
    "/moved": b"HTTP/1.1 302 Found\r\nLocation: /picture\r\nContent-Length: 0\r\n\r\n",
    "/empty": b"HTTP/1.1 204 No Content\r\n\r\n",
    "/error": b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
    "/short": b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + PICTURE,
    "/huge": ok(PICTURE + bytes(11 * 2**20)),
    "/nothing": b"",
}


@pytest.fixture
async def site(app, tmp_path: Path) -> AsyncIterator[tuple[Site, str]]:
    site, gateway = Site(), app.state.gateway
    async with site.at(tmp_path) as (url, settings):
        opened = Outbound.for_pictures(settings)
        opened._request_s = 2.0
        asking = replace(gateway.inputs, outbound=opened)
        app.state.gateway = replace(gateway, inputs=asking)
        yield site, url


async def test_a_url_is_fetched_once_without_anything_of_ours(client, worker, site) -> None:
    served, url = site
    body = REQUEST | {"image": f"{url}/picture", "mask": f"{url}/picture"}
    headers = {"Idempotency-Key": "k", "Authorization": "Bearer secret"}
    answers = [await client.post("/v1/generations", json=body, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202], answers[0].text
    assert answers[0].json()["request"]["image"] == answers[0].json()["request"]["mask"]
    [head] = served.asked
    assert head.startswith("GET /picture HTTP/1.1\r\n")
    assert "secret" not in head
    assert "cookie" not in head.lower()


async def test_a_dry_run_fetches_nothing(client, worker, site) -> None:
    served, url = site
    body = REQUEST | {"image": f"{url}/picture", "dry_run": True}
    assert (await client.post("/v1/generations", json=body)).status_code == 200
    assert served.asked == []


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/text", "unsupported_image"),
        ("/moved", "fetch_failed"),
        ("/empty", "fetch_failed"),
        ("/error", "fetch_failed"),
        ("/short", "fetch_failed"),
        ("/nothing", "fetch_failed"),
        ("/missing", "fetch_failed"),
        ("/huge", "image_too_large"),
    ],
)
async def test_what_a_url_does_not_give_is_refused(client, worker, site, path, code) -> None:
    served, url = site
    answer = await client.post("/v1/generations", json=REQUEST | {"image": url + path})
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/image"]
    assert len(served.asked) == 1, "nothing is tried twice, and no redirect followed"


async def test_a_public_name_with_a_private_address_is_refused(client, worker, app, site) -> None:
    async def inside(host: str, port: int) -> list[object]:
        return [ip_address("10.0.0.1")]

    opened = replace(app.state.gateway.inputs, outbound=Outbound(Rules(), inside))
    app.state.gateway = replace(app.state.gateway, inputs=opened)
    body = REQUEST | {"image": "https://pictures.example.com/a.png"}
    answer = await client.post("/v1/generations", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "url_not_allowed")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/image"]


async def test_what_webhooks_may_reach_pictures_may_not(settings) -> None:
    opened = Outbound.for_pictures(settings.model_copy(update={"webhook_allow": "10.0.0.1:443"}))
    with pytest.raises(UrlNotAllowed):
        opened.read("https://10.0.0.1/a.png")


async def test_one_tenant_fetches_only_so_many_at_once(client, worker, site, monkeypatch) -> None:
    _, url = site
    monkeypatch.setattr(inputs, "FETCHES_PER_TENANT", 0)
    answer = await client.post("/v1/generations", json=REQUEST | {"image": f"{url}/picture"})
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")

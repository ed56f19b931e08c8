"""Callers' own pictures: uploaded, kept for a while within a quota, private to the tenant."""

import asyncio
import io
import os
from dataclasses import replace

import httpx
import pytest
from PIL import Image

from latentry.client import ApiError, Client
from latentry.contracts import File, FileList
from latentry.errors import FileNotFound, StorageUnavailable
from latentry.ledger import files
from latentry.ledger.keyring import Allowance
from latentry.storage import Storage, key_of, open_storage
from service.access.auth import Caller
from service.doors.native import files as uploads
from service.http import body_room
from service.upkeep.retention import Retention
from tests.hostile.pictures import encoded
from tests.hostile.sockets import Wire
from tests.service.keys import bearer, issue

PNG = {"Content-Type": "image/png"}
PICTURE = encoded("JPEG")
LARGE = encoded("PNG", size=(300, 300), compress_level=0)


async def kept(client: httpx.AsyncClient) -> File:
    answer = await client.post("/v1/files", content=PICTURE, headers={"Content-Type": "image/jpeg"})
    assert answer.status_code == 201, answer.text
    file = File.model_validate_json(answer.content)
    assert answer.headers["location"].endswith(f"/v1/files/{file.id}")
    return file


async def test_a_picture_that_was_sent_can_be_read_back(client) -> None:
    file = await kept(client)
    assert (file.width, file.height, file.content_type) == (40, 24, "image/png")
    assert (file.expires_at - file.created_at).total_seconds() == 86_400
    known = await client.get(f"/v1/files/{file.id}")
    assert File.model_validate_json(known.content) == file
    content = await client.get(f"/v1/files/{file.id}/content")
    assert (content.headers["content-type"], len(content.content)) == ("image/png", file.bytes)
    assert content.headers["content-disposition"].startswith("attachment;")
    assert Image.open(io.BytesIO(content.content)).size == (40, 24)


@pytest.mark.parametrize("name", ["a.png", "../../etc/passwd", 'x"\r\nX-Evil: 1', "\u202egnp.exe"])
async def test_a_form_may_carry_it_and_its_name_means_nothing(client, settings, name: str) -> None:
    answer = await client.post("/v1/files", files={"file": (name, PICTURE, "text/html")})
    assert (answer.status_code, answer.json()["content_type"]) == (201, "image/png")
    assert "x-evil" not in answer.headers
    stored = [str(path) for path in (settings.data_dir / "images").rglob("*") if path.is_file()]
    assert stored
    assert all(path.endswith(f"{answer.json()['id']}/0-0.png") for path in stored)


@pytest.mark.parametrize(
    ("content_type", "body", "status", "code"),
    [
        ("image/png", b"<svg/>", 422, "unsupported_image"),
        ("image/png", b"", 422, "unsupported_image"),
        ("image/png", PICTURE[:200], 422, "broken_image"),
        ("image/svg+xml", b"<svg/>", 415, "unsupported_media_type"),
        ("application/x-python-pickle", PICTURE, 415, "unsupported_media_type"),
        ("application/json", b'{"url": "http://169.254.169.254/"}', 415, "unsupported_media_type"),
        ("", PICTURE, 415, "unsupported_media_type"),
        ("multipart/form-data", PICTURE, 400, "malformed_body"),
        ("multipart/form-data; boundary=b", PICTURE, 400, "malformed_body"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\n\r\n--b--", 400, "malformed_body"),
        ("multipart/form-data; boundary=b", b"--b\r\n" * 3_000 + b"--b--", 400, "malformed_body"),
        ("image/png", b"\0" * (11 * 1024**2), 413, "body_too_large"),
    ],
)
async def test_what_is_no_picture_is_refused(client, content_type, body, status, code) -> None:
    answer = await client.post("/v1/files", content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_picture_whose_type_lies_is_known_by_its_bytes(client) -> None:
    answer = await client.post("/v1/files", content=PICTURE, headers={"Content-Type": "image/webp"})
    assert (answer.status_code, answer.json()["width"]) == (201, 40)


async def test_only_so_many_bytes_are_received_at_once(client, monkeypatch) -> None:
    monkeypatch.setattr(body_room, "LARGE_BYTES", 300_000)
    begins, comes = asyncio.Event(), asyncio.Event()

    async def slowly():
        begins.set()
        yield LARGE[:1]
        await comes.wait()
        yield LARGE[1:]

    headers = PNG | {"Content-Length": str(len(LARGE))}
    first = asyncio.create_task(client.post("/v1/files", content=slowly(), headers=headers))
    await begins.wait()
    answer = await client.post("/v1/files", content=LARGE, headers=PNG)
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert int(answer.headers["retry-after"]) > 0
    assert (await client.get("/v1/models")).status_code == 200
    assert (await client.post("/v1/files", content=PICTURE, headers=PNG)).status_code == 201, (
        "small"
    )
    comes.set()
    assert (await first).status_code == 201
    answer = await client.post("/v1/files", content=LARGE, headers=PNG)
    assert answer.status_code == 201, "there is room again"


async def test_a_body_of_unknown_size_counts_once_it_is_large(client, monkeypatch) -> None:
    monkeypatch.setattr(body_room, "LARGE_BYTES", 0)

    async def chunked(data: bytes):
        for at in range(0, len(data), 10_000):
            yield data[at : at + 10_000]

    for data in (PICTURE, LARGE):
        answer = await client.post("/v1/files", content=chunked(data), headers=PNG)
        assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("stranger", ["", "Authorization: Bearer {key}\r\n"])
def test_slow_uploads_do_not_keep_other_tenants_from_uploading(
    url, ledger, monkeypatch, stranger
) -> None:
    monkeypatch.setattr(body_room, "LARGE_BYTES", 500_000)
    monkeypatch.setattr(body_room, "LARGE_BYTES_PER_TENANT", 200_000)
    slow, other = issue(ledger, "slow"), issue(ledger, "other")
    head = "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 150000\r\n"
    head += stranger.format(key=slow.text) + "\r\n\x89"
    with Wire(url).say(head.encode()), Wire(url).say(head.encode()):
        httpx.get(f"{url}/livez")
        answer = httpx.post(f"{url}/v1/files", content=LARGE, headers=PNG | bearer(other))
        assert answer.status_code == 201, answer.text


async def test_an_upload_without_a_key_gets_401_whatever_its_size(client, ledger) -> None:
    issue(ledger)
    for sent in (b"", b"\x89PNG" * 100_000):
        answer = await client.post("/v1/files", content=sent, headers=PNG)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_an_upload_is_one_of_a_keys_requests(client, ledger) -> None:
    key = issue(ledger, allowance=Allowance(per_minute=1, burst=2))
    for status in (201, 201, 429):
        answer = await client.post("/v1/files", content=PICTURE, headers=PNG | bearer(key))
        assert answer.status_code == status, answer.text
    assert answer.headers["ratelimit"].startswith('"requests";r=0')


async def test_a_compressed_body_is_not_read(client) -> None:
    headers = PNG | {"Content-Encoding": "gzip"}
    answer = await client.post("/v1/files", content=PICTURE, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_a_deleted_file_is_gone_with_its_bytes_and_its_share_of_the_quota(
    client, settings, ledger
) -> None:
    file = await kept(client)
    assert (await client.delete(f"/v1/files/{file.id}")).status_code == 204
    for method, rest in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        answer = await client.request(method, f"/v1/files/{file.id}{rest}")
        assert (answer.status_code, answer.json()["code"]) == (404, "file_not_found")
    assert not [path for path in (settings.data_dir / "images").rglob("*") if path.is_file()]
    assert not ledger.client.keys(f"{ledger.root}:file*")


async def test_a_file_answers_to_others_as_if_it_did_not_exist(app, client) -> None:
    file = await kept(client)
    await_other = uploads.MayUpload.__metadata__[0].dependency
    app.dependency_overrides[await_other] = lambda: Caller("other")
    for method, rest in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        answers = [
            await client.request(method, f"/v1/files/{id}{rest}", headers={"X-Request-ID": "r"})
            for id in (file.id, f"file_{'0' * 32}")
        ]
        problems = [answer.text.replace(file.id, f"file_{'0' * 32}") for answer in answers]
        assert answers[0].status_code == 404
        assert problems[0] == problems[1]
    app.dependency_overrides.clear()
    assert (await client.get(f"/v1/files/{file.id}")).status_code == 200


@pytest.mark.parametrize("id", ["file_", "file_x", "..", "gen_" + "0" * 32, "%2e%2e%2fsigning.key"])
async def test_a_malformed_id_names_no_file(client, id: str) -> None:
    for path in (f"/v1/files/{id}", f"/v1/files/{id}/content"):
        assert (await client.get(path)).status_code in (403, 404)  # 403 where a link is looked for


async def test_a_full_quota_says_when_there_is_room_again(client, app, settings) -> None:
    gateway = app.state.gateway
    few = settings.model_copy(update={"max_files": 1})
    app.state.gateway = replace(gateway, files=replace(gateway.files, settings=few))
    first = await kept(client)
    answer = await client.post("/v1/files", content=PICTURE, headers=PNG)
    assert (answer.status_code, answer.json()["code"]) == (429, "file_quota_exceeded")
    assert 0 < int(answer.headers["retry-after"]) <= 86_400
    assert len([p for p in (settings.data_dir / "images").rglob("*") if p.is_file()]) == 1
    await client.delete(f"/v1/files/{first.id}")
    await kept(client)


def test_keeping_a_file_twice_keeps_it_once(ledger) -> None:
    new = files.NewFile(files.FileRef("t", "file_" + "1" * 32), 10, "0" * 64, 1, 1)
    keep = files.keep(new, ttl_ms=1_000_000, max_files=1, max_bytes=15)
    assert ledger.run(keep) == ledger.run(keep)
    assert ledger.client.get(f"{ledger.root}:filebytes:t") == "10"
    assert ledger.run(files.forget(new.ref))
    assert not ledger.run(files.forget(new.ref))
    assert not ledger.client.exists(f"{ledger.root}:filebytes:t")


async def test_a_file_that_has_had_its_time_is_removed(settings, ledger, async_ledger) -> None:
    ref, storage = files.FileRef("default", "file_" + "1" * 32), open_storage(settings)
    key = key_of(ref.tenant, ref.id, fence=0, index=0, suffix=".png")
    storage.put(key, PICTURE)
    new = files.NewFile(ref, len(PICTURE), "0" * 64, 1, 1)
    ledger.run(files.keep(new, ttl_ms=0, max_files=1, max_bytes=10**6))
    assert ledger.run(files.get(ref)) is None
    await Retention(settings, async_ledger, storage).remove_due_files()
    assert not ledger.client.keys(f"{ledger.root}:file*")
    with pytest.raises(FileNotFound):
        storage.get(key)


async def test_a_file_that_cannot_be_removed_holds_up_no_other(
    settings, ledger, async_ledger
) -> None:
    stuck, other = (files.FileRef("t", "file_" + digit * 32) for digit in "12")
    for ref in (stuck, other):
        new = files.NewFile(ref, 1, "0" * 64, 1, 1)
        ledger.run(files.keep(new, ttl_ms=0, max_files=9, max_bytes=9))

    class Moody(Storage):
        def delete_prefix(self, prefix: str) -> None:
            if stuck.id in prefix:
                raise StorageUnavailable

    opened = open_storage(settings)
    storage = Moody(opened.store, opened.link, opened.root)
    await Retention(settings, async_ledger, storage).remove_due_files()
    assert ledger.client.zrange(f"{ledger.root}:fileends", 0, -1) == [str(stuck)]


async def test_files_survive_the_search_for_orphans(app, client, settings) -> None:
    file = await kept(client)
    [stored] = [path for path in (settings.data_dir / "images").rglob("*") if path.is_file()]
    os.utime(stored, (0, 0))
    await app.state.background.retention.remove_orphans()
    assert (await client.get(f"/v1/files/{file.id}/content")).status_code == 200


def test_the_sdk_sends_and_removes_a_picture(url: str) -> None:
    with Client(url) as client:
        file = client.upload(PICTURE)
        assert (file.width, file.height) == (40, 24)
        client.delete_file(file.id)
        with pytest.raises(ApiError) as refused:
            client.delete_file(file.id)
        assert refused.value.code == "file_not_found"


async def test_files_are_listed_page_by_page_without_those_that_are_gone(client) -> None:
    made = [(await kept(client)).id for _ in range(5)]
    assert (await client.delete(f"/v1/files/{made[2]}")).status_code == 204
    seen, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = FileList.model_validate_json((await client.get("/v1/files", params=query)).content)
        seen.append([file.id for file in page])
        cursor = page.next_cursor
        if cursor is None:
            break
    listed = [one for page in seen for one in page]
    assert list(map(len, seen)) == [2, 2]
    assert sorted(listed) == sorted(set(made) - {made[2]})
    ends = [File.model_validate((await client.get(f"/v1/files/{one}")).json()) for one in listed]
    assert [one.expires_at for one in ends] == sorted((e.expires_at for e in ends), reverse=True)


async def test_a_list_has_only_the_tenant_s_own_files(client, ledger) -> None:
    mine = await kept(client)
    theirs = bearer(issue(ledger, "other"))
    page = await client.get("/v1/files", headers=theirs)
    assert page.json() == {"object": "list", "data": [], "next_cursor": None}
    stolen = await client.get("/v1/files", headers=theirs, params={"cursor": "x"})
    assert (stolen.status_code, stolen.json()["code"]) == (422, "invalid_request")
    assert mine.id not in page.text


async def test_files_that_expire_at_once_are_listed_once(async_ledger) -> None:
    refs = [files.FileRef("default", f"file_{number:032x}") for number in range(7)]
    for ref in refs:
        new = files.NewFile(ref, 1, "0" * 64, 1, 1)
        await async_ledger.run(files.keep(new, ttl_ms=60_000, max_files=9, max_bytes=9))
        key = f"{async_ledger.root}:file:{ref}"
        await async_ledger.client.hset(key, "expires_ms", 10**14)
        await async_ledger.client.zadd(f"{async_ledger.root}:files:default", {str(ref): 10**14})
    found, place = [], None
    while some := await async_ledger.run(files.list_files("default", after=place, limit=3)):
        found += [record.ref for record in some]
        place = (some[-1].expires_ms, some[-1].ref)
    assert found == refs[::-1]

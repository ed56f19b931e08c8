"""Presigned URLs and faults, against a real server; the reader is plain HTTP."""

import socket
import time
from datetime import timedelta
from threading import Thread

import httpx
import pytest

from latentry.errors import FileNotFound, StorageUnavailable
from latentry.storage import open_storage
from latentry.storage import s3 as s3_store
from tests.latentry.storage.conftest import S3Server

KEY = "default/job-1/1-0.png"
BOUND_S = 10.0


def test_a_presigned_url_reads_the_bytes_with_their_type(s3: S3Server) -> None:
    storage = open_storage(s3.settings())
    storage.put(KEY, b"\x89PNG picture")
    answer = httpx.get(storage.url(KEY, expires_s=60))
    assert answer.status_code == 200
    assert answer.content == b"\x89PNG picture"
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"].startswith("attachment; filename=")


def test_objects_lie_under_the_prefix_of_the_url(s3: S3Server) -> None:
    open_storage(s3.settings()).put(KEY, b"picture")
    assert (s3.root / "pictures/deep/down" / KEY).read_bytes() == b"picture"


def test_a_tampered_link_is_refused(s3: S3Server) -> None:
    storage = open_storage(s3.settings())
    storage.put(KEY, b"picture")
    url = storage.url(KEY, expires_s=60)
    last = "0" if url[-1] != "0" else "1"
    assert httpx.get(url[:-1] + last).status_code == 403
    assert httpx.get(url.replace("Expires=60", "Expires=61")).status_code == 403
    assert httpx.get(url.split("?")[0]).status_code in (400, 403)


def test_a_link_expires(s3: S3Server) -> None:
    storage = open_storage(s3.settings())
    storage.put(KEY, b"picture")
    url = storage.url(KEY, expires_s=1)
    deadline = time.monotonic() + 20
    while (status := httpx.get(url).status_code) == 200:
        assert time.monotonic() < deadline
    assert status in (400, 403)


def test_a_wrong_secret_stores_nothing(s3: S3Server) -> None:
    storage = open_storage(s3.settings(s3_secret_key="not-the-secret-of-the-tests"))
    with pytest.raises(StorageUnavailable):
        storage.put("default/refused/1-0.png", b"picture")
    with pytest.raises(FileNotFound):
        open_storage(s3.settings()).get("default/refused/1-0.png")


def test_a_missing_bucket_is_our_fault_and_not_a_missing_file(s3: S3Server) -> None:
    storage = open_storage(s3.settings(storage_url="s3://nobody-made-this"))
    with pytest.raises(StorageUnavailable):
        storage.put(KEY, b"picture")


def test_clients_get_links_for_the_host_they_see(s3: S3Server) -> None:
    # 127.0.0.1 and localhost are one server under two names, as in a container network.
    public = f"http://localhost:{s3.port}"
    storage = open_storage(s3.settings(s3_public_endpoint=public))
    storage.put(KEY, b"picture")
    url = storage.url(KEY, expires_s=60)
    assert url.startswith(f"{public}/pictures/deep/down/{KEY}?")
    assert httpx.get(url).content == b"picture"
    moved = url.replace("localhost", "127.0.0.1")
    assert httpx.get(moved).status_code == 403, "the signature covers the host"


def test_a_server_that_is_down_is_our_fault_and_only_for_now(
    own_s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_store, "_RETRY", timedelta(seconds=0.3))
    storage = open_storage(own_s3.settings())
    own_s3.stop()
    with pytest.raises(StorageUnavailable) as refused:
        storage.put(KEY, b"picture")
    assert refused.value.retryable
    assert str(own_s3.port) not in refused.value.message, "addresses are for logs"
    with pytest.raises(StorageUnavailable):
        storage.get(KEY)
    with pytest.raises(StorageUnavailable):
        storage.delete_prefix("default/job-1")
    assert storage.url(KEY, expires_s=60), "signing needs no server"


def test_a_server_that_accepts_and_says_nothing_is_given_up_within_the_bound() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        server = S3Server(root=None, port=mute.getsockname()[1])  # type: ignore[arg-type]
        storage = open_storage(server.settings())
        began = time.monotonic()
        with pytest.raises(StorageUnavailable):
            storage.put(KEY, b"picture")
        assert time.monotonic() - began < BOUND_S + 1  # a second for a busy machine


def test_an_upload_outlives_a_short_outage(own_s3: S3Server) -> None:
    storage = open_storage(own_s3.settings())
    own_s3.stop()
    uploads = Thread(target=storage.put, args=(KEY, b"picture"))
    uploads.start()
    own_s3.start()
    uploads.join()
    assert storage.get(KEY) == b"picture"

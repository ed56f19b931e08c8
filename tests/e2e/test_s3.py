"""The same path with an S3 server in place of the disk."""

from pathlib import Path

import httpx

from latentry.client import Client
from tests.e2e.conftest import settings_for
from tests.e2e.processes import Stack
from tests.latentry.storage.conftest import S3Server
from tests.valkey import Valkey, free_port


def test_pictures_come_straight_from_the_bucket(valkey: Valkey, tmp_path: Path) -> None:
    server = S3Server(tmp_path / "s3", free_port())
    (server.root / "pictures").mkdir(parents=True)
    server.start()
    bucket = {
        "storage_url": "s3://pictures/deep",
        "s3_endpoint": server.endpoint,
        "s3_access_key": "latentry-test",
        "s3_secret_key": "a-secret-of-the-tests",
    }
    try:
        with Stack(settings_for(valkey, tmp_path, "e2e-s3", **bucket)) as stack:
            stack.start_worker()
            with Client(stack.url) as client:
                job = client.generate("a red circle on a blue background", seed=7)
                assert job.images[0].url.startswith(server.endpoint)
                assert client.download(job.images[0]).startswith(b"\x89PNG")
                # Clients that send their key along get the gateway's own URL: S3 refuses a key
                # beside its signature.
                listed = httpx.get(f"{stack.url}/replicate/v1/predictions").json()["results"]
                [url] = listed[0]["output"]
                assert url.startswith(f"{stack.url}/v1/files/")
                kept = httpx.get(url, headers={"Authorization": "Bearer any"})
                assert kept.content == client.download(job.images[0])
                assert len(list(server.root.rglob("*.png"))) == 1
                client.delete(job.id)
                assert list(server.root.rglob("*.png")) == []
    finally:
        server.stop()

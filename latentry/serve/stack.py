"""The whole service on one machine: Valkey, worker, gateway; up in this order, down in reverse."""

import asyncio
import fcntl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from pydantic import SecretStr

from latentry.errors import ConfigurationError, LatentryError
from latentry.serve.apps import check_rooms, command
from latentry.serve.child import Child
from latentry.serve.ports import check_ports, free_port
from latentry.serve.supervisor import Supervisor
from latentry.serve.valkey import Valkey
from latentry.settings import PREFIX, Settings

# Beyond what each promises: a worker finishes its step and hands its jobs back.
GATEWAY_GRACE_S: Final = 10.0
WORKER_GRACE_S: Final = 20.0
# A child that dies this often before the stack ever stood will not stand at all.
HOPELESS: Final = 3
LOOK_S: Final = 0.1

Say = Callable[[str], None]


class StartFailed(LatentryError):
    """A part of the service does not start."""

    code = "start_failed"


class StartRefused(StartFailed):
    """The settings make no service."""

    code = "start_refused"


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs, and the settings it runs under."""

    settings: Settings
    keepers: list[Supervisor]

    @property
    def local_url(self) -> str:
        """The gateway as this machine reaches it, whatever its public address."""
        return self.settings.model_copy(update={"public_url": ""}).base_url

    def check(self) -> None:
        """Raises StartFailed when a child has died too often, or for a reason that stays."""
        for keeper in self.keepers:
            if keeper.is_refused:
                raise StartRefused(
                    f"The {keeper.child.name} refuses these settings; its own lines above say why."
                )
            if keeper.quick_deaths >= HOPELESS:
                raise StartFailed(
                    f"The {keeper.child.name} ended {HOPELESS} times before it was ready; "
                    "its own lines above say why."
                )


@asynccontextmanager
async def standing(
    settings: Settings, env: Mapping[str, str], *, output: TextIO, say: Say
) -> AsyncIterator[Stack]:
    """The stack, started but not yet ready; on leaving, all of it has stopped."""
    check_rooms(settings)
    with _sole(settings.data_dir):
        check_ports(settings)
        if settings.port == 0:
            settings = settings.model_copy(update={"port": free_port(settings.host)})
        async with AsyncExitStack() as exits:
            stack = Stack(settings, [])

            def keep(child: Child) -> None:
                keeper = Supervisor(child, output, say)
                exits.push_async_callback(keeper.stop)
                stack.keepers.append(keeper)
                keeper.start()

            if "redis_url" not in settings.model_fields_set:
                valkey = await _valkey(settings.data_dir / "valkey")
                keep(valkey.child(env))
                await _answering(valkey, stack)
                settings = settings.model_copy(update={"redis_url": SecretStr(valkey.url)})
            theirs = _env_of(settings, env)
            keep(Child("worker", command("worker"), theirs, WORKER_GRACE_S))
            keep(Child("gateway", command("service"), theirs, GATEWAY_GRACE_S))
            yield stack


@contextmanager
def _sole(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "serve.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(
                f"Another `latentry serve` keeps its data in {folder}; stop it, or set "
                "LATENTRY_DATA_DIR to another folder."
            ) from error
        yield


async def _valkey(folder: Path) -> Valkey:
    last = Valkey.last(folder)
    if last:
        await last.leave()  # the lock is ours: whoever started it is dead
    return Valkey.fresh(folder)


async def _answering(valkey: Valkey, stack: Stack) -> None:
    while not await valkey.answers():
        stack.check()
        await asyncio.sleep(LOOK_S)


def _env_of(settings: Settings, env: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in env.items() if not name.startswith(PREFIX)}
    return inherited | settings.to_env() | {"PYTHONUNBUFFERED": "1"}

"""The whole service on one machine: Valkey, workers and gateway start in this order and stop in
reverse.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TextIO

from pydantic import SecretStr

from latentry.errors import LatentryError
from latentry.serve.apps import check_apps, command
from latentry.serve.child import Child
from latentry.serve.lock import locked
from latentry.serve.ports import check_ports, free_port
from latentry.serve.supervisor import Supervisor
from latentry.serve.valkey import Valkey
from latentry.serve.workers import workers
from latentry.settings import PREFIX, Settings

GATEWAY_GRACE_S: Final = 10.0  # more than it needs to stop
# A child that dies this often before the stack is ready will not start at all.
MAX_QUICK_DEATHS: Final = 3
POLL_S: Final = 0.01  # it is up in hundredths of a second

Say = Callable[[str], None]


class StartFailed(LatentryError):
    """A part of the service did not start."""

    code = "start_failed"


class StartRefused(StartFailed):
    """A part of the service rejected the settings."""

    code = "start_refused"


@dataclass(frozen=True, slots=True)
class Stack:
    """The running processes and their settings."""

    settings: Settings
    supervisors: list[Supervisor]

    @property
    def local_url(self) -> str:
        """The URL of the gateway on this machine, whatever its public URL."""
        return self.settings.model_copy(update={"public_url": ""}).base_url

    def check(self) -> None:
        """Raises StartFailed if a child died too often or rejected its settings."""
        for supervisor in self.supervisors:
            name = supervisor.child.name
            if supervisor.is_refused:
                raise StartRefused(f"The {name} rejected the settings; see its output above.")
            if supervisor.quick_deaths >= MAX_QUICK_DEATHS:
                raise StartFailed(
                    f"The {name} ended {MAX_QUICK_DEATHS} times before it was ready; "
                    "see its output above."
                )


@asynccontextmanager
async def running(
    settings: Settings, env: Mapping[str, str], *, output: TextIO, say: Say
) -> AsyncIterator[Stack]:
    """The stack, started but not yet ready; when the context exits, all of it has stopped."""
    check_apps(settings)
    async with locked(settings.data_dir) as lock:
        check_ports(settings)
        if settings.port == 0:
            settings = settings.model_copy(update={"port": free_port(settings.host)})
        _ensure_certificate(settings, say)
        async with AsyncExitStack() as exits:
            stack = Stack(settings, [])

            def keep(child: Child) -> None:
                supervisor = Supervisor(replace(child, holds=(lock,)), output, say)
                exits.push_async_callback(supervisor.stop)
                stack.supervisors.append(supervisor)
                supervisor.start()

            if "redis_url" not in settings.model_fields_set:
                valkey = await _valkey(settings.data_dir / "valkey")
                keep(valkey.child(env))
                await _wait_for(valkey, stack)
                settings = settings.model_copy(update={"redis_url": SecretStr(valkey.url)})
            child_env = _env_of(settings, env)
            for worker in workers(settings, child_env):
                keep(worker)
            keep(Child("gateway", command("service"), child_env, GATEWAY_GRACE_S))
            await asyncio.sleep(0)  # they start before the caller prepares anything
            yield stack


def _ensure_certificate(settings: Settings, say: Say) -> None:
    """Pictures are signed from the first one on, if only by a certificate that nobody knows."""
    from latentry.provenance.signing.development import ensure_chain  # not of the SDK's extras

    if not settings.c2pa_certificate_file and ensure_chain(settings.c2pa_folder):
        say(f"A development certificate that signs pictures was made in {settings.c2pa_folder}.")


async def _valkey(folder: Path) -> Valkey:
    previous = Valkey.previous(folder)
    if previous:
        await previous.shut_down()  # we hold the lock, so the process that started it is dead
    return Valkey.new(folder)


async def _wait_for(valkey: Valkey, stack: Stack) -> None:
    while not await valkey.answers():
        stack.check()
        await asyncio.sleep(POLL_S)


def _env_of(settings: Settings, env: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in env.items() if not name.startswith(PREFIX)}
    return inherited | settings.to_env() | {"PYTHONUNBUFFERED": "1"}

"""The command that `latentry doctor` starts."""

import os
from collections.abc import Iterator, Mapping
from typing import Annotated

import typer
from pydantic import SecretStr

from latentry.admin.doctor import machine, packages, stores
from latentry.cli.doctor.findings import Finding, fault, ok, tell
from latentry.errors import ConfigurationError
from latentry.serve.valkey import Valkey
from latentry.settings import Settings


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print each line as JSON.")] = False,
) -> None:
    """Tell whether this machine has what the service needs, and what to do if not."""
    raise typer.Exit(tell(examine(os.environ), as_json=as_json))


def examine(env: Mapping[str, str]) -> Iterator[Finding]:
    """Look at all that the settings in these variables name."""
    yield from packages.examine()
    try:
        settings = Settings.from_env(env)
    except ConfigurationError as error:
        yield fault("settings", error.message)
        return
    yield ok("settings", f"valid; the data folder is {settings.data_dir.absolute()}.")
    running = Valkey.previous(settings.data_dir / "valkey")
    is_own = "redis_url" not in settings.model_fields_set
    if is_own and running is not None:
        settings = settings.model_copy(update={"redis_url": SecretStr(running.url)})
    is_up = yield from stores.redis(settings, is_own=is_own)
    yield from stores.storage(settings)
    yield from machine.models(settings)
    yield machine.device(settings)
    yield machine.ports(settings, is_running=is_own and is_up)

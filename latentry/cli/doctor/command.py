"""`latentry doctor`."""

import subprocess
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from latentry.cli.connect import DEFAULT_URL, ApiKey, Url
from latentry.cli.doctor import service
from latentry.cli.doctor.findings import ok, tell
from latentry.cli.exits import Exit


def doctor(
    here: Annotated[
        bool,
        typer.Option(
            "--here/--service-only",
            help="Look at this machine too: settings, Redis, storage, models, device, packages,"
            " ports.",
        ),
    ] = True,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print each line as JSON.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Tell whether a service is well, and what to do if not.

    Each line is ok, a warning or a fault; exit code 1 if there is a fault. The settings of this
    machine are the LATENTRY_* variables of this shell, as for `latentry serve`.
    """
    code: int = tell(service.examine(url, api_key), as_json=as_json)
    if here and find_spec("redis") is None:
        tell([ok("machine", "not looked at: it has the client alone.")], as_json=as_json)
    elif here:
        # The ledger is not for clients: that process looks at it.
        command = [sys.executable, "-m", "latentry.admin", "doctor", *(["--json"] * as_json)]
        sys.stdout.flush()
        code = max(code, subprocess.call(command))  # noqa: S603 - the user's own machine
    raise typer.Exit(min(code, Exit.FAILED))

"""Commands of the ledger, which the client must not import: they run as `latentry.admin`."""

import subprocess
import sys

import typer

# That process parses the options and answers --help.
SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def keys(context: typer.Context) -> None:
    """Create, list, rotate and revoke API keys, on the machine of the service."""
    _run("keys", context)


def webhooks(context: typer.Context) -> None:
    """Create the secrets that sign webhooks, on the machine of the service."""
    _run("webhooks", context)


def _run(command: str, context: typer.Context) -> None:
    arguments = [sys.executable, "-m", "latentry.admin", command, *context.args]
    raise typer.Exit(subprocess.call(arguments))  # noqa: S603 - the user's own arguments

"""What is the ledger's own, which this room does not know: another process asks it."""

import subprocess
import sys

import typer

# Options and --help are that process's.
SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def keys(context: typer.Context) -> None:
    """Make, list, rotate and revoke API keys, on the service's own machine."""
    _ask("keys", context)


def webhooks(context: typer.Context) -> None:
    """Make the secrets that sign notices, on the service's own machine."""
    _ask("webhooks", context)


def _ask(about: str, context: typer.Context) -> None:
    command = [sys.executable, "-m", "latentry.admin", about, *context.args]
    raise typer.Exit(subprocess.call(command))  # noqa: S603 - the user's own words to us

"""`latentry keys`. Keys are the ledger's, which this room does not know: another process asks."""

import subprocess
import sys

import typer

# Options and --help are that process's.
SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def keys(context: typer.Context) -> None:
    """Make, list, rotate and revoke API keys, on the service's own machine."""
    command = [sys.executable, "-m", "latentry.admin", *context.args]
    raise typer.Exit(subprocess.call(command))  # noqa: S603 - the user's own words to us

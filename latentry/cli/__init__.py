"""The command line, on top of the SDK. It needs the `cli` extra."""

import sys

from latentry.errors import InvalidRequest, LatentryError

EXTRA = {"typer", "rich"}
FAILED, MISUSED = 1, 2


def main() -> None:
    """Run the command line; an error is one sentence on standard error."""
    try:
        from latentry.cli.app import app
    except ModuleNotFoundError as missing:
        if missing.name not in EXTRA:
            raise
        sys.exit("The command line needs an extra: pip install 'latentry[cli]'")
    try:
        app()
    except InvalidRequest as error:
        _exit(str(error), MISUSED)
    except (LatentryError, OSError) as error:
        _exit(str(error), FAILED)


def _exit(sentence: str, code: int) -> None:
    sys.stderr.write(f"latentry: {sentence}\n")
    sys.exit(code)

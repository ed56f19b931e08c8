"""`python -m latentry.admin keys …` and `webhooks …`, which `latentry` starts."""

import sys

from latentry.errors import LatentryError

_EXTRAS = {"typer": "cli", "rich": "cli", "redis": "server"}


def main() -> None:
    """Run the command line; an error is one sentence on standard error."""
    try:
        from latentry.admin.app import app
    except ModuleNotFoundError as missing:
        extra = _EXTRAS.get(missing.name or "")
        if extra is None:
            raise
        sys.exit(f"This command needs an extra: pip install 'latentry[{extra}]'")
    from latentry.cli.exits import exit_of

    try:
        app(prog_name="latentry")
    except LatentryError as error:
        sys.stderr.write(f"latentry: {error}\n")
        sys.exit(exit_of(error))


if __name__ == "__main__":
    main()

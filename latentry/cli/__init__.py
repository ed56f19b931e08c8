"""The command line, on top of the SDK. It needs the `cli` extra."""

import codecs
import io
import os
import sys
from collections.abc import Callable

from latentry.errors import LatentryError

EXTRA = {"typer", "rich"}


def escaped(error: UnicodeError) -> tuple[str, int]:
    """Characters that a stream's encoding lacks as JSON writes them, so that JSON stays itself."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = zip(units[::2], units[1::2], strict=True)
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in pairs), error.end


codecs.register_error("latentry.escaped", escaped)


def open_streams() -> None:
    """Open what the shell closed (`>&-`), or a connection would get its number, and our texts.

    Or those of a process that we start.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = open(os.devnull, mode)  # noqa: SIM115 - as long as the process
            os.set_inheritable(nowhere.fileno(), True)
            setattr(sys, name, nowhere)


def _app(arguments: list[str]) -> Callable[..., None]:
    if arguments == ["serve"]:  # without the SDK, which all others import
        from latentry.cli.serve import alone

        return alone()
    from latentry.cli.app import app

    return app


def main() -> None:
    """Run the command line; an error is one sentence on standard error."""
    try:
        app = _app(sys.argv[1:])
    except ModuleNotFoundError as missing:
        if missing.name not in EXTRA:
            raise
        sys.exit("The command line needs an extra: pip install 'latentry[cli]'")
    from latentry.cli.exits import exit_of

    open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not what tests put there
            # A terminal that is not of UTF-8 shows ? instead of a bar or a foreign letter.
            stream.reconfigure(errors="replace" if stream.isatty() else "latentry.escaped")
    try:
        app(prog_name="latentry")
    except LatentryError as error:
        sys.stderr.write(f"latentry: {error}\n")
        sys.exit(exit_of(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"latentry: {where}{error.strerror or error}\n")
        sys.exit(exit_of(error))

"""How every command finds the service."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import typer

from latentry.client import Client, ProxyFailed, Retries, TlsFailed, Unreachable

Url = Annotated[
    str, typer.Option("--url", metavar="URL", envvar="LATENTRY_URL", help="URL of the service.")
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        metavar="KEY",
        envvar="LATENTRY_API_KEY",
        help="API key, if the service needs one.",
    ),
]
DEFAULT_URL: Final = "http://127.0.0.1:8000"


@contextmanager
def connect(url: str, api_key: str | None) -> Iterator[Client]:
    """A client of the service. Raises Unreachable with how to start one."""
    # A user waits at the terminal: a missing service must be reported within about a second.
    with Client(url, api_key=api_key, retries=Retries(attempts=3, first_s=0.3)) as client:
        try:
            yield client
        except (ProxyFailed, TlsFailed):  # another service would not help
            raise
        except Unreachable as error:
            raise Unreachable(
                f"{error} Start a service with `latentry serve` (or `make run`), or set its URL "
                "with --url."
            ) from error

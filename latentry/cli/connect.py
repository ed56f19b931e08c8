"""How every command finds the service."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from latentry.client import Client, Retries, Unreachable

Url = Annotated[str, typer.Option("--url", envvar="LATENTRY_URL", help="Where the service is.")]
ApiKey = Annotated[
    str | None, typer.Option("--api-key", envvar="LATENTRY_API_KEY", help="Your key, if it asks.")
]
HERE = "http://127.0.0.1:8000"


@contextmanager
def connect(url: str, api_key: str | None) -> Iterator[Client]:
    """A client of the service; if nobody is there, the error says how to start one."""
    # A person waits: a service that is not there shall be missed within a second.
    with Client(url, api_key=api_key, retries=Retries(attempts=3, first_s=0.3)) as client:
        try:
            yield client
        except Unreachable as error:
            raise Unreachable(
                f"{error} Start a service with `latentry serve` (or `make run`), or say where "
                "one is with --url."
            ) from error

"""Our fields by the names that another API's clients sent."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from latentry.errors import InvalidRequest


@contextmanager
def named_as_sent(names: Mapping[str, str]) -> Iterator[None]:
    """What is wrong with a field of ours is wrong with the one that was sent: `names` of it."""
    try:
        yield
    except InvalidRequest as error:
        named = {at.removeprefix("/"): why for at, why in error.fields.items()}
        error.fields = {f"/{names.get(name, name)}": why for name, why in named.items()}
        raise

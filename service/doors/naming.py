"""Our fields by the names that another API's clients sent."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from latentry.errors import InvalidRequest


@contextmanager
def named_as_sent(names: Mapping[str, str], others: str = "") -> Iterator[None]:
    """What is wrong with a field of ours is wrong with the one that was sent.

    `names`: the places of those that have another name, such as `input/scheduler` for `sampler`.
    `others`: where all others are, such as `input`.
    """
    try:
        yield
    except InvalidRequest as error:
        error.fields = {_as_sent(at, names, others): why for at, why in error.fields.items()}
        raise


def _as_sent(pointer: str, names: Mapping[str, str], others: str) -> str:
    place = pointer.removeprefix("/")
    if sent := names.get(place) or names.get(place.partition("/")[0]):
        return f"/{sent}"
    return f"/{others}/{place}" if others else f"/{place}"

"""The `Idempotency-Key` header, as every door that creates jobs takes it."""

import re
from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import Header

from latentry.errors import IdempotencyConflict, InvalidIdempotencyKey
from latentry.ledger import JobRef, commands
from service.gateway import Gateway

_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="1 to 255 printable ASCII characters. The same key with the same body returns"
        " the same job.",
        # Documented here; `submit` checks it, with an error code of its own.
        json_schema_extra={"pattern": r"^[\x20-\x7e]{1,255}$"},
    ),
]


def check(key: str | None) -> None:
    """Raises InvalidIdempotencyKey."""
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidIdempotencyKey


def own_keys(key: str | None, count: int) -> list[str | None]:
    """Of each job of a request that makes several: the header's key, a colon and a number from 0.

    Raises InvalidIdempotencyKey.
    """
    if key is None:
        return [None] * count
    check(key)
    keys: list[str | None] = [f"{key}:{number}" for number in range(count)]
    check(keys[-1])
    return keys


async def find_new(gateway: Gateway, tenant: str, keys: Sequence[str | None]) -> list[int]:
    """The places of those whose jobs do not exist yet, which count against the key's rate."""
    named = [key for key in keys if key is not None]
    known = await gateway.ledger.run(commands.find_repeats(tenant, named)) if named else {}
    return [place for place, key in enumerate(keys) if key not in known]


async def find(gateway: Gateway, tenant: str, key: str, body_hash: str) -> JobRef | None:
    """The job that was created under this key. Raises IdempotencyConflict for another body's."""
    known = (await gateway.ledger.run(commands.find_repeats(tenant, [key]))).get(key)
    if known is None:
        return None
    ref, its_hash = known
    if its_hash != body_hash:
        raise IdempotencyConflict
    return ref

"""The `Idempotency-Key` header, as every door that creates jobs takes it."""

from typing import Annotated, Final

from fastapi import Header

MAX_KEY: Final = 255  # characters

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

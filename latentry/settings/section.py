"""What all sections of the settings have in common."""

from pathlib import Path
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from latentry.local_path import local_path

PREFIX: Final = "LATENTRY_"
# Ten years. Redis refuses expiry times near 2^63 ms, and only in the middle of a script.
MAX_TTL_S: Final = 315_360_000


# One of a few words, in any case.
Word: TypeAlias = Annotated[
    str, BeforeValidator(lambda text: text.lower() if isinstance(text, str) else text)
]
LocalPath: TypeAlias = Annotated[
    Path, BeforeValidator(lambda text: local_path(text) if isinstance(text, str) else text)
]
# The same, where empty means none.
LocalPathText: TypeAlias = Annotated[
    str, AfterValidator(lambda text: text and str(local_path(text)))
]


class Section(BaseModel):
    """Some fields of Settings. Names end in their unit: `_s` seconds, `_bytes` bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

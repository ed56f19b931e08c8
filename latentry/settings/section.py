"""What all sections of the settings have in common."""

from typing import Final

from pydantic import BaseModel, ConfigDict

PREFIX: Final = "LATENTRY_"
# Ten years. Redis refuses expiry times near 2^63 ms, and only in the middle of a script.
MAX_TTL_S: Final = 315_360_000


class Section(BaseModel):
    """Some fields of Settings. Names end in their unit: `_s` seconds, `_bytes` bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

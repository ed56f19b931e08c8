"""The optional `latentry.json` of a model: what its files do not contain, or have wrong."""

import json
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from latentry.contracts import Sampler, Spacing
from latentry.errors import ConfigurationError

OVERRIDES_FILE: Final = "latentry.json"


class Overrides(BaseModel):
    """Entries that win over what is read off a model's files; docs/models.md explains them.

    Sides are in pixels. Another `strict_rows`, the rows of each call of strict mode, makes other
    pixels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str | None = None  # the makers' own; LATENTRY_MODELS decides the id here
    native_width: int | None = None
    native_height: int | None = None
    default_steps: int = Field(30, ge=1)
    default_guidance_scale: float | None = None
    default_sampler: Sampler | None = None
    default_spacing: Spacing | None = None
    min_side: int = 64
    max_side: int | None = None
    size_step: int = 8
    max_steps: int = 150
    strict_rows: int = Field(8, ge=2)
    prediction_type: str | None = None
    rescale_betas_zero_snr: bool | None = None

    @property
    def scheduler(self) -> dict[str, Any]:
        """Those of the noise schedule, as diffusers' scheduler configs name them."""
        names = {"prediction_type", "rescale_betas_zero_snr"}
        return self.model_dump(include=names, exclude_none=True)


def read_overrides(file: Path) -> Overrides:
    """A file's overrides; none if there is no file. Raises ConfigurationError."""
    try:
        text = file.read_text("utf-8-sig") if file.exists() else "{}"
        return Overrides.model_validate(json.loads(text))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} is not usable: {error}") from error

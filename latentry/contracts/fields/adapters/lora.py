"""LoRAs: adapters that a request names, each with its weights."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from latentry.contracts.fields.bounds import MAX_LORA_WEIGHT, MAX_LORAS
from latentry.contracts.wire import RequestModel, ResponseModel

# What a tag of AUTOMATIC1111's can name.
ADAPTER_ID: Final = r"^[^\x00-\x1f\x7f:<>,\s]([^\x00-\x1f\x7f:<>,]{0,126}[^\x00-\x1f\x7f:<>,\s])?$"

_Weight = Annotated[float, Field(strict=True, ge=-MAX_LORA_WEIGHT, le=MAX_LORA_WEIGHT)]


class WantedLora(RequestModel):
    """A LoRA by its id, and how strongly it is applied."""

    id: Annotated[str, StringConstraints(pattern=ADAPTER_ID)] = Field(
        description="An id of `GET /v1/adapters`, capitals or not where that is unambiguous."
    )
    weight: _Weight = Field(1.0, description="Times its effect on the UNet; may be negative.")
    text_encoder_weight: _Weight | None = Field(
        None, description="Times its effect on the text encoders; `weight` if omitted."
    )
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None,
        description="Of the file that is meant; the request is refused if the service has another"
        " one under this id. The service sets it.",
    )
    autov3: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")] | None = Field(
        None, description="The service sets it; sent back it changes nothing."
    )


class Lora(ResponseModel):
    """A LoRA that a job uses: which file, and how strongly."""

    id: str
    weight: float
    text_encoder_weight: float
    sha256: str
    autov3: str = ""

    @property
    def has_effect(self) -> bool:
        """Whether it changes anything."""
        return bool(self.weight or self.text_encoder_weight)


Loras = Annotated[
    tuple[WantedLora, ...],
    Field(
        max_length=MAX_LORAS,
        description="LoRAs to apply: {id, weight (1.0), text_encoder_weight (the same)}. In a"
        " `weighted` prompt `<lora:id:0.8>` means the same, as does AUTOMATIC1111's"
        " `<lora:id:text encoder's weight:weight>`.",
    ),
]

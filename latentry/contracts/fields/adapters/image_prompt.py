"""Image prompts: pictures that a request brings as prompts, each by an IP-Adapter."""

from typing import Annotated

from pydantic import Field, StringConstraints

from latentry.contracts.fields.adapters.lora import ADAPTER_ID
from latentry.contracts.fields.bounds import MAX_IMAGE_PROMPT_WEIGHT, MAX_IMAGE_PROMPTS
from latentry.contracts.fields.inputs import InputFile, PromptImage
from latentry.contracts.wire import RequestModel, ResponseModel

ImagePromptWeight = Annotated[
    float, Field(strict=True, ge=-MAX_IMAGE_PROMPT_WEIGHT, le=MAX_IMAGE_PROMPT_WEIGHT)
]


class WantedImagePrompt(RequestModel):
    """A picture, the IP-Adapter that reads it, and how much it counts."""

    id: Annotated[str, StringConstraints(pattern=ADAPTER_ID)] = Field(
        description="An id of `GET /v1/adapters`, of the kind `ip_adapter`, capitals or not where"
        " that is unambiguous."
    )
    image: PromptImage
    weight: ImagePromptWeight = Field(1.0, description="Times its effect; may be negative.")
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None,
        description="Of the adapter that is meant; the request is refused if the service has"
        " another one under this id. The service sets it.",
    )


class ImagePrompt(ResponseModel):
    """An image prompt of a job: which picture, read by which adapter, and how much it counts."""

    id: str
    image: InputFile
    weight: float
    sha256: str

    @property
    def has_effect(self) -> bool:
        """Whether it changes anything."""
        return bool(self.weight)


ImagePrompts = Annotated[
    tuple[WantedImagePrompt, ...],
    Field(
        max_length=MAX_IMAGE_PROMPTS,
        description="Pictures to draw after, each read by an IP-Adapter: {id, image, weight (1.0)}."
        " Those of one adapter are looked at together.",
    ),
]

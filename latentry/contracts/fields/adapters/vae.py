"""Another VAE than the model's own, by its id."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from latentry.contracts.fields.adapters.lora import ADAPTER_ID
from latentry.contracts.wire import RequestModel, ResponseModel


class WantedVae(RequestModel):
    """A VAE by its id, which may stand for it, and its file."""

    id: Annotated[str, StringConstraints(pattern=ADAPTER_ID)] = Field(
        description="An id of `GET /v1/adapters`, capitals or not where that is unambiguous."
    )
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None,
        description="Of the file that is meant; the request is refused if the service has another"
        " one under this id. The service sets it.",
    )

    @model_validator(mode="before")
    @classmethod
    def _of_id(cls, body: Any) -> Any:
        return {"id": body} if isinstance(body, str) else body


class Vae(ResponseModel):
    """A VAE that a job uses: which file."""

    id: str
    sha256: str


VaeOption = Annotated[
    WantedVae | None,
    Field(
        description="Id of the VAE that decodes the images, and encodes pictures that they start"
        " from; the model's own if omitted."
    ),
]

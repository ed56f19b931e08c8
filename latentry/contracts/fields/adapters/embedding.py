"""Embeddings: adapters that a prompt names, vectors in the place of words."""

from typing import Annotated

from pydantic import Field, StringConstraints

from latentry.contracts.fields.adapters.lora import ADAPTER_ID
from latentry.contracts.fields.bounds import MAX_EMBEDDINGS
from latentry.contracts.wire import RequestModel, ResponseModel


class WantedEmbedding(RequestModel):
    """An embedding that the prompts may name, by its id."""

    id: Annotated[str, StringConstraints(pattern=ADAPTER_ID)] = Field(
        description="An id of `GET /v1/adapters`, capitals or not where that is unambiguous."
    )
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None,
        description="Of the file that is meant; the request is refused if the service has another"
        " one under this id. The service sets it.",
    )
    vectors: Annotated[int, Field(strict=True, ge=1)] | None = Field(
        None, description="The service sets it; sent back it changes nothing."
    )


class Embedding(ResponseModel):
    """An embedding that a job's prompts name: which file, and how many tokens its name takes."""

    id: str
    sha256: str
    vectors: int


Embeddings = Annotated[
    Annotated[tuple[WantedEmbedding, ...], Field(max_length=MAX_EMBEDDINGS)] | None,
    Field(
        description="The embeddings that the prompts may name: {id}. If omitted, all that fit the"
        " model, and in a `plain` prompt none. A name is the id alone, `<id>` or `embedding:id`."
    ),
]

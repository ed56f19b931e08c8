"""Adapters in the catalogue: files that change a model for the rows of one request."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field

from latentry.contracts.samplers import Sampler, Spacing
from latentry.contracts.wire import Listing, ResponseModel


class AdapterKind(StrEnum):
    """What an adapter is, as its file says."""

    LORA = "lora"
    VAE = "vae"
    CONTROLNET = "controlnet"
    IP_ADAPTER = "ip_adapter"
    EMBEDDING = "embedding"
    T2I_ADAPTER = "t2i_adapter"

    @property
    def article(self) -> str:
        """Its name in a sentence."""
        return {
            AdapterKind.LORA: "a LoRA",
            AdapterKind.VAE: "a VAE",
            AdapterKind.EMBEDDING: "an embedding",
            AdapterKind.CONTROLNET: "a ControlNet",
            AdapterKind.T2I_ADAPTER: "a T2I-Adapter",
            AdapterKind.IP_ADAPTER: "an IP-Adapter",
        }[self]


class Suggestion(ResponseModel):
    """What a LoRA for few steps is made to be used with; requests say it themselves."""

    sampler: Sampler
    spacing: Spacing
    num_inference_steps: int
    guidance_scale: float


class Adapter(ResponseModel):
    """An adapter that workers have, as they read its file."""

    id: str
    kind: AdapterKind = AdapterKind.LORA
    family: str = Field(description="The kind of model that it was made for, such as `SDXL`.")
    models: tuple[str, ...] = Field(description="The served models that it fits.")
    sha256: str = Field(description="Of the whole file, or of all files of a folder.")
    autov3: str = Field(
        description="First 12 digits of the SHA-256 of its weights, by which AUTOMATIC1111 and"
        " Civitai know the file."
    )
    size_bytes: int
    rank: int = Field(0, description="The largest rank of a LoRA's layers; 0 of other kinds.")
    vectors: int = Field(
        0, description="How many tokens of a prompt an embedding's name takes; 0 of other kinds."
    )
    size_step: int = Field(
        1,
        description="Width and height of an image that uses it must be multiples of so many pixels,"
        " if that is more than the model's own `size_step`.",
    )
    networks: tuple[str, ...] = Field(
        description="What it changes: `unet`, `text_encoder`, `text_encoder_2`, `vae`."
    )
    reason: str | None = Field(None, description="Why it fits none of the models, if so.")
    resident_on: int = Field(0, description="Number of live workers that have it in memory.")
    title: str | None = None
    trigger_words: tuple[str, ...] = Field(
        (),
        description="What its metadata say that a prompt should contain; of an embedding its id.",
    )
    suggests: Suggestion | None = Field(
        None,
        description="Of a LoRA that was distilled for few steps, by its name: what to draw with.",
    )

    def named(self, id: str) -> Self:
        """The same under this id, which is the word that names an embedding in a prompt."""
        words = (id,) if self.kind is AdapterKind.EMBEDDING else self.trigger_words
        return self.model_copy(update={"id": id, "trigger_words": words})


class AdapterList(Listing[Adapter]):
    """`GET /v1/adapters`."""

    object: Literal["list"] = "list"

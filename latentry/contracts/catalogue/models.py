"""What a model supports: its card in the catalogue, and the list that clients read."""

from typing import Literal

from pydantic import Field

from latentry.contracts.catalogue.adapters import Adapter
from latentry.contracts.fields.sampling import ModelId
from latentry.contracts.outputs import ClipFormat
from latentry.contracts.samplers import Sampler, Spacing
from latentry.contracts.wire import Listing, ResponseModel


class Limits(ResponseModel):
    """The limits of requests to this model. Sizes in pixels."""

    min_side: int = 64
    max_side: int
    size_step: int = 8
    max_steps: int = 150
    max_clip_skip: int = 0
    size_conditioning: bool = Field(
        False,
        description="Supports original_size, crops_coords_top_left and target_size (SDXL).",
    )
    images: bool = Field(False, description="Supports `image` and `mask`.")
    edits: bool = Field(
        False,
        description="Edits `image`, which it requires, as the prompt says (InstructPix2Pix); "
        "supports image_guidance_scale.",
    )
    refines: bool = Field(
        False,
        description="Refines `image`, which it requires (SDXL's refiner); without target_size.",
    )
    previews: bool = Field(False, description="Supports preview_interval.")
    clips: tuple[ClipFormat, ...] = Field(
        (), description="Formats in which its workers write the frames of a job as one file."
    )
    max_frames: int = Field(0, description="Most frames of a clip; 0 if it makes none.")
    strict_rows: int = Field(
        8,
        description="Rows of each UNet call of strict mode. An image takes one for each prompt"
        " between ANDs, and with guidance one for the negative prompt.",
    )


class Defaults(ResponseModel):
    """The values of fields that a request omits. Sizes in pixels."""

    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    sampler: Sampler
    spacing: Spacing = Field(
        Spacing.DEFAULT, description="Used where the sampler supports it; otherwise `default`."
    )


class Pace(ResponseModel):
    """The time that images of a model take one worker, measured at native size with guidance."""

    step_megapixel_s: float = Field(
        gt=0, description="Seconds per megapixel of one UNet call, at the best batch size."
    )
    images_at_once: int = Field(ge=1, description="Images per call at that batch size.")
    image_megapixel_s: float = Field(
        0.0,
        ge=0,
        description="Seconds per megapixel outside the UNet: text encoding and VAE decoding.",
    )


class ModelCard(ResponseModel):
    """A model in the catalogue, which outlives the workers that wrote it."""

    id: ModelId
    family: str = Field("", description="The kind of model, such as `SD 1.x`; adapters fit one.")
    limits: Limits
    defaults: Defaults
    samplers: list[Sampler]
    created: int = Field(description="Unix time in seconds.")
    pace: Pace | None = Field(None, description="Null until a worker has measured it.")
    warnings: tuple[str, ...] = Field(
        (), description="What this service could not take as the model's files say it; sentences."
    )

    safety_labels: tuple[str, ...] = Field(
        (), description="What its workers' classifier scores each picture for; rules name them."
    )

    @property
    def queue(self) -> str:
        """The name of its queue."""
        return self.id


class RegisteredCard(ModelCard):
    """A card as workers write it, with all adapters that they have."""

    adapters: tuple[Adapter, ...] = ()


class Model(ModelCard):
    """A model card and its live workers, in a shape that OpenAI's clients read too."""

    object: Literal["model"] = "model"
    owned_by: str = "latentry"
    workers: int = Field(description="Number of live workers that serve this model.")


class ModelList(Listing[Model]):
    """`GET /v1/models`."""

    object: Literal["list"] = "list"

"""What a model can do: its card in the catalogue, and the list clients read."""

from typing import Literal

from pydantic import Field

from latentry.contracts.fields import ModelId
from latentry.contracts.samplers import Sampler, Spacing
from latentry.contracts.wire import ResponseModel


class Limits(ResponseModel):
    """What a request to this model may ask for. Sizes in pixels."""

    min_side: int = 64
    max_side: int
    size_step: int = 8
    max_steps: int = 150
    max_clip_skip: int = 0
    size_conditioning: bool = Field(
        False,
        description="Takes original_size, crops_coords_top_left, target_size, as SDXL does.",
    )
    previews: bool = Field(False, description="Takes preview_interval.")


class Defaults(ResponseModel):
    """What a request gets where it says nothing. Sizes in pixels."""

    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    sampler: Sampler
    spacing: Spacing = Field(
        Spacing.DEFAULT, description="Where the sampler has it; else it is `default`."
    )


class Pace(ResponseModel):
    """What pictures of a model cost one worker, as measured at their native size with guidance."""

    step_megapixel_s: float = Field(
        gt=0, description="One UNet call for an image of a megapixel, in calls of the best size."
    )
    images_at_once: int = Field(ge=1, description="So many images share such a call.")
    image_megapixel_s: float = Field(
        0.0, ge=0, description="All that is not UNet: prompts in, an image of a megapixel out."
    )


class ModelCard(ResponseModel):
    """A catalogued model. The catalogue outlives the workers that wrote it."""

    id: ModelId
    limits: Limits
    defaults: Defaults
    samplers: list[Sampler]
    created: int = Field(description="Unix seconds.")
    pace: Pace | None = Field(None, description="Absent until a worker has measured it.")


class Model(ModelCard):
    """A card with what is live, in a shape that OpenAI's clients read too."""

    object: Literal["model"] = "model"
    owned_by: str = "latentry"
    workers: int = Field(description="Live workers that hold this model.")


class ModelList(ResponseModel):
    """`GET /v1/models`."""

    object: Literal["list"] = "list"
    data: list[Model]

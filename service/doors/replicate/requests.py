"""Replicate's requests as models."""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from latentry.contracts.fields import conditioning, inputs, job, sampling
from latentry.contracts.webhooks.webhook import WebhookUrl
from latentry.contracts.wire import RequestModel
from service.doors.fates import IGNORED, MAPPED
from service.doors.own_fields import OwnFields
from service.doors.replicate import fields

# What `POST /v1/files` of this door gives as a file's URL, on whichever host it is served.
_FILE: Final = re.compile(r"https?://[^/?#]+(?:/[^?#]*)?/replicate/v1/files/(file_[0-9a-f]{32})")
_MAX_DEPTH: Final = 4
_Reference = Annotated[str, StringConstraints(min_length=1, max_length=300)]


class ModelInput(OwnFields):
    """Inputs of Replicate's models and latentry's own. Others are ignored and named in a header."""

    model_config = ConfigDict(extra="allow")

    prompt: conditioning.Prompt | None = None
    width: sampling.Width = None
    height: sampling.Height = None
    aspect_ratio: fields.AspectRatio = None
    num_outputs: fields.Outputs = None
    n: job.Count | None = None
    scheduler: fields.Scheduler = None
    image: inputs.Image = None
    mask: inputs.Mask = None
    prompt_strength: fields.PromptStrength = None
    steps: fields.Steps = None
    cfg: fields.Guidance = None
    lora_weights: fields.Lora = None
    hf_lora: fields.Lora = None
    lora_scale: fields.LoraScale = None
    extra_lora: fields.Lora = None
    extra_lora_scale: fields.LoraScale = None
    output_format: fields.OutputFormat = None
    output_quality: fields.OutputQuality = None
    disable_safety_checker: fields.SafetyChecker = None
    safety_tolerance: fields.Tolerance = None
    apply_watermark: fields.Watermark = None
    go_fast: fields.Speed = None
    refine: fields.Refine = None
    refine_steps: fields.RefinerPart = None
    high_noise_frac: fields.RefinerPart = None
    replicate_weights: fields.Weights = None

    @model_validator(mode="before")
    @classmethod
    def _name_files(cls, body: Any) -> Any:
        return _with_files(body, _MAX_DEPTH)


class PredictionRequest(RequestModel):
    """`POST /v1/predictions`. Other fields are ignored and named in a header."""

    model_config = ConfigDict(extra="allow")

    version: Annotated[
        _Reference | None,
        Field(description="A model: its id, `owner/id`, or `owner/id:id`; no owner is looked at."),
    ] = None
    model: Annotated[_Reference | None, Field(description="The same, instead of `version`.")] = None
    input: ModelInput = Field(description="The model's inputs.")
    webhook: Annotated[
        WebhookUrl | None,
        MAPPED,
        Field(description="`https:` URL that receives the prediction when it starts and ends."),
    ] = None
    webhook_events_filter: Annotated[
        tuple[Literal["start", "output", "logs", "completed"], ...] | None,
        MAPPED,
        Field(
            max_length=8,
            description="`start`, `completed` or both, which is what is sent if omitted. `output`"
            " and `logs` are refused: follow the stream.",
        ),
    ] = None
    webhook_completed: Annotated[
        WebhookUrl | None, MAPPED, Field(description="`webhook` with the filter `completed`.")
    ] = None
    stream: Annotated[
        Any, IGNORED, Field(description="Ignored: each prediction has a stream, `urls.stream`.")
    ] = None


class ModelPredictionRequest(PredictionRequest):
    """`POST /v1/models/{owner}/{name}/predictions`: the path names the model."""


def _with_files(value: Any, depth: int) -> Any:
    """The same where the URL of a file of this door's is the file's id."""
    if isinstance(value, str):
        found = _FILE.fullmatch(value) if value.startswith("http") else None
        return found[1] if found else value
    if depth and isinstance(value, dict):
        return {name: _with_files(one, depth - 1) for name, one in value.items()}
    if depth and isinstance(value, list | tuple):
        return [_with_files(one, depth - 1) for one in value]
    return value

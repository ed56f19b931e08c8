"""The options of commands that draw, and the request that they make."""

from collections.abc import Mapping
from typing import Any, Final, cast

from latentry.cli.fields import groups, values
from latentry.cli.fields.signature import Command, Groups, with_options
from latentry.client.fields import Fields
from latentry.contracts import (
    CaptionRequest,
    ClipRequest,
    ControlRequest,
    GenerationRequest,
    UpscaleRequest,
)

# The field's own name works too.
_SHORTER: Final = {
    "num-inference-steps": "steps",
    "guidance-scale": "guidance",
    "output-quality": "quality",
    "output-lossless": "lossless",
    "styles": "style",
    "loras": "lora",
    "controls": "control",
    "image-prompts": "image-prompt",
    "embeddings": "embedding",
}
_STORED: Final[Groups] = {"Files": groups.FileOptions, "Job": groups.JobOptions}
GENERATION: Final[Groups] = {
    "Prompt": groups.PromptOptions,
    "Adapters": groups.AdapterOptions,
    "Picture to start from": groups.PictureOptions,
    "Sampling": groups.SamplingOptions,
    "Steps": groups.StepOptions,
    **_STORED,
}
_CLIP: Final[Groups] = {"Clip": groups.ClipOptions, **GENERATION}
_CONTROL: Final[Groups] = {"Preprocessing": groups.ControlOptions, **_STORED}
_CAPTION: Final[Groups] = {"Captions": groups.CaptionOptions, "Job": groups.JobOptions}
_UPSCALE: Final[Groups] = {"Upscaling": groups.UpscaleOptions, **_STORED}


def option_name(name: str) -> str:
    """The option that this name means, both without dashes."""
    return _SHORTER.get(name, name)


def request_options(command: Command, *, without: frozenset[str] = frozenset()) -> Command:
    """Replace a command's `**options` by those of a generation."""
    return with_options(command, GENERATION, GenerationRequest, without=without)


def clip_options(command: Command) -> Command:
    """The same with those of a clip; what is stored follows from the name of the output file."""
    of_images = GenerationRequest.model_fields.keys() - ClipRequest.model_fields.keys()
    steps = {"intermediates_every", "intermediates_kind"}
    without = frozenset(of_images | steps | {"output_format"})
    return with_options(command, _CLIP, ClipRequest, without=without)


def upscale_options(command: Command) -> Command:
    """The same with those of an upscale."""
    return with_options(command, _UPSCALE, UpscaleRequest)


def control_options(command: Command) -> Command:
    """The same with those of a control."""
    return with_options(command, _CONTROL, ControlRequest)


def caption_options(command: Command) -> Command:
    """Replace a command's `**options` by those of a caption, which stores no file."""
    return with_options(command, _CAPTION, CaptionRequest)


def request_fields(options: Mapping[str, Any]) -> Fields:
    """The SDK's keyword arguments for what was given. Raises typer.BadParameter."""
    told = options.get
    given = common_fields(options) | {
        "loras": values.LORAS.read(told("loras")),
        "controls": values.CONTROLS.read(told("controls")),
        "image_prompts": values.IMAGE_PROMPTS.read(told("image_prompts")),
        "embeddings": values.EMBEDDINGS.read(told("embeddings")),
        "extend": values.extend(told("extend")),
        "hires": values.hires(told("hires")),
        "intermediates": values.intermediates(
            told("intermediates_every"), told("intermediates_kind")
        ),
        "image": values.picture("--image", told("image")),
        "mask": values.picture("--mask", told("mask")),
    }
    return cast(Fields, among(Fields, given))


def common_fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """All options, and the fields of any job that they stand for. Raises typer.BadParameter."""
    told = options.get
    return dict(options) | {
        "metadata": values.labels("--metadata", told("metadata")),
        "webhook": values.webhook(told("webhook"), told("webhook_event")),
    }


def among(names: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given of the fields that a TypedDict lists."""
    return {name: given[name] for name in names.__annotations__ if given.get(name) is not None}

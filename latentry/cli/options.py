"""The options of `latentry generate`: one for each field of a request."""

from collections.abc import Mapping
from typing import (
    Annotated,
    Any,
    Final,
    TypedDict,
    cast,
)

import typer

from latentry.cli import values
from latentry.cli.signature import Command, hints_of, with_options
from latentry.client.fields import Fields
from latentry.contracts import (
    ClipRequest,
    Determinism,
    GenerationRequest,
    InpaintArea,
    IntermediateKind,
    MaskChannel,
    MaskFill,
    OutputFormat,
    Priority,
    PromptSyntax,
    Provenance,
    ResizeMode,
    Seamless,
    WebhookEvent,
)

HEIGHT_WIDTH: Final = "HEIGHT WIDTH"
PICTURE: Final = "PICTURE"
# The field's own name works too. --help would cut it off at 80 columns.
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


class RequestOptions(TypedDict):
    """The type of each option, and its name where it is not the field's.

    Help is the field's description in the API, unless the command line does something of its own.
    """

    model: str | None
    negative_prompt: str | None
    prompt_syntax: Annotated[PromptSyntax | None, typer.Option(metavar="SYNTAX")]
    styles: Annotated[
        list[str] | None,
        typer.Option(
            "--style", metavar="NAME", help="Style of `latentry styles` to apply; repeatable."
        ),
    ]
    clip_skip: int | None
    loras: Annotated[
        list[str] | None,
        typer.Option(
            "--lora",
            metavar="ID:WEIGHT",
            help="LoRA of `latentry adapters` to apply, repeatable: id, id:weight, or"
            " id:weight:weight in the text encoders.",
        ),
    ]
    vae: Annotated[str | None, typer.Option(metavar="ID")]
    controls: Annotated[
        list[str] | None,
        typer.Option(
            "--control",
            metavar="ID=PICTURE:WEIGHT",
            help="ControlNet or T2I-Adapter of `latentry adapters` and the picture to follow, repeatable:"
            " id=picture, id=picture:weight.",
        ),
    ]
    image_prompts: Annotated[
        list[str] | None,
        typer.Option(
            "--image-prompt",
            metavar="ID=PICTURE:WEIGHT",
            help="Picture to draw after, read by an IP-Adapter of `latentry adapters`, repeatable:"
            " id=picture or id=picture:weight; a path, a URL or a file id.",
        ),
    ]
    embeddings: Annotated[
        list[str] | None,
        typer.Option(
            "--embedding",
            metavar="ID",
            help="Embedding of `latentry adapters` that the prompts may name, repeatable; all of"
            " them if omitted, and in a plain prompt none.",
        ),
    ]
    width: int | None
    height: int | None
    num_inference_steps: Annotated[int | None, typer.Option("--steps")]
    denoise_start: float | None
    denoise_end: float | None
    refiner: Annotated[str | None, typer.Option(metavar="MODEL")]
    refiner_switch_at: float | None
    guidance_scale: Annotated[float | None, typer.Option("--guidance")]
    guidance_rescale: float | None
    guidance_stop: float | None
    cache_interval: int | None
    sampler: str | None
    spacing: str | None
    original_size: Annotated[tuple[int, int] | None, typer.Option(metavar=HEIGHT_WIDTH)]
    crops_coords_top_left: Annotated[tuple[int, int] | None, typer.Option(metavar="TOP LEFT")]
    target_size: Annotated[tuple[int, int] | None, typer.Option(metavar=HEIGHT_WIDTH)]
    seed: int | None
    seamless: Seamless | None
    variation_seed: int | None
    variation_strength: float | None
    image: Annotated[
        str | None,
        typer.Option(
            metavar=PICTURE, help="The picture to start from: a path, a URL or a file id."
        ),
    ]
    mask: Annotated[
        str | None,
        typer.Option(
            metavar=PICTURE, help="What to repaint of it: white, or transparent; named likewise."
        ),
    ]
    strength: float | None
    image_guidance_scale: float | None
    resize_mode: ResizeMode | None
    mask_blur: int | None
    mask_channel: MaskChannel | None
    mask_fill: Annotated[MaskFill | None, typer.Option(metavar="FILL")]
    inpaint_area: InpaintArea | None
    mask_padding: int | None
    extend: Annotated[tuple[int, int, int, int] | None, typer.Option(metavar="L T R B")]
    hires: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="A second pass at a larger size, repeatable: scale=2, or width=W and height=H;"
            " steps, strength, upscaler (latent or lanczos).",
        ),
    ]
    n: Annotated[int | None, typer.Option("-n", "--n")]
    output_format: Annotated[
        OutputFormat | None,
        typer.Option("--format", help="File format; by the extension of --output if omitted."),
    ]
    output_quality: Annotated[int | None, typer.Option("--quality")]
    output_lossless: Annotated[bool | None, typer.Option("--lossless")]
    provenance: Provenance | None
    determinism: Determinism | None
    preview_interval: Annotated[
        int | None,
        typer.Option(help="Save a preview of each image every N steps as OUTPUT-preview.jpg."),
    ]
    preview_size: int | None
    intermediates_every: Annotated[
        int | None,
        typer.Option(help="Save every N-th step of each image too, as OUTPUT-latent-0005.png."),
    ]
    intermediates_kind: Annotated[
        list[IntermediateKind] | None,
        typer.Option(
            metavar="KIND",
            help="What to save of a step, repeatable: latent (the noisy latent) or predicted (the"
            " model's guess of the image). Both if omitted.",
        ),
    ]
    priority: Priority | None
    start_within: int | None
    finish_within: int | None
    keep_for: int | None
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the cost and the estimated start; create no job."),
    ]
    metadata: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Your own label, kept with the job; repeatable."),
    ]
    webhook: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where to send a notification when the job ends."),
    ]
    webhook_event: Annotated[
        list[WebhookEvent] | None,
        typer.Option(
            metavar="EVENT",
            help="Event to send to --webhook, repeatable: running, succeeded, failed, canceled or"
            " expired. All but running if omitted.",
        ),
    ]


def option_name(name: str) -> str:
    """The option that this name means, both without dashes."""
    return _SHORTER.get(name, name)


def request_options(command: Command) -> Command:
    """Replace a command's `**options` by RequestOptions, as typer reads them from a signature."""
    return with_options(command, hints_of(RequestOptions), GenerationRequest)


def clip_options(command: Command) -> Command:
    """The same with those of a clip; what is stored follows from the name of the output file."""
    names = (ClipRequest.model_fields.keys() - {"output_format"}) | {"webhook_event"}
    hints = hints_of(RequestOptions)
    shared = {name: hint for name, hint in hints.items() if name in names}
    own = {"frames": int | None, "fps": int | None}
    return with_options(command, shared | own, ClipRequest)


def request_fields(options: Mapping[str, Any]) -> Fields:
    """The SDK's keyword arguments for what was given. Raises typer.BadParameter."""
    told = options.get
    given = dict(options) | {
        "metadata": values.labels("--metadata", told("metadata")),
        "loras": values.loras(told("loras")),
        "controls": values.controls(told("controls")),
        "image_prompts": values.image_prompts(told("image_prompts")),
        "embeddings": values.embeddings(told("embeddings")),
        "extend": values.extend(told("extend")),
        "hires": values.hires(told("hires")),
        "intermediates": values.intermediates(
            told("intermediates_every"), told("intermediates_kind")
        ),
        "webhook": values.webhook(told("webhook"), told("webhook_event")),
        "image": values.picture("image", told("image")),
        "mask": values.picture("mask", told("mask")),
    }
    names = Fields.__annotations__.keys()
    return cast(Fields, {name: given[name] for name in names if given.get(name) is not None})

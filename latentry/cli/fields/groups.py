"""Groups of options, as --help has them: one option for each field of a request.

The name of an option is given where it is not the field's. Help is the field's description in the
API, unless the command line does something of its own.
"""

from typing import Annotated, Final, TypedDict

import typer

from latentry.cli.fields import values
from latentry.contracts import (
    Determinism,
    InpaintArea,
    IntermediateKind,
    MaskChannel,
    MaskFill,
    OutputFormat,
    Preprocess,
    Priority,
    PromptSyntax,
    Provenance,
    ResizeMode,
    Seamless,
    WebhookEvent,
)

HEIGHT_WIDTH: Final = "HEIGHT WIDTH"
PICTURE: Final = "PICTURE"


class PromptOptions(TypedDict):
    """What is drawn."""

    model: Annotated[str | None, typer.Option(metavar="ID")]
    negative_prompt: Annotated[str | None, typer.Option(metavar="TEXT")]
    prompt_syntax: PromptSyntax | None
    styles: Annotated[
        list[str] | None,
        typer.Option(
            "--style", metavar="NAME", help="Style to apply, of `latentry styles`; repeatable."
        ),
    ]
    clip_skip: int | None
    seed: int | None
    n: Annotated[int | None, typer.Option("-n", "--n")]


class AdapterOptions(TypedDict):
    """What changes the model for this request."""

    loras: Annotated[
        list[str] | None,
        typer.Option(
            "--lora",
            metavar=values.LORAS.syntax,
            help="LoRA to apply, of `latentry adapters`: its id, id:weight, or id:weight:weight"
            " with the second one for the text encoders; repeatable.",
        ),
    ]
    embeddings: Annotated[
        list[str] | None,
        typer.Option(
            "--embedding",
            metavar=values.EMBEDDINGS.syntax,
            help="Embedding that the prompts may name; repeatable. All if omitted, and none in a"
            " plain prompt.",
        ),
    ]
    controls: Annotated[
        list[str] | None,
        typer.Option(
            "--control",
            metavar=values.CONTROLS.syntax,
            help="ControlNet or T2I-Adapter and the picture to follow: id=picture or"
            " id=picture:weight; a path, a URL or a file id; repeatable.",
        ),
    ]
    image_prompts: Annotated[
        list[str] | None,
        typer.Option(
            "--image-prompt",
            metavar=values.IMAGE_PROMPTS.syntax,
            help="IP-Adapter and the picture to draw after: id=picture or id=picture:weight;"
            " repeatable.",
        ),
    ]
    vae: Annotated[str | None, typer.Option(metavar="ID")]


class PictureOptions(TypedDict):
    """What it starts from."""

    image: Annotated[
        str | None,
        typer.Option(metavar=PICTURE, help="Picture to start from: a path, a URL or a file id."),
    ]
    mask: Annotated[
        str | None,
        typer.Option(
            metavar=PICTURE,
            help="What to repaint of it: white, or what is transparent; a path, a URL or a file"
            " id.",
        ),
    ]
    strength: float | None
    image_guidance_scale: float | None
    resize_mode: ResizeMode | None
    mask_blur: int | None
    mask_channel: MaskChannel | None
    mask_fill: MaskFill | None
    inpaint_area: InpaintArea | None
    mask_padding: int | None
    extend: Annotated[tuple[int, int, int, int] | None, typer.Option(metavar="L T R B")]


class SamplingOptions(TypedDict):
    """How it is drawn."""

    width: int | None
    height: int | None
    num_inference_steps: Annotated[int | None, typer.Option("--steps")]
    guidance_scale: Annotated[float | None, typer.Option("--guidance")]
    sampler: Annotated[str | None, typer.Option(metavar="NAME")]
    spacing: Annotated[str | None, typer.Option(metavar="NAME")]
    hires: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="A second pass at a larger size: scale=2, or width=W and height=H; steps,"
            " strength, upscaler; repeatable.",
        ),
    ]
    refiner: Annotated[str | None, typer.Option(metavar="MODEL")]
    refiner_switch_at: float | None
    guidance_rescale: float | None
    guidance_stop: float | None
    cache_interval: int | None
    denoise_start: float | None
    denoise_end: float | None
    variation_seed: int | None
    variation_strength: float | None
    seamless: Seamless | None
    original_size: Annotated[tuple[int, int] | None, typer.Option(metavar=HEIGHT_WIDTH)]
    crops_coords_top_left: Annotated[tuple[int, int] | None, typer.Option(metavar="TOP LEFT")]
    target_size: Annotated[tuple[int, int] | None, typer.Option(metavar=HEIGHT_WIDTH)]
    determinism: Determinism | None


class StepOptions(TypedDict):
    """What is shown of it on the way."""

    preview_interval: Annotated[
        int | None,
        typer.Option(
            help="Preview of each image every N steps: in the terminal, if it can, and as"
            " OUTPUT-preview.jpg."
        ),
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
            help="What to save of a step: latent (the noisy latent) or predicted (the model's"
            " guess of the image); repeatable, both if omitted.",
        ),
    ]


class FileOptions(TypedDict):
    """The files that are saved."""

    output_format: Annotated[
        OutputFormat | None,
        typer.Option("--format", help="File format; by the extension of --output if omitted."),
    ]
    output_quality: Annotated[int | None, typer.Option("--quality")]
    output_lossless: Annotated[bool | None, typer.Option("--lossless")]
    provenance: Provenance | None


class JobOptions(TypedDict):
    """The job that makes them."""

    priority: Priority | None
    start_within: int | None
    finish_within: int | None
    keep_for: int | None
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
            help="Event to send to --webhook: running, succeeded, failed, canceled or expired;"
            " repeatable, all but running if omitted.",
        ),
    ]
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the cost and the estimated start; create no job."),
    ]


class UpscaleOptions(TypedDict):
    """How a picture is enlarged."""

    scale: float | None
    upscaler: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Id of `latentry upscalers`; lanczos if omitted."),
    ]


class ControlOptions(TypedDict):
    """What is made of a picture."""

    preprocess: Preprocess | None
    thresholds: Annotated[tuple[int, int] | None, typer.Option(metavar="LOW HIGH")]
    width: int | None
    height: int | None
    resize_mode: ResizeMode | None


class CaptionOptions(TypedDict):
    """How long a caption is."""

    max_tokens: int | None


class ClipOptions(TypedDict):
    """How long a clip is."""

    frames: int | None
    fps: int | None

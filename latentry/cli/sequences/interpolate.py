"""`latentry interpolate`."""

from pathlib import Path
from typing import Annotated, Any, Final, cast

import typer

from latentry.cli.connect import DEFAULT_URL, ApiKey, Url, connect
from latentry.cli.drawing.estimates import tell_estimate
from latentry.cli.drawing.results import FILES, AsJson, finish, refuse_unwritable
from latentry.cli.fields import values
from latentry.cli.fields.options import request_fields, request_options
from latentry.cli.sequences.sequence import files_of, stored
from latentry.client.fields import InterpolationFields
from latentry.contracts import (
    Easing,
    GenerationRequest,
    InterpolationRequest,
)

# What is said once, of the job.
_OF_JOBS: Final = GenerationRequest.model_fields.keys() & InterpolationRequest.model_fields.keys()
_FRAMES: Final = "Frames"
Prompts = Annotated[
    list[str],
    typer.Argument(metavar="PROMPT", help="What the pictures show that it leads through: 2 to 10."),
]
OutputFile = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="PATH",
        help="A .webp, .gif or .mp4 file of all frames; with .png or .jpg the frames are saved as "
        "OUTPUT-1.png and so on. JOB-ID.webp if omitted or a folder.",
        rich_help_panel=FILES,
    ),
]
Frames = Annotated[
    int,
    typer.Option(
        help="Number of frames, first and last picture included.", rich_help_panel=_FRAMES
    ),
]
Fps = Annotated[
    int | None, typer.Option(help="Frames per second of the file.", rich_help_panel=_FRAMES)
]
EasingOption = Annotated[
    Easing | None,
    typer.Option(
        metavar="EASING",
        help="How frames are spread: linear, or closer together at the start (ease_in), the end"
        " (ease_out) or both (ease_in_out).",
        rich_help_panel=_FRAMES,
    ),
]
Seeds = Annotated[
    list[int] | None,
    typer.Option(
        metavar="SEED",
        help="Seed of one picture, once for each; --seed is that of all.",
        rich_help_panel=_FRAMES,
    ),
]
Images = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PICTURE",
        help="What one picture starts from, once for each: a path, a URL or a file id.",
        rich_help_panel=_FRAMES,
    ),
]


@request_options
def interpolate(
    prompts: Prompts,
    frames: Frames = 16,
    fps: Fps = None,
    easing: EasingOption = None,
    keyframe_seed: Seeds = None,
    keyframe_image: Images = None,
    *,
    output: OutputFile = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    **options: Any,
) -> None:
    """Generate the frames between pictures and save them as one file, or one by one."""
    given: dict[str, Any] = dict(request_fields(options))
    job_fields = {name: given.pop(name) for name in _OF_JOBS & given.keys()}
    made, file_format = stored(output, options["output_format"])
    own = {"fps": fps, "easing": easing, "output": made, "output_format": file_format}
    job_fields |= {name: value for name, value in own.items() if value is not None}
    refuse_unwritable(output, [files_of(made, frames)])
    pictures = _pictures(prompts, given, keyframe_seed, keyframe_image)
    first, *via, last = pictures
    fields = cast(InterpolationFields, job_fields | {"via": via})
    with connect(url, api_key) as client:
        if options["dry_run"]:
            tell_estimate(
                client.estimate_interpolation(first, last, frames, **fields), as_json=as_json
            )
            return
        job = client.submit_interpolation(first, last, frames, **fields)
        # The file is what was asked for; `latentry fetch` saves frames too.
        finish(client, job, output, as_json=as_json, clip_alone=made.clip is not None)


def _pictures(
    prompts: list[str], common: dict[str, Any], seeds: list[int] | None, images: list[str] | None
) -> list[dict[str, Any]]:
    """The fields of each picture. Raises typer.BadParameter."""
    if len(prompts) < 2:
        raise typer.BadParameter("Two prompts or more are needed: where it begins and ends.")
    for name, own in (("seed", seeds), ("image", images)):
        if own and len(own) != len(prompts):
            raise typer.BadParameter(f"--keyframe-{name} is needed once for each prompt, or never.")
    found = [common | {"prompt": prompt} for prompt in prompts]
    for picture, seed in zip(found, seeds or (), strict=False):
        picture["seed"] = seed
    for picture, image in zip(found, images or (), strict=False):
        picture["image"] = values.picture("--keyframe-image", image)
    return found

"""`latentry clip`."""

from pathlib import Path
from typing import Annotated, Any, Final, cast

import typer

from latentry.cli.connect import DEFAULT_URL, ApiKey, Url, connect
from latentry.cli.generate import FORMATS, estimate_lines
from latentry.cli.options import clip_options, request_fields
from latentry.cli.results import refuse_unwritable, save, succeeded
from latentry.client.saving import image_path
from latentry.client.sequences.clips import ClipFields
from latentry.contracts import OutputKind, SequenceOutput

_CLIPS: Final = {
    ".mp4": SequenceOutput.MP4,
    ".webp": SequenceOutput.WEBP,
    ".gif": SequenceOutput.GIF,
}


@clip_options
def clip(
    prompt: Annotated[str, typer.Argument(help="What the clip should show, and how it moves.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Output file: .mp4, .webp or .gif for the clip, .png or .jpg for its frames, as"
            " OUTPUT-1.png and so on; JOB-ID.webp if omitted.",
        ),
    ] = None,
    *,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    **options: Any,
) -> None:
    """Generate a short clip and save it."""
    fields = cast(ClipFields, dict(request_fields(options)))
    fields |= {name: options[name] for name in ("frames", "fps") if options[name] is not None}  # type: ignore[typeddict-item]
    fields["output"] = made = _made(output)
    if made is SequenceOutput.FRAMES and output is not None:
        fields["output_format"] = FORMATS[output.suffix.lower()]
    refuse_unwritable(output)
    with connect(url, api_key) as client:
        if options["dry_run"]:
            typer.echo("\n".join(estimate_lines(client.estimate_clip(prompt, **fields))))
            return
        job = succeeded(client, client.submit_clip(prompt, **fields), output)
        for warning in job.warnings:
            typer.echo(f"{warning.message} ({warning.code})", err=True)
        if made is SequenceOutput.FRAMES:
            for frame in job.images:
                save(client, frame, image_path(output, job, frame.index))
        for one in job.outputs:
            if one.kind is OutputKind.CLIP:
                save(client, one, output or Path(f"{job.id}.{made}"))


def _made(output: Path | None) -> SequenceOutput:
    """What is to be made, by the file's extension."""
    suffix = ".webp" if output is None else output.suffix.lower()
    known = dict.fromkeys(FORMATS, SequenceOutput.FRAMES) | _CLIPS
    if suffix not in known:
        raise typer.BadParameter(f"--output {output} must end in {', '.join(known)}.")
    return known[suffix]

"""Jobs of each kind but a generation, at their ends; each is what its route's example asks for."""

from typing import Any, Final

from latentry.contracts import (
    Cost,
    Image,
    InputFile,
    Interpolation,
    Job,
    JobKind,
    Keyframe,
    Output,
    OutputKind,
    Preprocess,
    Progress,
    ResolvedCaption,
    ResolvedControl,
    ResolvedRequest,
    ResolvedUpscale,
)
from latentry.contracts.background.captions import DEFAULT_TOKENS
from latentry.contracts.fields.clip import Clip
from latentry.contracts.fields.interpolation import SequenceOutput
from latentry.contracts.outputs import ClipFormat
from latentry.rules.sequences.frames import CLIP_NAME
from service.doors.native.examples.files import FILE
from service.doors.native.examples.jobs import JOB, PICTURE

_FRAMES: Final = 4


def _picture(index: int, seed: int, **more: Any) -> dict[str, Any]:
    url = PICTURE["url"].replace("1-0.png", f"1-{index}.png")
    digests = {
        name: PICTURE[name][index:] + PICTURE[name][:index]
        for name in ("pixel_sha256", "unsigned_sha256")
    }
    return PICTURE | digests | {"index": index, "seed": seed, "url": url} | more


def _sequence(kind: JobKind, request: ResolvedRequest, cost: Cost, seeds: list[int]) -> Job:
    """Its frames, and the clip of all of them."""
    frames = [_picture(index, seed) for index, seed in enumerate(seeds)]
    form = ClipFormat.WEBP
    clip = _picture(0, request.seed, content_type=form.content_type, signed=False)
    clip["url"] = clip["url"].replace("1-0.png", f"1-0-{CLIP_NAME}{form.suffix}")
    outputs = [Output(**one, name="", kind=OutputKind.FRAME) for one in frames]
    return JOB.model_copy(
        update={
            "kind": kind,
            "request": request,
            "images": [Image(**one) for one in frames],
            "outputs": [*outputs, Output(**clip, name=CLIP_NAME, kind=OutputKind.CLIP)],
            "progress": Progress(step=25, steps=25),
            "cost": cost,
        }
    )


def _of_a_picture(request: ResolvedUpscale | ResolvedControl, cost: Cost) -> Job:
    """Its only picture, made of another one."""
    width, height = request.final_size
    made = _picture(0, 0, width=width, height=height)
    return JOB.model_copy(
        update={
            "kind": request.kind,
            "request": request,
            "images": [Image(**made)],
            "outputs": [Output(**made, name="", kind=OutputKind.IMAGE)],
            "progress": Progress(step=1, steps=1),
            "cost": cost,
        }
    )


_BROUGHT: Final = InputFile(file=FILE.id, pixel_sha256=FILE.pixel_sha256, width=128, height=128)
UPSCALE: Final = _of_a_picture(
    ResolvedUpscale(image=_BROUGHT, scale=2.0, upscaler="lanczos"),
    Cost(step_megapixels=0.066, worker_seconds=0.02),
)
CONTROL: Final = _of_a_picture(
    ResolvedControl(image=_BROUGHT, preprocess=Preprocess.CANNY, width=512, height=512),
    Cost(step_megapixels=0.262, worker_seconds=0.02),
)
CAPTION: Final = JOB.model_copy(
    update={
        "kind": JobKind.CAPTION,
        "request": ResolvedCaption(image=_BROUGHT, max_tokens=DEFAULT_TOKENS),
        "images": [],
        "outputs": [],
        "caption": "a red circle on a blue background",
        "progress": Progress(step=1, steps=1),
        "cost": Cost(step_megapixels=0.737, worker_seconds=0.3),
    }
)
CLIP: Final = _sequence(
    JobKind.CLIP,
    ResolvedRequest(
        **JOB.request.model_dump(exclude={"n", "prompt", "metadata", "kind"}),
        prompt="a red circle moving from left to right",
        clip=Clip(frames=_FRAMES, output=SequenceOutput.WEBP),
    ),
    Cost(step_megapixels=3.342, worker_seconds=1.7),
    [7] * _FRAMES,
)
INTERPOLATION: Final = _sequence(
    JobKind.INTERPOLATION,
    ResolvedRequest(
        **JOB.request.model_dump(exclude={"n", "seed", "metadata", "kind"}),
        n=_FRAMES,
        seed=1,
        interpolation=Interpolation(
            to=Keyframe(prompt="a green square on a white background", seed=2, guidance_scale=2.0),
            output=SequenceOutput.WEBP,
        ),
    ),
    Cost(step_megapixels=3.342, worker_seconds=1.7),
    [1, 1, 1, 2],
)

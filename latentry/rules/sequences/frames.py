"""The images of a job one by one; those of an interpolation are frames between keyframes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from latentry.contracts import AnyRequest, ClipFormat, InputFile, Interpolation, ResolvedRequest
from latentry.contracts.fields.clip import Clip as MovingClip
from latentry.contracts.fields.places import below, with_pictures

CLIP_NAME: Final = "clip"  # of the output, whose index is 0
# What is between two pictures is between theirs.
_MIXED: Final = ("guidance_scale", "guidance_rescale")


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of a job. `request` makes it alone, unless it is on the way to another one.

    towards: the request of that one, its next keyframe. weight: how much of the way is behind it,
    from 0 to below 1. keyframe: which one is behind it.
    """

    request: ResolvedRequest
    towards: ResolvedRequest | None = None
    weight: float = 0.0
    keyframe: int = 0


@dataclass(frozen=True, slots=True)
class Clip:
    """One file of all frames of a job."""

    format: ClipFormat
    fps: int


def clip(request: AnyRequest) -> Clip | None:
    """The clip that a job stores after its frames, if it does."""
    sequence = _way(request) or moving(request)
    if sequence is None or sequence.output.clip is None:
        return None
    return Clip(sequence.output.clip, sequence.fps)


def moving(request: AnyRequest) -> MovingClip | None:
    """What a clip's request says of its frames, which one order draws together; None of others."""
    return request.clip if isinstance(request, ResolvedRequest) else None


def frame(request: ResolvedRequest, index: int) -> Frame:
    """The `index`-th image of a job; those of a clip are drawn by one request."""
    if request.clip is not None:
        return Frame(request)
    way = request.interpolation
    if way is None:
        return Frame(request.of_image(index))
    number, weight = way.place(index, request.n)
    found = keyframes(request)
    own = found[number]
    if not weight:
        return Frame(own, keyframe=number)
    towards = found[number + 1]
    mixed = {name: _between(getattr(own, name), getattr(towards, name), weight) for name in _MIXED}
    return Frame(own.model_copy(update=mixed), towards, weight, number)


def keyframes(request: ResolvedRequest) -> tuple[ResolvedRequest, ...]:
    """The pictures that a job's images lie between, each as a request for it alone."""
    way = request.interpolation
    if way is None:
        return (request,)
    first = request.model_copy(update={"interpolation": None, "n": 1})
    return first, *(first.model_copy(update=one.fields()) for one in (*way.via, way.to))


def files(request: AnyRequest) -> dict[str, InputFile]:
    """All files that a job needs, by where its request names them, such as `via/0/image`."""
    way = _way(request)
    if way is None or not isinstance(request, ResolvedRequest):
        return request.inputs()
    return {
        f"{at}/{name}": one
        for at, keyframe in zip(keyframe_places(way), keyframes(request), strict=True)
        for name, one in keyframe.inputs().items()
    }


def keyframe_places(way: Interpolation) -> tuple[str, ...]:
    """Where each keyframe stands in the body of the request."""
    return "from", *(f"via/{number}" for number in range(len(way.via))), "to"


def with_files(request: ResolvedRequest, found: Mapping[str, InputFile]) -> ResolvedRequest:
    """The same request with these files instead, by the names that `files` gives them."""
    way = request.interpolation
    if way is None:
        return with_pictures(request, found)
    first, *via, last = (below(at, found) for at in keyframe_places(way))
    changed = {
        "via": tuple(with_pictures(one, its) for one, its in zip(way.via, via, strict=True)),
        "to": with_pictures(way.to, last),
    }
    whole = with_pictures(request, first)
    return whole.model_copy(update={"interpolation": way.model_copy(update=changed)})


def _way(request: AnyRequest) -> Interpolation | None:
    return request.interpolation if isinstance(request, ResolvedRequest) else None


def _between(own: float, other: float, weight: float) -> float:
    return own + weight * (other - own)

"""What pictures may be keyframes of one interpolation: those whose calls are alike."""

from collections.abc import Mapping
from typing import Any, Final

from latentry.contracts import Interpolation, Keyframe, ResolvedRequest
from latentry.errors import InvalidRequest, KeyframesDiffer, UnsupportedField
from latentry.rules.compositions import parts

_ALIKE: Final = ResolvedRequest.model_fields.keys() - Keyframe.model_fields.keys()
_OF_MASKS: Final = ("mask", "extend")


def refuse_different(keyframes: Mapping[str, ResolvedRequest]) -> None:
    """Raises KeyframesDiffer or UnsupportedField; keyframes by where they stand in the request.

    Between two of them all is mixed that may differ; what may not would split their calls.
    """
    (begin, first), *others = keyframes.items()
    given = [(at, name) for at in keyframes for name in _OF_MASKS if _has(keyframes[at], name)]
    why = "A picture on the way to another keeps no part of `image`."
    _refuse(UnsupportedField, why, ["/".join(one) for one in given])
    controlled = [f"{at}/controls" for at, one in keyframes.items() if one.controls]
    _refuse(UnsupportedField, "An interpolation takes no controls.", controlled)
    given = [(at, "image_prompts") for at, one in keyframes.items() if one.image_prompts]
    why = "Pictures on the way to another have no image prompts."
    _refuse(UnsupportedField, why, ["/".join(one) for one in given])
    for name, of, why in _SHAPES:
        differing = [at for at, one in others if of(one) != of(first)]
        _refuse(KeyframesDiffer, why, [f"{at}/{name}" for at in differing])
    for name in sorted(_ALIKE):
        differing = [at for at, one in others if getattr(one, name) != getattr(first, name)]
        why = f"{name} must be that of `{begin}` in all pictures of an interpolation."
        _refuse(KeyframesDiffer, why, [f"{at}/{name}" for at in differing])


def refuse_impossible_way(way: Interpolation, frames: int) -> None:
    """Raises InvalidRequest for more pictures than frames."""
    if frames < len(way.via) + 2:
        why = f"{len(way.via) + 2} pictures do not fit into {frames} frames."
        _refuse(InvalidRequest, why, ["frames"])


def _has(one: ResolvedRequest, name: str) -> bool:
    return getattr(one, name) is not None


def _is_guided(one: ResolvedRequest) -> bool:
    return one.guidance_scale > 1


def _starts_from_picture(one: ResolvedRequest) -> bool:
    return one.image is not None


def _parts(one: ResolvedRequest) -> int:
    return len(parts(one.prompt, one.prompt_syntax))


_SHAPES: Final[Any] = (
    ("guidance_scale", _is_guided, "All pictures are drawn with guidance (above 1), or none is."),
    ("image", _starts_from_picture, "All pictures start from an `image`, or none does."),
    ("prompt", _parts, "All prompts have equally many parts between ANDs."),
)


def _refuse(error: type[InvalidRequest], why: str, places: list[str]) -> None:
    if places:
        raise error(why, fields={f"/{place}": why for place in places})

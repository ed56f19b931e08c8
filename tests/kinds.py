"""Every kind of job that stores pictures, besides generations, as bodies of its route: a new one
needs a line here.

The fault storm and hostile bodies walk this table; tests/modes.py has the ways to make an image.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from latentry.contracts import JobKind
from tests.modes import pictures, png


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to ask for such a job.

    fields: of its body. keyframe: of each of its pictures, besides those of `ends`; `of_pictures`:
    whether these start from pictures that are brought.
    """

    kind: JobKind
    fields: Mapping[str, Any]
    keyframe: Mapping[str, Any] | None = None
    ends: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {})
    of_pictures: bool = False

    @property
    def path(self) -> str:
        """Where it is sent."""
        return f"/v1/{self.kind.value}s"

    def body(self, seed: int, common: Mapping[str, Any]) -> dict[str, Any]:
        """All of it, with pictures as PNG bytes; common: the fields of what is drawn."""
        body = dict(self.fields)
        if self.kind in (JobKind.UPSCALE, JobKind.CONTROL):
            return body | {"image": png(pictures(seed)["image"])}
        if self.keyframe is None:
            return {**common, "seed": seed, **body}
        for number, (name, own) in enumerate(zip(("from", "to"), self.ends, strict=True)):
            body[name] = {**common, "seed": seed + number, **self.keyframe, **own}
            if self.of_pictures:
                body[name]["image"] = png(pictures(seed + number)["image"])
        return body


_LORA: Final = {"loras": [{"id": "ink", "weight": 0.8}]}
_NAMES: Final = ({"prompt": "a <wisp>"}, {"prompt": "fog", "negative_prompt": "(murk:1.2)"})
_PROMPTS: Final = ({"prompt": "a red circle"}, {"prompt": "a blue square BREAK fog"})

KINDS: Final[dict[str, Kind]] = {
    "frames": Kind(JobKind.INTERPOLATION, {"frames": 3}, {"sampler": "euler_a"}),
    "frames in a file": Kind(
        JobKind.INTERPOLATION,
        {"frames": 4, "output": "webp", "easing": "ease_in", "output_lossless": True}
        | {"output_format": "webp"},
        {},
        _PROMPTS,
    ),
    "frames between pictures": Kind(
        JobKind.INTERPOLATION,
        {"frames": 3, "output": "gif", "fps": 4},
        {"strength": 0.6},
        of_pictures=True,
    ),
    "frames with a LoRA": Kind(
        JobKind.INTERPOLATION, {"frames": 2, "output": "webp"}, _LORA, _PROMPTS
    ),
    "frames with embeddings": Kind(JobKind.INTERPOLATION, {"frames": 3}, {}, _NAMES),
    "enlarged": Kind(JobKind.UPSCALE, {"scale": 2.5}),
    "enlarged as JPEG": Kind(JobKind.UPSCALE, {"upscaler": "lanczos", "output_format": "jpeg"}),
    "edges": Kind(JobKind.CONTROL, {"width": 48, "thresholds": [40, 90]}),
    "inverted lines": Kind(JobKind.CONTROL, {"preprocess": "invert", "output_format": "webp"}),
    "clip": Kind(JobKind.CLIP, {"frames": 4}),
    "clip's frames": Kind(JobKind.CLIP, {"frames": 3, "output": "frames"}),
}


def with_pictures(fields: Mapping[str, Any], named: Callable[[bytes], Any]) -> dict[str, Any]:
    """A body, with something else for each picture in it, those of keyframes and lists too."""
    changed = dict(fields)
    for name, value in fields.items():
        if isinstance(value, dict):
            changed[name] = with_pictures(value, named)
        elif isinstance(value, list):
            changed[name] = [
                with_pictures(one, named) if isinstance(one, dict) else one for one in value
            ]
        elif isinstance(value, bytes):
            changed[name] = named(value)
        elif isinstance(value, list):
            changed[name] = [
                with_pictures(one, named) if isinstance(one, dict) else one for one in value
            ]
    return changed

"""What the C2PA manifest of a picture claims, as c2pa's Builder reads it.

Actions and ingredients as in C2PA's specification 2.2, sections 18.15 and 18.16. No thumbnail: it
would be larger than most pictures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from latentry.contracts import (
    AnyRequest,
    InputFile,
    Preprocess,
    Provenance,
    ResolvedBackground,
    ResolvedControl,
    StoredOutput,
)
from latentry.contracts.resolved import WITHOUT_EFFECT
from latentry.provenance.xmp import SourceType
from latentry.version import __version__

ASSERTION: Final = "org.latentry.picture"
_PARENT: Final = "image"  # the input that becomes the picture; others only guide it
_OF_BACKGROUND: Final = {"steps", "metadata"}  # repeat or concern nothing of the picture


@dataclass(frozen=True, slots=True)
class Claim:
    """All that is said of one stored picture.

    request: of this picture alone. inputs: the pictures that went into it, by their field. job: its
    id. fingerprints: of the models that drew it. sequence: of a frame, which one it is. embedded:
    the files whose own manifests go along, and are added by themselves.
    """

    request: AnyRequest
    output: StoredOutput
    job: str
    made_at: str
    inputs: Mapping[str, InputFile] = field(default_factory=dict)
    fingerprints: tuple[str, ...] = ()
    sequence: Mapping[str, str] = field(default_factory=dict)
    embedded: frozenset[str] = frozenset()


def source_type(request: AnyRequest) -> SourceType:
    """What kind of origin a picture of this request has."""
    if isinstance(request, ResolvedBackground):
        return SourceType.ENHANCED
    return SourceType.COMPOSITE if request.repaints else SourceType.GENERATED


def manifest(claim: Claim) -> dict[str, Any]:
    """The definition of the manifest, but for ingredients that have manifests of their own."""
    return {
        "claim_version": 2,
        "claim_generator_info": [{"name": "latentry", "version": __version__}],
        "ingredients": [
            ingredient(name, file)
            for name, file in claim.inputs.items()
            if file.file not in claim.embedded
        ],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": _actions(claim)}},
            {"label": ASSERTION, "data": _facts(claim)},
        ],
    }


def ingredient(name: str, file: InputFile) -> dict[str, str]:
    """A picture that went into another one, by the hash of its pixels."""
    return {
        "title": name,
        "format": "image/png",
        "relationship": "parentOf" if _is_parent(name) else "inputTo",
        "instance_id": instance_id(name, file),
        "label": instance_id(name, file),
    }


def instance_id(name: str, file: InputFile) -> str:
    """By which actions name it."""
    return f"pixels:sha256:{file.pixel_sha256}:{name}"


def _is_parent(name: str) -> bool:
    return name == _PARENT


def _actions(claim: Claim) -> list[dict[str, Any]]:
    request, kind = claim.request, source_type(claim.request).uri
    made: dict[str, Any] = {"digitalSourceType": kind, "when": claim.made_at}
    if request.provenance is Provenance.FULL:
        made["softwareAgent"] = {"name": request.model}
    guides = [instance_id(n, file) for n, file in claim.inputs.items() if not _is_parent(n)]
    if guides:
        made["parameters"] = {"ingredientIds": guides}
    if (parent := claim.inputs.get(_PARENT)) is None:
        return [{"action": "c2pa.created", **made}]
    opened = {"ingredientIds": [instance_id(_PARENT, parent)]}
    return [
        {"action": "c2pa.opened", "parameters": opened},
        {"action": _action(request), **made},
    ]


def _action(request: AnyRequest) -> str:
    """What was done to the picture that it became of."""
    if not isinstance(request, ResolvedBackground):
        return "c2pa.edited"
    is_shown = isinstance(request, ResolvedControl) and request.preprocess is not Preprocess.NONE
    return "c2pa.filtered" if is_shown else "c2pa.resized"


def _facts(claim: Claim) -> dict[str, Any]:
    output = claim.output
    facts: dict[str, Any] = {
        "job": claim.job,
        "output": output.label,
        "unsigned_sha256": output.unsigned_sha256,
        "pixel_sha256": output.pixel_sha256,
    }
    if claim.request.provenance is not Provenance.FULL:
        return facts
    if claim.fingerprints:
        facts["model_sha256"] = list(claim.fingerprints)
    if claim.sequence:
        facts["frame"] = dict(claim.sequence)
    is_background = isinstance(claim.request, ResolvedBackground)
    facts["request"] = claim.request.model_dump(
        mode="json",
        exclude=_OF_BACKGROUND if is_background else set(WITHOUT_EFFECT),
        exclude_defaults=True,
    )
    return facts

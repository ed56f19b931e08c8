"""Admission of interpolations: from whole requests to one with keyframes, and its price."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from latentry.contracts import (
    GenerationRequest,
    InputFile,
    Interpolation,
    InterpolationRequest,
    Keyframe,
    ResolvedRequest,
)
from latentry.contracts.fields.places import below
from latentry.errors import InvalidRequest, KeyframesDiffer, LatentryError, UnsupportedField
from latentry.ledger import CatalogueEntry
from latentry.rules.limits import refuse_unsupported
from latentry.rules.sequences.file_limits import refuse_impossible_file
from latentry.rules.sequences.keyframe_limits import refuse_different, refuse_impossible_way
from latentry.settings import Settings
from service.jobs.admission import (
    Admitted,
    admitted,
    choose,
    refiner_card,
    requested_model,
    resolve,
)
from service.jobs.prompts import with_prompts
from service.templates.library import Library

# What a request says of its job: an interpolation says it once.
_OF_JOBS: Final = {"n", "intermediates"} | (
    GenerationRequest.model_fields.keys() & InterpolationRequest.model_fields.keys()
)
_OF_FILES: Final = {"output_format", "output_quality", "output_lossless", "provenance"}
_OF_REQUEST: Final = _OF_FILES | {"preview_interval", "metadata"}


def with_all_prompts(request: InterpolationRequest, library: Library) -> InterpolationRequest:
    """The request with all its prompts written out. Raises UnknownStyle or InvalidPrompt."""
    written = {}
    for at, one in request.keyframes().items():
        with _below(at):
            written[at] = with_prompts(one, library)
    return request.with_keyframes(written)


def admit_interpolation(
    request: InterpolationRequest,
    entries: Sequence[CatalogueEntry],
    settings: Settings,
    inputs: Mapping[str, InputFile] | None = None,
) -> Admitted:
    """Choose the model, fill in the defaults of all pictures, check that they go together, price.

    `inputs`: their files, by where the request names them. Raises as `admit`, and KeyframesDiffer.
    """
    entry = choose(requested_model(request.from_, settings), entries)
    refuse_impossible_file(entry.card, request.output, request.fps)
    for at, one in request.keyframes().items():
        _refuse_job_fields(at, one)
        with _below(at):
            if choose(requested_model(one, settings), entries) is not entry:
                why = "model must be that of `from` in all pictures of an interpolation."
                raise KeyframesDiffer(why, fields={"/model": why})
    resolved = _resolved(request, entry, inputs or {})
    return admitted(entry, resolved, settings, refiner_card(resolved, entry.card, entries))


def _resolved(
    request: InterpolationRequest, entry: CatalogueEntry, inputs: Mapping[str, InputFile]
) -> ResolvedRequest:
    found = {}
    for at, one in request.keyframes().items():
        with _below(at):
            found[at] = resolve(one, entry.card, below(at, inputs), entry.adapters)
    refuse_different(found)
    way = _way(request, [*found.values()][1:])
    refuse_impossible_way(way, request.frames)
    of_request = {name: getattr(request, name) for name in _OF_REQUEST}
    of_request |= {"n": request.frames, "interpolation": way}
    whole = found["from"].model_copy(update=of_request)
    refuse_unsupported(entry.card, whole)
    return whole


def _way(request: InterpolationRequest, keyframes: Sequence[ResolvedRequest]) -> Interpolation:
    *via, last = (Keyframe.of(one) for one in keyframes)
    way = Interpolation(via=tuple(via), to=last, easing=request.easing, output=request.output)
    return way if request.fps is None else way.model_copy(update={"fps": request.fps})


def _refuse_job_fields(at: str, one: GenerationRequest) -> None:
    given = one.model_dump(include=_OF_JOBS, exclude_defaults=True)
    if given:
        why = f"{' and '.join(sorted(given))} cannot be said of one picture of an interpolation."
        raise UnsupportedField(why, fields={f"/{at}/{name}": why for name in given})


@contextmanager
def _below(at: str) -> Iterator[None]:
    """What is wrong with a picture is wrong below it."""
    try:
        yield
    except LatentryError as error:
        if isinstance(error, InvalidRequest):
            error.fields = {f"/{at}{pointer}": why for pointer, why in error.fields.items()}
        raise

"""Which errors a route can answer: they follow from what it takes and gives.

No route lists its own, so none can forget one. Tests compare all answers that they get with this.
What refuses a connection before it has a path (`service/http/protocol.py`) belongs to no route.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from latentry import errors
from latentry.errors import LatentryError
from latentry.ledger import UnreadableRecord
from service.description.operations import Operation
from service.http.failures import STATUS

Errors = tuple[type[LatentryError], ...]

_LEDGER: Final[Errors] = (errors.LedgerUnavailable, errors.LedgerMisconfigured)
_ACCESS: Final[Errors] = (
    *(errors.Unauthenticated, errors.InsufficientScope, errors.HostRefused, errors.RateLimited),
)
_BODY: Final[Errors] = (
    *(errors.MalformedBody, errors.UnsupportedMediaType, errors.BodyTooLarge, errors.TooSlow),
)
_PICTURES: Final[Errors] = (
    *(errors.UnsupportedImage, errors.ImageTooLarge, errors.BrokenImage),
    *(errors.Busy, errors.StorageUnavailable),
)
_REFERENCES: Final[Errors] = (errors.UrlNotAllowed, errors.FetchFailed)
_ADAPTERS: Final[Errors] = (errors.UnknownAdapter, errors.AdapterMismatch, errors.AdapterChanged)
_JOB: Final[Errors] = (errors.JobNotFound, errors.JobGone, UnreadableRecord)
# By a path's parameter, as all doors call it.
_BY_PATH: Final[Mapping[str, Errors]] = {
    "job_id": _JOB,
    # Its answers may have the pictures themselves.
    "prediction_id": (*_JOB, errors.StorageUnavailable, errors.FileNotFound),
    "delivery_id": (errors.DeliveryNotFound,),
    "model_id": (errors.UnknownModel,),
    "model": (errors.UnknownModel,),
    "name": (errors.UnknownModel,),
    "file_id": (errors.FileNotFound,),
    "key": (errors.FileNotFound, errors.LinkRefused),
}
# What a job's request can be refused for, by the field that brings it along.
_BY_FIELD: Final[Mapping[str, Errors]] = {
    "model": (errors.UnknownModel, errors.NoModel, errors.UnsupportedField),
    "upscaler": (errors.UnknownUpscaler, errors.NoModel),
    "preprocess": (errors.NoModel, errors.NoClassifier),
    "max_tokens": (errors.NoModel,),
    "scale": (errors.UnsupportedSize, errors.NoClassifier),
    "output_quality": (errors.UnsupportedField,),
    "prompt": (errors.InvalidPrompt, errors.PromptRefused, errors.NoClassifier),
    "styles": (errors.UnknownStyle,),
    "clip_skip": (errors.ClipSkipTooLarge,),
    "loras": _ADAPTERS,
    "vae": _ADAPTERS,
    "embeddings": _ADAPTERS,
    "controls": _ADAPTERS,
    "image_prompts": _ADAPTERS,
    "width": (errors.UnsupportedSize,),
    "num_inference_steps": (errors.TooManySteps,),
    "sampler": (errors.UnsupportedSampler,),
    "spacing": (errors.UnsupportedSpacing,),
    "intermediates": (errors.TooManyIntermediates,),
    "frames": (errors.TooManyFrames,),
    "from": (errors.KeyframesDiffer,),
    "image": (*_PICTURES, errors.FileGone, errors.FileQuotaExceeded),
    "provenance": (errors.ProvenanceRequired,),
    "webhook": (errors.UrlNotAllowed,),
    "finish_within": (errors.FinishWithinTooShort,),
    "priority": (
        *(errors.IdempotencyConflict, errors.RequestTooExpensive, errors.TooManyJobs),
        *(errors.QuotaExceeded, errors.QueueFull, errors.DeadlineUnreachable, errors.LedgerFull),
    ),
}
_A1111: Final = ("/sdapi/", "/controlnet/detect")
_ENDS: Final[Errors] = (
    *(kind for kind in STATUS if issubclass(kind, errors.JobFailed)),
    *(errors.Unavailable, errors.ShuttingDown, errors.JobNotFound),
)
_Rule = tuple[Callable[[Operation], object], Errors]
_RULES: Final[tuple[_Rule, ...]] = (
    (lambda _: True, (errors.LatentryError,)),  # a fault of ours: 500
    (lambda one: one.needs_key, (*_ACCESS, *_LEDGER)),
    (lambda one: "sig" in one.parameters("query"), (errors.LinkRefused,)),
    (lambda one: one.accepts_json_only, (errors.NotAcceptable,)),
    (lambda one: one.reads_query, (errors.InvalidRequest,)),
    (lambda one: one.body, _BODY),
    (lambda one: one.fields - {"file"}, (errors.InvalidRequest,)),
    (lambda one: one.is_large, (errors.Busy,)),
    (lambda one: one.is_idempotent, (errors.InvalidIdempotencyKey,)),
    (lambda one: one.takes_pictures, _PICTURES),
    (lambda one: "image" in one.fields, _REFERENCES),
    # AUTOMATIC1111's options and upscalers, and what it has and this service has not.
    (lambda one: "sd_model_checkpoint" in one.fields, (errors.UnknownModel, errors.NoModel)),
    (lambda one: "upscaler_1" in one.fields, (errors.UnknownUpscaler, errors.NoModel)),
    (lambda one: "controlnet_module" in one.fields, (errors.NoModel,)),
    (lambda one: one.route.path_format.startswith(_A1111), (errors.UnsupportedField,)),
    (lambda one: one.is_upload, (errors.FileQuotaExceeded,)),
    (lambda one: one.examines_pictures, (errors.FileNotFound,)),
    (lambda one: one.sends_pictures or one.is_deletion, (errors.StorageUnavailable,)),
    (lambda one: one.creates_a_job and one.door.waits, _ENDS),
    (lambda one: one.is_readiness, (*_LEDGER, errors.ShuttingDown, errors.Unavailable)),
)


def refusals(operation: Operation) -> Errors:
    """The errors that the operation can answer, each once."""
    return tuple(dict.fromkeys(_refusals(operation)))


def _refusals(operation: Operation) -> Iterator[type[LatentryError]]:
    for applies, kinds in _RULES:
        if applies(operation):
            yield from kinds
    for name in operation.parameters("path"):
        yield from _BY_PATH.get(name, ())
    if operation.creates_a_job:
        for field, kinds in _BY_FIELD.items():
            yield from kinds if field in operation.fields else ()

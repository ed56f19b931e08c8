"""Errors as HTTP failures: status, code, headers. The only module that knows statuses."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from latentry import errors
from latentry.errors import InvalidRequest, LatentryError
from latentry.ledger import UnreadableRecord

STATUS: Final[dict[type[LatentryError], int]] = {
    errors.LatentryError: 500,
    errors.InvalidRequest: 422,
    errors.MalformedBody: 400,
    errors.BodyTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.MalformedHead: 400,
    errors.HeadTooLarge: 431,
    errors.TooSlow: 408,
    errors.NotAcceptable: 406,
    errors.UnsupportedImage: 422,
    errors.ImageTooLarge: 422,
    errors.BrokenImage: 422,
    errors.FileGone: 422,
    errors.FetchFailed: 422,
    errors.ProvenanceRequired: 422,
    errors.UnsupportedSize: 422,
    errors.UnsupportedSampler: 422,
    errors.UnsupportedSpacing: 422,
    errors.TooManySteps: 422,
    errors.TooManyIntermediates: 422,
    errors.TooManyFrames: 422,
    errors.KeyframesDiffer: 422,
    errors.InvalidPrompt: 422,
    errors.PromptRefused: 422,
    errors.UnknownStyle: 422,
    errors.UnknownAdapter: 422,
    errors.AdapterMismatch: 422,
    errors.AdapterChanged: 422,
    errors.ClipSkipTooLarge: 422,
    errors.UnsupportedField: 422,
    errors.UrlNotAllowed: 422,
    errors.RequestTooExpensive: 422,
    errors.FinishWithinTooShort: 422,
    errors.InvalidIdempotencyKey: 400,
    errors.IdempotencyConflict: 422,
    errors.NotFound: 404,
    errors.UnknownModel: 404,
    errors.UnknownUpscaler: 404,
    errors.JobNotFound: 404,
    errors.JobGone: 410,
    errors.FileNotFound: 404,
    errors.DeliveryNotFound: 404,
    errors.LinkRefused: 403,
    errors.Unauthenticated: 401,
    errors.InsufficientScope: 403,
    errors.HostRefused: 421,
    errors.Exhausted: 429,
    errors.RateLimited: 429,
    errors.TooManyJobs: 429,
    errors.QuotaExceeded: 429,
    errors.FileQuotaExceeded: 429,
    errors.Unavailable: 503,
    errors.QueueFull: 503,
    errors.DeadlineUnreachable: 503,
    errors.LedgerFull: 503,
    errors.LedgerMisconfigured: 503,
    errors.LedgerUnavailable: 503,
    errors.StorageUnavailable: 503,
    errors.NoModel: 503,
    errors.NoAnswer: 503,
    errors.ShuttingDown: 503,
    errors.Busy: 503,
    errors.NoAdapterRoom: 503,
    errors.NoClassifier: 503,
    UnreadableRecord: 503,  # of another version: until all processes are of one
    # Raised by doors that wait for the job's end: the worker is the upstream server.
    errors.JobFailed: 502,
    errors.NonFiniteOutput: 502,
    errors.OutOfMemory: 502,
    errors.EngineError: 502,
    errors.ModelNotLoaded: 503,
    errors.ModelGone: 502,
    errors.AdapterUnusable: 502,
    errors.AdapterGone: 502,
    errors.AdaptersTooLarge: 502,
    errors.SigningFailed: 502,
    errors.PictureRefused: 422,
    errors.Poison: 502,
    # Raised in workers and at start-up only, never by a route.
    errors.LeaseLost: 500,
    errors.ConfigurationError: 500,
}
# Retry-After in seconds where the error gives none: a queue takes longer to drain than a restart.
_RETRY_AFTER_S: Final[dict[type[LatentryError], int]] = {errors.QueueFull: 10, errors.NoModel: 5}
_DEFAULT_RETRY_AFTER_S: Final = 2
_JITTER: Final = 1.5


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, before a door renders it."""

    status: int
    code: str
    detail: str
    fields: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


INTERNAL: Final = Failure(500, "internal", "Internal error.")


def failure(error: LatentryError) -> Failure:
    """The HTTP failure that one of our own errors becomes."""
    kind = next(kind for kind in type(error).__mro__ if kind in STATUS)
    status = STATUS[kind]
    if status == 500:
        return INTERNAL
    headers = _headers(status, error, kind)
    fields = error.fields if isinstance(error, InvalidRequest) else {}
    return Failure(status, error.code, error.message, fields, headers)


def _headers(status: int, error: LatentryError, kind: type[LatentryError]) -> dict[str, str]:
    if isinstance(error, errors.Exhausted):
        return {"Retry-After": str(error.retry_after_s)}
    if status != 503:
        return {}
    wait_s = error.retry_after_s if isinstance(error, errors.Unavailable) else None
    if wait_s is None:
        wait_s = _RETRY_AFTER_S.get(kind, _DEFAULT_RETRY_AFTER_S)
    else:  # jitter, so that clients refused together do not all come back together
        wait_s *= random.uniform(1, _JITTER)  # noqa: S311 - not a secret
    return {"Retry-After": str(max(1, math.ceil(wait_s)))}

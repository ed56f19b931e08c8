"""One tree of errors. Codes are stable; HTTP statuses live in the gateway alone.

LatentryError
├── InvalidRequest              what was asked cannot be
│   ├── MalformedBody
│   ├── BodyTooLarge
│   ├── UnsupportedMediaType
│   ├── UnsupportedSize
│   ├── UnsupportedSampler
│   ├── UnsupportedSpacing
│   ├── TooManySteps
│   ├── InvalidPrompt
│   ├── ClipSkipTooLarge
│   ├── UnsupportedField
│   ├── UrlNotAllowed
│   ├── InvalidIdempotencyKey
│   └── IdempotencyConflict
├── NotFound                    no such thing (for this caller)
│   ├── UnknownModel
│   ├── JobNotFound
│   ├── FileNotFound
│   └── DeliveryNotFound
├── LinkRefused                 a file URL is forged or has expired
├── Unavailable                 our fault, for now: try again
│   ├── QueueFull
│   ├── LedgerUnavailable
│   ├── StorageUnavailable
│   ├── NoModel
│   ├── NoAnswer
│   └── ShuttingDown
├── JobFailed                   a job ended without its pictures
│   ├── NonFiniteOutput
│   ├── OutOfMemory
│   ├── EngineError
│   ├── ModelNotLoaded
│   └── Poison
├── LeaseLost                   another worker holds the job now
└── ConfigurationError          the process cannot start like this
"""

from collections.abc import Mapping


class LatentryError(Exception):
    """Something went wrong in latentry."""

    code: str = "internal"
    retryable: bool = False

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (self.__doc__ or self.code).strip().splitlines()[0]
        super().__init__(self.message)


class InvalidRequest(LatentryError):
    """The request cannot be carried out as it stands."""

    code = "invalid_request"

    def __init__(
        self, message: str | None = None, *, fields: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.fields = dict(fields or {})  # what is wrong where: JSON pointer to sentence


class MalformedBody(InvalidRequest):
    """The body is not valid JSON."""

    code = "malformed_body"


class BodyTooLarge(InvalidRequest):
    """The body is larger than this service accepts."""

    code = "body_too_large"


class UnsupportedMediaType(InvalidRequest):
    """The body must be application/json, without a content encoding."""

    code = "unsupported_media_type"


class UnsupportedSize(InvalidRequest):
    """The model does not draw pictures of this size."""

    code = "unsupported_size"


class UnsupportedSampler(InvalidRequest):
    """The model does not offer this sampler."""

    code = "unsupported_sampler"


class UnsupportedSpacing(InvalidRequest):
    """The sampler cannot space its noise levels this way."""

    code = "unsupported_spacing"


class TooManySteps(InvalidRequest):
    """The model does not take this many steps."""

    code = "too_many_steps"


class InvalidPrompt(InvalidRequest):
    """The prompt gives some words a weight that makes no sense."""

    code = "invalid_prompt"


class ClipSkipTooLarge(InvalidRequest):
    """The model's text encoder has not that many layers to skip."""

    code = "clip_skip_too_large"


class UnsupportedField(InvalidRequest):
    """The model has no use for this field."""

    code = "unsupported_field"


class UrlNotAllowed(InvalidRequest):
    """The URL must be https://, a public host's full name, and nothing unusual."""

    code = "url_not_allowed"


class InvalidIdempotencyKey(InvalidRequest):
    """An Idempotency-Key is 1 to 255 printable ASCII characters."""

    code = "invalid_idempotency_key"


class IdempotencyConflict(InvalidRequest):
    """This Idempotency-Key was used with another request."""

    code = "idempotency_conflict"


class NotFound(LatentryError):
    """There is nothing at this address."""

    code = "not_found"


class UnknownModel(NotFound):
    """No such model is in the catalogue; GET /v1/models lists those that are."""

    code = "unknown_model"


class JobNotFound(NotFound):
    """There is no such job, or its record has expired."""

    code = "job_not_found"


class FileNotFound(NotFound):
    """There is no such file, or it has expired."""

    code = "file_not_found"


class DeliveryNotFound(NotFound):
    """The job has no such delivery."""

    code = "delivery_not_found"


class LinkRefused(LatentryError):
    """This link is not valid or has expired; read the job again for a fresh one."""

    code = "link_refused"


class Unavailable(LatentryError):
    """The service cannot do this right now."""

    code = "unavailable"
    retryable = True

    def __init__(self, message: str | None = None, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s  # None: nobody knows


class QueueFull(Unavailable):
    """Too many jobs are waiting."""

    code = "queue_full"


class LedgerUnavailable(Unavailable):
    """The ledger does not answer."""

    code = "ledger_unavailable"


class StorageUnavailable(Unavailable):
    """Picture storage does not answer."""

    code = "storage_unavailable"


class NoModel(Unavailable):
    """No model has been loaded yet."""

    code = "no_model"


class NoAnswer(Unavailable):
    """The other side does not answer."""

    code = "no_answer"


class ShuttingDown(Unavailable):
    """The service is shutting down."""

    code = "shutting_down"


class JobFailed(LatentryError):
    """The job ended without its pictures."""

    code = "job_failed"


class NonFiniteOutput(JobFailed):
    """The model produced numbers that are not finite; another seed or fewer steps may help."""

    code = "non_finite_output"


class OutOfMemory(JobFailed):
    """The device has not enough memory for this picture even alone; ask for a smaller one."""

    code = "out_of_memory"


class EngineError(JobFailed):
    """The engine failed on this picture."""

    code = "engine_error"


class ModelNotLoaded(JobFailed):
    """The worker could not load the model; another one may, or this one in a minute."""

    code = "model_not_loaded"
    retryable = True


class Poison(JobFailed):
    """Workers died three times while they ran this job."""

    code = "poison"


class LeaseLost(LatentryError):
    """Another worker holds this job now, or it has ended."""

    code = "lease_lost"


class ConfigurationError(LatentryError):
    """The settings do not make a service."""

    code = "configuration"

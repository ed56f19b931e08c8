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
│   ├── IdempotencyConflict
│   ├── RequestTooExpensive
│   ├── MalformedHead
│   ├── HeadTooLarge
│   ├── TooSlow
│   ├── NotAcceptable
│   ├── UnsupportedImage
│   ├── ImageTooLarge
│   └── BrokenImage
├── NotFound                    no such thing (for this caller)
│   ├── UnknownModel
│   ├── JobNotFound
│   ├── FileNotFound
│   └── DeliveryNotFound
├── LinkRefused                 a file URL is forged or has expired
├── Unavailable                 our fault, for now: try again
│   ├── QueueFull
│   ├── LedgerUnavailable
│   │   └── LedgerFull
│   ├── StorageUnavailable
│   ├── NoModel
│   ├── NoAnswer
│   ├── ShuttingDown
│   ├── DeadlineUnreachable
│   └── Busy
├── JobFailed                   a job ended without its pictures
│   ├── NonFiniteOutput
│   ├── OutOfMemory
│   ├── EngineError
│   ├── ModelNotLoaded
│   └── Poison
├── LeaseLost                   another worker holds the job now
├── ConfigurationError          the process cannot start like this
├── Unauthenticated
├── InsufficientScope
├── HostRefused
└── Exhausted                   the caller's own limit, for now
    ├── RateLimited
    ├── TooManyJobs
    ├── QuotaExceeded
    └── FileQuotaExceeded
"""

from latentry.errors.callers import (
    FileQuotaExceeded,
    HostRefused,
    InsufficientScope,
    LinkRefused,
    QuotaExceeded,
    RateLimited,
    TooManyJobs,
    Unauthenticated,
)
from latentry.errors.fates import (
    EngineError,
    LeaseLost,
    ModelNotLoaded,
    NonFiniteOutput,
    OutOfMemory,
    Poison,
)
from latentry.errors.missing import (
    DeliveryNotFound,
    FileNotFound,
    JobNotFound,
    UnknownModel,
)
from latentry.errors.outages import (
    Busy,
    DeadlineUnreachable,
    LedgerFull,
    LedgerUnavailable,
    NoAnswer,
    NoModel,
    QueueFull,
    ShuttingDown,
    StorageUnavailable,
)
from latentry.errors.requests import (
    BodyTooLarge,
    BrokenImage,
    ClipSkipTooLarge,
    HeadTooLarge,
    IdempotencyConflict,
    ImageTooLarge,
    InvalidIdempotencyKey,
    InvalidPrompt,
    MalformedBody,
    MalformedHead,
    NotAcceptable,
    RequestTooExpensive,
    TooManySteps,
    TooSlow,
    UnsupportedField,
    UnsupportedImage,
    UnsupportedMediaType,
    UnsupportedSampler,
    UnsupportedSize,
    UnsupportedSpacing,
    UrlNotAllowed,
)
from latentry.errors.tree import (
    ConfigurationError,
    Exhausted,
    InvalidRequest,
    JobFailed,
    LatentryError,
    NotFound,
    Unavailable,
)

__all__ = [
    "BodyTooLarge",
    "BrokenImage",
    "Busy",
    "ClipSkipTooLarge",
    "ConfigurationError",
    "DeadlineUnreachable",
    "DeliveryNotFound",
    "EngineError",
    "Exhausted",
    "FileNotFound",
    "FileQuotaExceeded",
    "HeadTooLarge",
    "HostRefused",
    "IdempotencyConflict",
    "ImageTooLarge",
    "InsufficientScope",
    "InvalidIdempotencyKey",
    "InvalidPrompt",
    "InvalidRequest",
    "JobFailed",
    "JobNotFound",
    "LatentryError",
    "LeaseLost",
    "LedgerFull",
    "LedgerUnavailable",
    "LinkRefused",
    "MalformedBody",
    "MalformedHead",
    "ModelNotLoaded",
    "NoAnswer",
    "NoModel",
    "NonFiniteOutput",
    "NotAcceptable",
    "NotFound",
    "OutOfMemory",
    "Poison",
    "QueueFull",
    "QuotaExceeded",
    "RateLimited",
    "RequestTooExpensive",
    "ShuttingDown",
    "StorageUnavailable",
    "TooManyJobs",
    "TooManySteps",
    "TooSlow",
    "Unauthenticated",
    "Unavailable",
    "UnknownModel",
    "UnsupportedField",
    "UnsupportedImage",
    "UnsupportedMediaType",
    "UnsupportedSampler",
    "UnsupportedSize",
    "UnsupportedSpacing",
    "UrlNotAllowed",
]

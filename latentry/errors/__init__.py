"""One tree of errors. Codes are stable; HTTP statuses live in the gateway alone.

LatentryError
├── InvalidRequest              the request is invalid
│   ├── MalformedBody, BodyTooLarge
│   ├── UnsupportedMediaType, UnsupportedSize, UnsupportedSampler, UnsupportedSpacing
│   ├── TooManySteps, TooManyFrames, TooManyIntermediates
│   ├── KeyframesDiffer
│   ├── InvalidPrompt
│   ├── PromptRefused
│   ├── UnknownStyle
│   ├── UnknownAdapter, AdapterMismatch, AdapterChanged
│   ├── ClipSkipTooLarge
│   ├── UnsupportedField
│   ├── UrlNotAllowed
│   ├── InvalidIdempotencyKey, IdempotencyConflict
│   ├── RequestTooExpensive
│   ├── FinishWithinTooShort
│   ├── MalformedHead
│   ├── HeadTooLarge
│   ├── TooSlow
│   ├── NotAcceptable
│   ├── UnsupportedImage, ImageTooLarge, BrokenImage
│   ├── FileGone
│   ├── ProvenanceRequired
│   └── FetchFailed
├── NotFound                    it does not exist, or not for this caller
│   ├── UnknownModel
│   ├── UnknownUpscaler
│   ├── JobNotFound
│   ├── JobGone
│   ├── FileNotFound
│   └── DeliveryNotFound
├── LinkRefused                 a file URL is forged or has expired
├── Unavailable                 the service cannot do it now: retry
│   ├── QueueFull
│   ├── LedgerUnavailable
│   │   ├── LedgerFull
│   │   └── LedgerMisconfigured
│   ├── StorageUnavailable
│   ├── NoModel
│   ├── NoAnswer
│   ├── ShuttingDown
│   ├── DeadlineUnreachable
│   ├── NoAdapterRoom
│   ├── NoClassifier
│   └── Busy
├── JobFailed                   a job ended without images
│   ├── NonFiniteOutput
│   ├── OutOfMemory
│   ├── EngineError
│   ├── ModelNotLoaded, ModelGone
│   ├── AdapterUnusable
│   ├── AdapterGone
│   ├── AdaptersTooLarge
│   ├── SigningFailed
│   ├── PictureRefused
│   └── Poison
├── LeaseLost                   another worker holds the job now
├── ConfigurationError          the process cannot start with these settings
├── Unauthenticated
├── InsufficientScope
├── HostRefused
└── Exhausted                   a limit of the API key is reached
    ├── RateLimited
    ├── TooManyJobs
    ├── QuotaExceeded
    └── FileQuotaExceeded
"""

from latentry.errors.access import (
    FileQuotaExceeded,
    HostRefused,
    InsufficientScope,
    LinkRefused,
    QuotaExceeded,
    RateLimited,
    TooManyJobs,
    Unauthenticated,
)
from latentry.errors.base import (
    ConfigurationError,
    Exhausted,
    InvalidRequest,
    JobFailed,
    LatentryError,
    NotFound,
    Unavailable,
)
from latentry.errors.jobs import (
    AdapterGone,
    AdaptersTooLarge,
    AdapterUnusable,
    EngineError,
    LeaseLost,
    ModelGone,
    ModelNotLoaded,
    NonFiniteOutput,
    OutOfMemory,
    PictureRefused,
    Poison,
    SigningFailed,
)
from latentry.errors.not_found import (
    DeliveryNotFound,
    FileNotFound,
    JobGone,
    JobNotFound,
    UnknownModel,
    UnknownUpscaler,
)
from latentry.errors.requests import (
    AdapterChanged,
    AdapterMismatch,
    BodyTooLarge,
    BrokenImage,
    ClipSkipTooLarge,
    FetchFailed,
    FileGone,
    FinishWithinTooShort,
    HeadTooLarge,
    IdempotencyConflict,
    ImageTooLarge,
    InvalidIdempotencyKey,
    InvalidPrompt,
    KeyframesDiffer,
    MalformedBody,
    MalformedHead,
    NotAcceptable,
    PromptRefused,
    ProvenanceRequired,
    RequestTooExpensive,
    TooManyFrames,
    TooManyIntermediates,
    TooManySteps,
    TooSlow,
    UnknownAdapter,
    UnknownStyle,
    UnsupportedField,
    UnsupportedImage,
    UnsupportedMediaType,
    UnsupportedSampler,
    UnsupportedSize,
    UnsupportedSpacing,
    UrlNotAllowed,
)
from latentry.errors.unavailable import (
    Busy,
    DeadlineUnreachable,
    LedgerFull,
    LedgerMisconfigured,
    LedgerUnavailable,
    NoAdapterRoom,
    NoAnswer,
    NoClassifier,
    NoModel,
    QueueFull,
    ShuttingDown,
    StorageUnavailable,
)

__all__ = [
    "AdapterChanged",
    "AdapterGone",
    "AdapterMismatch",
    "AdapterUnusable",
    "AdaptersTooLarge",
    "BodyTooLarge",
    "BrokenImage",
    "Busy",
    "ClipSkipTooLarge",
    "ConfigurationError",
    "DeadlineUnreachable",
    "DeliveryNotFound",
    "EngineError",
    "Exhausted",
    "FetchFailed",
    "FileGone",
    "FileNotFound",
    "FileQuotaExceeded",
    "FinishWithinTooShort",
    "HeadTooLarge",
    "HostRefused",
    "IdempotencyConflict",
    "ImageTooLarge",
    "InsufficientScope",
    "InvalidIdempotencyKey",
    "InvalidPrompt",
    "InvalidRequest",
    "JobFailed",
    "JobGone",
    "JobNotFound",
    "KeyframesDiffer",
    "LatentryError",
    "LeaseLost",
    "LedgerFull",
    "LedgerMisconfigured",
    "LedgerUnavailable",
    "LinkRefused",
    "MalformedBody",
    "MalformedHead",
    "ModelGone",
    "ModelNotLoaded",
    "NoAdapterRoom",
    "NoAnswer",
    "NoClassifier",
    "NoModel",
    "NonFiniteOutput",
    "NotAcceptable",
    "NotFound",
    "OutOfMemory",
    "PictureRefused",
    "Poison",
    "PromptRefused",
    "ProvenanceRequired",
    "QueueFull",
    "QuotaExceeded",
    "RateLimited",
    "RequestTooExpensive",
    "ShuttingDown",
    "SigningFailed",
    "StorageUnavailable",
    "TooManyFrames",
    "TooManyIntermediates",
    "TooManyJobs",
    "TooManySteps",
    "TooSlow",
    "Unauthenticated",
    "Unavailable",
    "UnknownAdapter",
    "UnknownModel",
    "UnknownStyle",
    "UnknownUpscaler",
    "UnsupportedField",
    "UnsupportedImage",
    "UnsupportedMediaType",
    "UnsupportedSampler",
    "UnsupportedSize",
    "UnsupportedSpacing",
    "UrlNotAllowed",
]

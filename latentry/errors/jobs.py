"""Why a job, or a worker's lease on it, ended without images."""

from latentry.errors.base import JobFailed, LatentryError


class NonFiniteOutput(JobFailed):
    """The model produced non-finite values; another seed or fewer steps may help."""

    code = "non_finite_output"


class OutOfMemory(JobFailed):
    """The device does not have enough memory for this image; request a smaller one."""

    code = "out_of_memory"


class EngineError(JobFailed):
    """The engine failed on this image."""

    code = "engine_error"


class ModelNotLoaded(JobFailed):
    """The worker could not load the model; retry in a minute, or on another worker."""

    code = "model_not_loaded"
    retryable = True

    def __init__(self, message: str | None = None, *, model: str = "") -> None:
        super().__init__(message)
        self.model = model  # which of those that the job needs


class ModelGone(JobFailed):
    """The model was removed from the service before the job began."""

    code = "model_gone"


class AdapterUnusable(JobFailed):
    """The adapter's file cannot be used."""

    code = "adapter_unusable"


class AdapterGone(JobFailed):
    """The worker no longer has the file that the adapter's id meant when the job was accepted."""

    code = "adapter_gone"


class AdaptersTooLarge(JobFailed):
    """The adapters of this job take more memory than the worker allows for adapters."""

    code = "adapters_too_large"


class SigningFailed(JobFailed):
    """The image could not be signed, and unsigned images are not stored."""

    code = "signing_failed"


class PictureRefused(JobFailed):
    """A rule of this service forbids what the picture shows."""

    code = "picture_refused"


class Poison(JobFailed):
    """Workers died three times while running this job."""

    code = "poison"


class LeaseLost(LatentryError):
    """The job has ended, or another worker holds its lease."""

    code = "lease_lost"

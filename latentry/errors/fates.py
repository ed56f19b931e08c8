"""How a job, or a claim to it, ends without its pictures."""

from latentry.errors.tree import JobFailed, LatentryError


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

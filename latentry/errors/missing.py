"""No such thing, for this caller."""

from latentry.errors.tree import NotFound


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

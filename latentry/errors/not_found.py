"""What does not exist, or not for this caller."""

from latentry.errors.base import NotFound


class UnknownModel(NotFound):
    """The model does not exist; GET /v1/models lists the available models."""

    code = "unknown_model"


class UnknownUpscaler(NotFound):
    """The upscaler does not exist; GET /v1/upscalers lists the available upscalers."""

    code = "unknown_upscaler"


class JobNotFound(NotFound):
    """The job does not exist, or its record has expired."""

    code = "job_not_found"


class JobGone(NotFound):
    """The job was kept for as long as was asked, and is gone with its images."""

    code = "job_gone"


class FileNotFound(NotFound):
    """The file does not exist, or it has expired."""

    code = "file_not_found"


class DeliveryNotFound(NotFound):
    """The job has no delivery with this id."""

    code = "delivery_not_found"

"""Jobs that did not succeed as errors, for doors whose answer is the finished job."""

from latentry.contracts import JobStatus
from latentry.errors import JobFailed, LatentryError, PictureRefused, Unavailable
from latentry.ledger import JobRecord


def failed(record: JobRecord) -> LatentryError:
    """Why there are no images."""
    message = record.error.message if record.error else f"The job was {record.state}."
    if record.error and record.error.code == PictureRefused.code:
        return PictureRefused(message)
    is_late = record.state is JobStatus.EXPIRED  # retryable: the queue may be shorter then
    error = Unavailable(message) if is_late else JobFailed(message)
    error.code = record.error.code if record.error else record.state.value
    return error

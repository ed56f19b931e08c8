"""A job that did not succeed, as an error for clients that wait for its images."""

from latentry.contracts import JobStatus
from latentry.errors import JobFailed, LatentryError, Unavailable
from latentry.ledger import JobRecord


def failed(record: JobRecord) -> LatentryError:
    """Why there are no images."""
    message = record.error.message if record.error else f"The job was {record.state}."
    is_late = record.state is JobStatus.EXPIRED  # retryable: the queue may be shorter then
    error = Unavailable(message) if is_late else JobFailed(message)
    error.code = record.error.code if record.error else record.state.value
    return error

"""Temporary failures of the service: retry later."""

from latentry.errors.base import Unavailable


class QueueFull(Unavailable):
    """Too many jobs are queued."""

    code = "queue_full"


class LedgerUnavailable(Unavailable):
    """The ledger (Redis) does not respond."""

    code = "ledger_unavailable"


class StorageUnavailable(Unavailable):
    """The image storage does not respond."""

    code = "storage_unavailable"


class NoModel(Unavailable):
    """No model has been loaded yet."""

    code = "no_model"


class NoAnswer(Unavailable):
    """The remote server did not respond."""

    code = "no_answer"


class ShuttingDown(Unavailable):
    """The service is shutting down."""

    code = "shutting_down"


class DeadlineUnreachable(Unavailable):
    """The job could not start in time."""

    code = "deadline_unreachable"


class LedgerFull(LedgerUnavailable):
    """The ledger (Redis) has no memory for another job until others end."""

    code = "queue_storage_full"


class Busy(Unavailable):
    """Too many requests are being served; retry shortly."""

    code = "busy"


class LedgerMisconfigured(LedgerUnavailable):
    """The ledger (Redis) responds, but refuses what the service needs."""

    code = "ledger_misconfigured"


class NoAdapterRoom(Unavailable):
    """The worker's memory for adapters is taken by images that are being drawn."""

    code = "no_adapter_room"


class NoClassifier(Unavailable):
    """A rule on pictures needs a classifier that the workers of this model do not have."""

    code = "no_classifier"

"""Our fault, for now: try again."""

from latentry.errors.tree import Unavailable


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


class DeadlineUnreachable(Unavailable):
    """The job would start too late."""

    code = "deadline_unreachable"


class LedgerFull(LedgerUnavailable):
    """The ledger has no memory left for another job; those that end make room."""

    code = "queue_storage_full"


class Busy(Unavailable):
    """Too many others are being served at this moment."""

    code = "busy"

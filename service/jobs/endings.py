"""Notes how every job ended: one log line and the figures."""

import structlog

from latentry.ledger import LedgerEvent
from service.metrics import Metrics

log = structlog.get_logger()


class Endings:
    """Hears of every end, apart from whoever waits for it, and asks the ledger nothing."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def note(self, end: LedgerEvent) -> None:
        """A job ended."""
        model, code = end.data.get("model"), end.data.get("code", "")
        if model is None:  # another version moved it, whose ends say nothing
            log.warning("job.ended", job=end.ref.id, status=end.type.value)
            return
        queue_ms, run_ms = end.data.get("queue_ms"), end.data.get("run_ms")
        self._metrics.ended(model, end.type.value, code, queue_ms, run_ms)
        log.info(
            "job.ended",
            job=end.ref.id,
            model=model,
            status=end.type.value,
            code=code or None,
            queue_ms=queue_ms,
            run_ms=run_ms,
        )

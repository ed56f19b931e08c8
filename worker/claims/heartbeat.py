"""Reports to the ledger that this worker is alive, its models, and how fast they are."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import structlog

from latentry.contracts import Adapter, ModelCard, RegisteredCard, UpscalerCard
from latentry.contracts.catalogue.models import Pace
from latentry.errors import LedgerUnavailable
from latentry.ledger import Ledger, commands

log = structlog.get_logger()

BEATS_PER_LIFE: Final = 3  # a worker counts as dead after this many heartbeats were missed


class Heartbeat:
    """One worker's sign of life. Models that `failed` to load are not counted as served.

    `adapters`: all that the worker has now.
    """

    def __init__(
        self,
        ledger: Ledger,
        worker: str,
        cards: Sequence[ModelCard | UpscalerCard],
        *,
        every_s: float,
        failed: Callable[[], Collection[str]] = tuple,
        adapters: Callable[[], tuple[Adapter, ...]] = tuple,
    ) -> None:
        self._ledger = ledger
        self._worker = worker
        self._cards = {card.queue: card for card in cards}
        self._every_s = every_s
        self._failed = failed
        self._adapters = adapters

    @property
    def models(self) -> list[str]:
        """The queues of the models and upscalers that this worker serves."""
        return list(self._cards)

    def report_pace(self, paces: Mapping[str, Pace]) -> None:
        """Put the speed of these models into their cards, which the next beat sends."""
        for model, pace in paces.items():
            self._cards[model] = self._cards[model].model_copy(update={"pace": pace})

    def beat(self) -> None:
        """Refresh the catalogue and the worker's own entry. Raises LedgerUnavailable."""
        for card in list(self._cards.values()):  # each time: the ledger may have been emptied
            if isinstance(card, ModelCard):
                card = RegisteredCard(**dict(card), adapters=self._adapters())
            self._ledger.run(commands.register_model(card))
        failed = self._failed()
        served = [model for model in self.models if model not in failed]
        ttl_s = self._every_s * BEATS_PER_LIFE
        self._ledger.run(commands.heartbeat(self._worker, served, ttl_s=ttl_s))

    def sign_off(self) -> None:
        """Remove this worker's entry. If the ledger is not reached, the entry expires."""
        try:
            self._ledger.run(commands.heartbeat(self._worker, [], ttl_s=1))
        except LedgerUnavailable:
            log.warning("ledger.unavailable", doing="sign off")

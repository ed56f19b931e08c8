"""The cards of all that this worker serves. Models come and go; upscalers stay."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from latentry.contracts import AnyCard, ModelCard
from latentry.contracts.catalogue.models import Pace

# For so long the ledger is told again that a model is gone: jobs of it may still come back to their
# queue from workers that had them, and from gateways that read the catalogue a moment before.
WITHDRAW_S: Final = 120.0


class ServedCards:
    """By queue, in the order in which they came. From any thread."""

    def __init__(
        self,
        cards: Iterable[AnyCard],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cards = {card.queue: card for card in cards}
        self._withdrawn: dict[str, float] = {}  # until when the ledger is told
        self._clock = clock
        self._lock = threading.Lock()

    @property
    def cards(self) -> list[AnyCard]:
        """All that are served now."""
        with self._lock:
            return list(self._cards.values())

    @property
    def queues(self) -> list[str]:
        """Those of all of them."""
        with self._lock:
            return list(self._cards)

    @property
    def withdrawn(self) -> list[str]:
        """The models that were served a short time ago."""
        now = self._clock()
        with self._lock:
            self._withdrawn = {id: until for id, until in self._withdrawn.items() if now < until}
            return list(self._withdrawn)

    def serve(self, card: ModelCard) -> None:
        """Serve a model, or its namesake instead of it."""
        with self._lock:
            self._withdrawn.pop(card.queue, None)
            self._cards[card.queue] = card

    def withdraw(self, model: str) -> None:
        """Serve a model no longer."""
        with self._lock:
            if self._cards.pop(model, None):
                self._withdrawn[model] = self._clock() + WITHDRAW_S

    def report_pace(self, paces: Mapping[str, Pace]) -> None:
        """Put the speed of these into their cards."""
        with self._lock:
            for queue, pace in paces.items():
                if card := self._cards.get(queue):
                    self._cards[queue] = card.model_copy(update={"pace": pace})

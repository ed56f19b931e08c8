"""Reports to the ledger that this worker is alive, its models, and how fast they are."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

import structlog

from latentry.contracts import Adapter, AnyCard, ModelCard
from latentry.errors import LedgerUnavailable
from latentry.ledger import Ledger, commands
from latentry.ledger.catalogue import NO_ADAPTERS, ListedAdapters
from latentry.ledger.commands.worker import WITHDRAW_BATCH
from worker.claims.catalogue.served_cards import ServedCards

log = structlog.get_logger()

BEATS_PER_LIFE: Final = 3  # a worker counts as dead after this many heartbeats were missed


class Heartbeat:
    """One worker's sign of life. Models that `failed` to load are not counted as served.

    `adapters`: all that the worker has now; their list is sent when it has changed. `held`: the
    SHA-256 of those in its memory.
    """

    def __init__(
        self,
        ledger: Ledger,
        worker: str,
        cards: Sequence[AnyCard],
        *,
        every_s: float,
        failed: Callable[[], Collection[str]] = tuple,
        adapters: Callable[[], tuple[Adapter, ...]] = tuple,
        held: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._ledger = ledger
        self._worker = worker
        self.served = ServedCards(cards)
        self._every_s = every_s
        self._failed = failed
        self._adapters = adapters
        self._listed: tuple[tuple[Adapter, ...], ListedAdapters] = ((), NO_ADAPTERS)
        self._held = held
        self._said_held: frozenset[str] = frozenset()

    @property
    def models(self) -> list[str]:
        """The queues of the models and upscalers that this worker serves."""
        return self.served.queues

    def beat(self) -> None:
        """Refresh the catalogue and the worker's own entry. Raises LedgerUnavailable."""
        for card in self.served.cards:  # each time: the ledger may have been emptied
            listed = self._list() if isinstance(card, ModelCard) else NO_ADAPTERS
            if self._ledger.run(commands.register_model(card, listed, in_full=False)) < 0:
                self._ledger.run(commands.register_model(card, listed))
        failed = self._failed()
        served = [model for model in self.models if model not in failed]
        ttl_s = self._every_s * BEATS_PER_LIFE
        adapters = self._list().digest
        self._ledger.run(commands.heartbeat(self._worker, served, ttl_s=ttl_s, adapters=adapters))
        self._said_held = frozenset()
        self.say_held()
        for model in self.served.withdrawn:  # after: it counts as served until the worker says so
            while self._ledger.run(commands.withdraw_model(self._worker, model)) == WITHDRAW_BATCH:
                log.info("model.jobs_ended", model=model)

    def say_held(self) -> None:
        """Tell which adapters are in memory, if others than were told. Raises LedgerUnavailable."""
        held = frozenset(self._held())
        if held != self._said_held:
            ttl_s = self._every_s * BEATS_PER_LIFE
            self._ledger.run(commands.hold(self._worker, sorted(held), ttl_s=ttl_s))
            self._said_held = held

    def _list(self) -> ListedAdapters:
        adapters = self._adapters()
        if adapters != self._listed[0]:
            self._listed = adapters, ListedAdapters.of(adapters)
        return self._listed[1]

    def sign_off(self) -> None:
        """Remove this worker's entry. If the ledger is not reached, the entry expires."""
        try:
            self._ledger.run(commands.heartbeat(self._worker, [], ttl_s=1))
        except LedgerUnavailable:
            log.warning("ledger.unavailable", doing="sign off")

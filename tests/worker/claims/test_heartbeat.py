"""What the ledger knows of a live worker and its models."""

import time

from latentry.contracts import ModelCard
from latentry.ledger import Ledger, commands
from latentry.storage import Storage
from tests.worker.harness import Worker


def test_the_catalogue_says_what_pictures_cost_here(ledger: Ledger, worker) -> None:
    deadline = time.monotonic() + 10
    cards: list[ModelCard] = []
    while not any(card.pace for card in cards):
        assert time.monotonic() < deadline, cards
        cards = [entry.card for entry in ledger.run(commands.list_models())]


def test_a_worker_does_not_count_for_a_model_that_it_cannot_load(
    ledger: Ledger, storage: Storage
) -> None:
    failed: set[str] = set()
    worker = Worker(ledger, storage, failed=failed)
    worker.reporter.report()
    assert ledger.run(commands.list_models())[0].workers == 1
    failed.add("shapes")
    deadline = time.monotonic() + 10
    while ledger.run(commands.list_models())[0].workers:
        assert time.monotonic() < deadline
        worker.reporter.report()

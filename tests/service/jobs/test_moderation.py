"""Rules are looked for beside the event loop, once that would be held up."""

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from latentry.ledger import CatalogueEntry
from latentry.rules.moderation.prompt_rules import PromptAction, PromptRule
from latentry.rules.moderation.rulebook import Rulebook
from latentry.rules.pricing import Price
from service.jobs.admission import Admitted
from service.jobs.moderation import Moderation
from tests.latentry.ledger.factory import card, request


class Spy:
    """A pattern that finds nothing, and knows on which threads it was looked for."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def search(self, text: str, /) -> object:
        self.threads.add(threading.get_ident())
        return None


@pytest.mark.parametrize(
    ("rules", "chars", "is_beside"), [(1, 100, False), (1, 7_000, True), (500, 100, True)]
)
async def test_much_to_read_is_read_beside_the_event_loop(
    rules: int, chars: int, is_beside: bool
) -> None:
    spy = Spy()
    book = Rulebook(
        tuple(PromptRule(f"r{k}", PromptAction.FLAG, "x", patterns=(spy,)) for k in range(rules)),
        any_pattern=spy,
    )
    moderation = Moderation(
        cast(Any, SimpleNamespace(rules=book)), cast(Any, None), cast(Any, None)
    )
    entry = CatalogueEntry(card(), 1, waiting=0, oldest_ms=0)
    price = Price(step_megapixels=1, cost_ms=1, seats=0, images=1)
    admitted = Admitted(entry, request(prompt="a" * chars), price)
    await moderation.moderate(cast(Any, SimpleNamespace(tenant="acme")), admitted)
    assert spy.threads
    assert (threading.get_ident() not in spy.threads) == is_beside

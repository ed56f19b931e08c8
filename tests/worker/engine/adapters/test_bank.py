"""Room for adapters: who gets it, and for whom it is kept."""

import pytest

from latentry.errors import NoAdapterRoom
from worker.engine.adapters.bank import WAITS_S, Bank
from worker.engine.adapters.lora.loaded import LoadedAdapter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def get(bank: Bank, name: str, size: int) -> LoadedAdapter:
    return bank.get(("model", name), size, lambda: LoadedAdapter(name, {}, size))


def test_what_was_refused_comes_before_what_is_new() -> None:
    """Small ones, of which some are always in use, would else keep a large one out for ever."""
    bank = Bank(10, Clock())
    first = get(bank, "first", 4)
    with pytest.raises(NoAdapterRoom):
        get(bank, "large", 8)
    for _ in range(3):
        with pytest.raises(NoAdapterRoom):
            get(bank, "second", 4)
    assert get(bank, "first", 4) is first, "what is in memory already takes no room"
    del first
    assert get(bank, "large", 8).size_bytes == 8
    assert get(bank, "second", 4).size_bytes == 4, "now nothing else waits"


def test_nothing_waits_for_what_does_not_come_again() -> None:
    clock = Clock()
    bank = Bank(10, clock)
    first = get(bank, "first", 4)
    with pytest.raises(NoAdapterRoom):
        get(bank, "large", 8)
    clock.now = WAITS_S
    second = get(bank, "second", 4)
    assert bank.used_bytes == first.size_bytes + second.size_bytes

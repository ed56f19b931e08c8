"""Two checkouts in turn, and the ratios that come of it."""

import asyncio
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks import beside
from benchmarks.beside import (
    BOOT_S,
    RATE,
    SINGLE_S,
    Plan,
    Side,
    load_ratios,
    report,
    settings_of,
    turns,
)
from benchmarks.contenders.checkout import Checkout
from benchmarks.load.traces import Wish

QUICK = Plan(rounds=3, window_s=0.15, warm_s=0.05)


class Paced:
    """Draws every picture in so many seconds, and notes when its turns begin."""

    def __init__(self, name: str, picture_s: float, order: list[str]) -> None:
        self.name = name
        self._picture_s = picture_s
        self._order = order

    async def draw(self, wish: Wish) -> Mapping[str, Any]:
        self._order.append(self.name)
        await asyncio.sleep(self._picture_s)
        return {}

    async def clear(self) -> Mapping[str, Any]:
        return {}


def test_each_is_first_in_every_other_round() -> None:
    assert turns("A", "B", 4) == [("A", "B"), ("B", "A"), ("A", "B"), ("B", "A")]


async def test_a_faster_contender_has_a_higher_rate_and_sooner_pictures() -> None:
    order: list[str] = []
    ratios = await load_ratios(Paced("new", 0.005, order), Paced("old", 0.02, order), QUICK)
    assert len(ratios[RATE]) == len(ratios[SINGLE_S]) == 3
    assert all(ratio > 1 for ratio in ratios[RATE])
    assert all(ratio < 1 for ratio in ratios[SINGLE_S])
    # After the warm-up: windows and single requests A B A B, then B A B A, then A B A B.
    turns_taken = [name for name, _ in itertools.groupby(order)]
    assert turns_taken == ["new", "old"] * 6


async def test_a_short_window_goes_on_until_it_has_enough_pictures() -> None:
    plan = Plan(rounds=2, window_s=0.0, warm_s=0.01)
    ratios = await load_ratios(Paced("new", 0.1, []), Paced("old", 0.1, []), plan)
    assert len(ratios[RATE]) == 2


async def test_windows_without_pictures_in_common_give_no_ratio() -> None:
    plan = Plan(rounds=2, window_s=0.0, warm_s=0.3)
    with pytest.raises(RuntimeError, match="longer"):
        await load_ratios(Paced("new", 0.001, []), Paced("old", 0.29, []), plan)


async def test_starts_take_turns_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new, old = (Side(Checkout.at(tmp_path / name), {}) for name in ("new", "old"))
    order = []

    async def boot_s(side: Side) -> float:
        order.append(side.checkout.root.name)
        return 3.0 if side == new else 2.0

    monkeypatch.setattr(beside, "_boot_s", boot_s)
    assert await beside.boot_ratios(new, old, 3) == {BOOT_S: [1.5, 1.5, 1.5]}
    assert order == ["new", "old", "old", "new", "new", "old"]


def test_both_get_the_same_precision_and_threads() -> None:
    assert settings_of({"LATENTRY_THREADS": "1", "HOME": "/"}) == {
        "LATENTRY_COMPILE": "off",
        "LATENTRY_DTYPE": "float32",
        "LATENTRY_THREADS": "1",
    }


def result(ratios: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    return {
        "new": "b, torch 2",
        "old": "a, torch 2",
        "machine": "2 CPUs, load average 0.1 beforehand",
        "plan": {"window_s": 10.0},
        "settings": settings_of({"LATENTRY_THREADS": "2"}),
        "only_new": {},
        "only_old": {"LATENTRY_MAX_ROWS": "8"},
        "ratios": ratios,
    }


def test_the_table_names_what_is_equal_and_has_an_interval_for_each_ratio() -> None:
    found = result({"engine": {RATE: [1.0, 1.1, 1.05]}, "service": {BOOT_S: [0.9, 0.9]}})
    assert report(json.loads(json.dumps(found))) == [
        "new: b, torch 2",
        "old: a, torch 2, LATENTRY_MAX_ROWS=8",
        "machine: 2 CPUs, load average 0.1 beforehand",
        "both: LATENTRY_COMPILE=off, LATENTRY_DTYPE=float32, LATENTRY_THREADS=2; "
        "trace steps, 16 callers, windows of 10 s",
        "",
        "| new over old                         | ratio |  95 % interval | rounds |",
        "|--------------------------------------|------:|---------------:|-------:|",
        "| engine: image-steps per second       | 1.049 | 0.932 to 1.181 |      3 |",
        "| service: seconds from start to ready | 0.900 | 0.900 to 0.900 |      2 |",
        "",
    ]

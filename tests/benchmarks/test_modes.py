"""Trace modes: its requests, its rounds and its goals."""

import asyncio
import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from benchmarks.contenders.contender import child
from benchmarks.load.traces import MIXES, MODES, Mix, Wish, wish_of
from benchmarks.load.ways import WAYS, pictures
from benchmarks.modes.goals import GOALS, PICTURES, ROW_STEPS, WAITS, goals, report
from benchmarks.modes.measure import Plan, measure
from latentry.contracts import ModelCard
from latentry.rules.limits import refuse_unsupported
from latentry.rules.pricing import made_steps
from worker.backends import _card
from worker.engine.inputs.canvas import Canvas

QUICK = Mix((5,), ways=tuple(WAYS))
WISHES = {wish.way: wish for wish in MODES.first(len(WAYS))}


def card() -> ModelCard:
    return _card("shapes")


@pytest.mark.parametrize("way", WAYS)
def test_every_way_is_a_request_that_the_model_takes(way: str) -> None:
    wish = WISHES[way]
    request = wish.request("shapes")
    refuse_unsupported(card(), request)
    assert wish.steps == len(made_steps(request))
    canvas = Canvas.of(request, pictures(wish.seed))
    assert (canvas is not None) == bool(wish.made.brings)


def test_all_ways_come_in_equal_shares() -> None:
    counts = Counter(wish.way for wish in MODES.first(3 * len(WAYS)))
    assert counts == dict.fromkeys(WAYS, 3)


def test_what_composes_prompts_takes_more_rows() -> None:
    assert {way for way, wish in WISHES.items() if wish.rows == 3} == {"AND"}
    assert {wish.rows for wish in WISHES.values()} == {2, 3}


def test_another_checkout_is_sent_no_field_that_it_may_not_know() -> None:
    [plain] = MIXES["uniform"].first(1)
    assert "way" not in plain.plain()
    for wish in (plain, *WISHES.values()):
        assert wish_of(wish.plain()) == wish


class Paced:
    """Draws every picture in so many seconds."""

    def __init__(self, name: str, picture_s: float) -> None:
        self.name = name
        self._picture_s = picture_s
        self._rows = 0
        self._lock = asyncio.Lock()

    async def draw(self, wish: Wish) -> Mapping[str, Any]:
        async with self._lock:
            await asyncio.sleep(self._picture_s)
        self._rows += wish.steps * wish.rows
        return {"wait_steps": 0.5, "had_room": True}

    async def clear(self) -> Mapping[str, Any]:
        rows, self._rows = self._rows, 0
        return {"useful_rows": rows}


async def test_rounds_give_the_ratios() -> None:
    plan = Plan(rounds=2, window_s=0.2, warm_s=0.0)
    found = await measure(plan, Paced("engine", 0.002), Paced("stock", 0.05))
    assert [len(found[name]) for name in (ROW_STEPS, PICTURES)] == [2, 2]
    assert all(ratio > 1 for ratio in found[PICTURES])
    assert all(ratio > 0 for ratio in found[ROW_STEPS])
    assert set(found[WAITS]) == {0.5}


def test_goals_are_met_or_not() -> None:
    run = {
        "at": "2026-01-01", "machine": "a machine", "torch": "2", "threads": 2,
        "dtype": "float32", "commit": "abc", "took_s": 300.0,
        "each": {ROW_STEPS: [0.93, 0.95], PICTURES: [2.0, 2.1], WAITS: [0.5, 0.9]},
    }  # fmt: skip
    assert [goal.is_met for goal in goals(run)] == [True, False, True]
    text = "\n".join(report(run))
    assert text.count("**not met**") == 1
    assert GOALS[PICTURES] == 2.2


@pytest.mark.slow
@pytest.mark.timeout(200)
async def test_the_contenders_themselves_draw_every_way() -> None:
    """As whole processes; how fast they are, is nothing for a test."""
    env = dict(os.environ) | {"LATENTRY_THREADS": "1", "OMP_NUM_THREADS": "1"}
    async with child("stock", "stock", env=env) as stock, child("engine", "engine", env=env) as us:
        for contender in (stock, us):
            await asyncio.gather(*map(contender.draw, QUICK.first(len(WAYS))))
        counted = await us.clear()
    assert counted["useful_rows"] == sum(one.steps * one.rows for one in QUICK.first(len(WAYS)))

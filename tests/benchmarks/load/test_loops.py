import asyncio
from collections.abc import Mapping
from itertools import repeat
from typing import Any

import pytest

from benchmarks.load.loops import closed, open_loop
from benchmarks.load.traces import Mix, Wish

WISHES = Mix().first(40)


class Instant:
    """Draws at once, or never after so many pictures."""

    name = "instant"

    def __init__(self, *, stuck_after: int = 10**9, fails: bool = False) -> None:
        self.drawn = self.at_once = self.most_at_once = self.cleared = 0
        self._stuck_after = stuck_after
        self._fails = fails

    async def draw(self, wish: Wish) -> Mapping[str, Any]:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0)
            if self._fails:
                raise RuntimeError("broken")
            if self.drawn >= self._stuck_after:
                await asyncio.Event().wait()
            self.drawn += 1
        finally:
            self.at_once -= 1
        return {"wait_steps": 0.5, "had_room": True}

    async def clear(self) -> Mapping[str, Any]:
        assert self.at_once == 0  # all callers are cancelled
        self.cleared += 1
        return {"calls": 7}


async def test_a_closed_loop_keeps_as_many_requests_under_way_as_it_has_callers() -> None:
    contender = Instant(stuck_after=20)
    trial = await closed(contender, repeat(WISHES[0]), callers=4, for_s=0.1)
    assert contender.most_at_once == 4
    assert len(trial.samples) == 24
    assert sum(sample.ended_s is None for sample in trial.samples) == 4  # recorded, not left out
    assert contender.cleared == 1
    assert trial.counted == {"calls": 7}


async def test_a_closed_loop_goes_on_until_there_is_something_to_measure() -> None:
    trial = await closed(
        Instant(), repeat(WISHES[0]), callers=4, for_s=0, is_enough=lambda trial: trial.drawn >= 50
    )
    assert trial.drawn >= 50


async def test_arrivals_do_not_wait_for_each_other() -> None:
    contender = Instant(stuck_after=0)
    times = [0.001 * number for number in range(40)]
    arrivals = await open_loop(contender, WISHES, times, lambda wish: 0.2)
    assert contender.most_at_once == 40
    assert not arrivals.is_good


async def test_all_in_time_is_good() -> None:
    arrivals = await open_loop(Instant(), WISHES, [0.0] * 40, lambda wish: 5.0)
    assert arrivals.is_good
    assert arrivals.late == 0
    assert all(sample.wait_steps == 0.5 for sample in arrivals.trial.samples)


async def test_a_trial_that_has_failed_ends_early() -> None:
    times = [0.0, *(1e6 + number for number in range(39))]
    arrivals = await open_loop(Instant(stuck_after=0), WISHES, times, lambda wish: 0.01)
    assert (arrivals.late, len(arrivals.trial.samples)) == (1, 1)


async def test_what_breaks_a_contender_breaks_the_run() -> None:
    with pytest.raises(RuntimeError, match="broken"):
        await closed(Instant(fails=True), repeat(WISHES[0]), callers=2, for_s=5)
    with pytest.raises(RuntimeError, match="broken"):
        await open_loop(Instant(fails=True), WISHES, [0.0] * 40, lambda wish: 5.0)

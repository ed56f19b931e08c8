"""The load: a closed loop of callers, or arrivals at given times (open loop)."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks.contenders.contender import Answer, Contender
from benchmarks.load.samples import Sample, misses_allowed
from benchmarks.load.traces import Wish

POLL_S: Final = 0.25


@dataclass(slots=True)
class Trial:
    """One contender under one load: times on the monotonic clock, and every request."""

    begin_s: float = field(default_factory=time.monotonic)
    end_s: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    counted: Answer = field(default_factory=dict)

    @property
    def drawn(self) -> int:
        """How many pictures are done."""
        return sum(sample.ended_s is not None for sample in self.samples)

    async def draw(self, contender: Contender, wish: Wish) -> None:
        """Request one picture and record the result."""
        sample = Sample(wish, time.monotonic())
        self.samples.append(sample)
        reported = await contender.draw(wish)
        sample.ended_s = time.monotonic()
        sample.wait_steps, sample.had_room = reported.get("wait_steps"), reported.get("had_room")

    async def end(self, contender: Contender, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Stop the clock and cancel all requests. Raises the first error of a task."""
        self.end_s = time.monotonic()
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception) and not isinstance(outcome, TooManyLate):
                raise outcome
        self.counted = await contender.clear()


async def closed(
    contender: Contender,
    wishes: Iterator[Wish],
    *,
    callers: int,
    for_s: float,
    is_enough: Callable[[Trial], bool] = lambda _: True,
) -> Trial:
    """Callers that request the next picture as soon as they have one, for `for_s` seconds.

    The trial goes on after that until it `is_enough`.
    """
    trial = Trial()

    async def caller() -> None:
        for wish in wishes:
            await trial.draw(contender, wish)

    tasks = [asyncio.create_task(caller()) for _ in range(callers)]
    broken: set[asyncio.Task[None]] = set()
    while not broken and (time.monotonic() < trial.begin_s + for_s or not is_enough(trial)):
        left_s = max(POLL_S, trial.begin_s + for_s - time.monotonic())
        broken, _ = await asyncio.wait(tasks, timeout=left_s, return_when=asyncio.FIRST_EXCEPTION)
    await trial.end(contender, tasks)
    return trial


class TooManyLate(Exception):
    """More requests are late than a successful trial may have."""


@dataclass(slots=True)
class Arrivals:
    """A trial with given arrival times, and how many requests were late."""

    trial: Trial
    count: int
    late: int = 0

    @property
    def is_good(self) -> bool:
        """Whether at least 99 % were on time."""
        return self.late <= misses_allowed(self.count)


async def open_loop(
    contender: Contender,
    wishes: Sequence[Wish],
    times: Sequence[float],
    patience_s: Callable[[Wish], float],
) -> Arrivals:
    """Send each wish at its time; a request is late if it takes longer than `patience_s` says.

    The trial ends early when so many are late that it has failed.
    """
    arrivals = Arrivals(Trial(), len(wishes))
    trial = arrivals.trial
    drawings: list[asyncio.Task[None]] = []

    async def caller(wish: Wish, at_s: float) -> None:
        await asyncio.sleep(trial.begin_s + at_s - time.monotonic())
        drawing = asyncio.create_task(trial.draw(contender, wish))
        drawings.append(drawing)
        # The request is not cancelled when it is late: the server has to finish it.
        await asyncio.wait([drawing], timeout=patience_s(wish))
        arrivals.late += not drawing.done()
        if not arrivals.is_good:
            raise TooManyLate

    tasks = [asyncio.create_task(caller(*one)) for one in zip(wishes, times, strict=True)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    await trial.end(contender, [*tasks, *drawings])
    return arrivals

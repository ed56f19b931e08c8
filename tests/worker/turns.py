"""Threads that take turns on a virtual clock: in any order, and in the same again by a seed."""

import itertools
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any


@dataclass(slots=True, eq=False)
class Thread:
    """One of the worker's own: it runs a turn, and sleeps until its flag is set or a time over."""

    name: str
    flag: threading.Event
    turn: Callable[[bool], float]  # takes whether its time was over, returns how long it may sleep
    is_asleep: bool = False
    plan: int = 0  # counts up: what was planned before no longer counts


@dataclass(slots=True, eq=False)
class Turns:
    """One thing happens at a time; where one lets time pass, others happen meanwhile."""

    chance: random.Random
    seconds: float = 0.0
    on_pass: Callable[[float], None] = lambda _: None
    threads: list[Thread] = field(default_factory=list)
    _planned: list[tuple[float, int, str, Callable[[], None]]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _active: list[str] = field(default_factory=list)

    def now(self) -> float:
        return self.seconds

    def spend(self, seconds: float) -> None:
        """What happens now takes so long."""
        until = self.seconds + seconds
        while self._happen(until):
            pass
        self.seconds = max(self.seconds, until)

    def any_s(self, longest_s: float) -> float:
        return self.chance.choice((0.0, longest_s * self.chance.random()))

    def plan(self, after_s: float, act: Callable[[], None], name: str = "") -> None:
        number = next(self._numbers)
        self._planned.append((self.seconds + after_s, number, name or f"task {number}", act))

    def run(self, until: Callable[[], bool]) -> None:
        for thread in self.threads:
            self._resume(thread)
        while not until():
            assert self._happen(float("inf")), "nothing will ever happen again"

    def _happen(self, until: float) -> bool:
        """The next thing that is not in the midst of something; whether there was one in time."""
        due = [one for one in self._planned if one[0] <= until and one[2] not in self._active]
        if not due:
            return False
        one = min(due)
        self._planned.remove(one)
        at, _, name, act = one
        if at > self.seconds:
            if not self._active:
                self.on_pass(at - self.seconds)
            self.seconds = at
        with self._acting(name):
            act()
        for thread in self.threads:
            if thread.is_asleep and thread.flag.is_set():
                self._resume(thread)
        return True

    @contextmanager
    def _acting(self, name: str) -> Iterator[None]:
        self._active.append(name)
        yield
        self._active.pop()

    def _resume(
        self, thread: Thread, after_s: float | None = None, *, is_over: bool = False
    ) -> None:
        thread.is_asleep = is_over
        thread.plan += 1
        lag_s = self.any_s(0.01) if after_s is None else after_s
        self.plan(lag_s, partial(self._turn, thread, thread.plan, is_over), thread.name)

    def _turn(self, thread: Thread, plan: int, is_over: bool) -> None:
        if plan != thread.plan:
            return
        thread.is_asleep = False
        sleep_s = thread.turn(is_over)
        self._resume(thread, sleep_s, is_over=sleep_s > 0)


class Pool(Executor):
    """Threads without number: what is submitted runs some time later."""

    def __init__(self, turns: Turns, longest_s: float) -> None:
        self._turns = turns
        self._longest_s = longest_s

    def submit(self, work: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        run = partial(work, *args, **options)
        delay_s = self._turns.any_s(self._longest_s)
        self._turns.plan(delay_s, lambda: future.set_result(run()))
        return future

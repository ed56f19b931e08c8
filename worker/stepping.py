"""The engine's steps: announced to the watchdog before, measured after."""

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Final

from worker.engine.loop import Engine, Event
from worker.metrics import Metrics
from worker.process.keepalive import Keepalive

HUNG_S: Final = 20.0  # a step that takes longer hangs, unless steps are that slow here
SLOW_STEPS: Final = 10  # times the longest step so far is still no hang
LOADING_S: Final = 300.0  # a step that also converts and tests a model
RENEW_S: Final = 1.0  # a deadline is as good as new for so long
KEEP_S: Final = 60.0
STOPPING_S: Final = 30.0  # handing back jobs and exiting; a parent that stops it waits for less


class Stepping:
    """Steps the engine, or measures what its calls cost while there is nothing to do.

    `longest_test_s`: the longest self-test of a model so far. `on_measured` is called by an idle
    engine that has learnt something and has nothing left to measure: after requests not more often
    than every `KEEP_S` seconds.
    """

    def __init__(
        self,
        engine: Engine[Any],
        keepalive: Keepalive,
        metrics: Metrics,
        *,
        longest_test_s: Callable[[], float],
        on_measured: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._keepalive = keepalive
        self._metrics = metrics
        self._longest_test_s = longest_test_s
        self._on_measured = on_measured
        self._longest_s = 0.0
        self._has_measured = False
        self._has_stepped = False
        self._kept_at_s = -KEEP_S
        self._announced_s = 0.0
        self._announced_at = 0.0

    def step(self) -> Sequence[Event]:
        """One step of all images in the engine."""
        self._announce()
        events = self._engine.step()
        timing = self._engine.last_step
        self._longest_s = max(self._longest_s, timing.total_s)
        self._metrics.stepped(timing)
        self._has_stepped = self._has_stepped or timing.rows > 0
        return events

    def measure(self) -> bool:
        """Measure one call of an idle engine; False when nothing is left to measure.

        Then the worker may be silent for as long as it waits.
        """
        self._announce()
        if self._engine.calibrate():
            self._has_measured = True
            return True
        is_due = self._has_stepped and monotonic() - self._kept_at_s >= KEEP_S
        if self._has_measured or is_due:
            self._has_measured = self._has_stepped = False
            self._kept_at_s = monotonic()
            self._on_measured()
        self._extend(0)
        return False

    def rest(self) -> None:
        """There is no step to make now: a worker that is only woken does not hang."""
        if self._announced_s and monotonic() >= self._announced_at + RENEW_S:
            self._extend(0)

    def stop(self) -> None:
        """There are no more steps. A worker that stops by itself must not hang unseen either."""
        self._extend(STOPPING_S)

    def _announce(self) -> None:
        test_s = self._longest_test_s() * self._engine.most_frames  # tests draw one picture
        slow_s = SLOW_STEPS * max(self._longest_s, test_s)
        allowed_s = max(LOADING_S if self._engine.is_loading else HUNG_S, slow_s)
        # Thousands of steps a second would cost the parent more than they take here.
        is_new = monotonic() < self._announced_at + RENEW_S
        if allowed_s != self._announced_s or not is_new:
            self._extend(allowed_s)

    def _extend(self, seconds: float) -> None:
        self._announced_s, self._announced_at = seconds, monotonic()
        self._keepalive.extend(seconds)

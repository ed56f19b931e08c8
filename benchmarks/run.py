"""One run: every contender on every trace in turn, then the search for its goodput."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from benchmarks.contenders.contender import Child, Contender
from benchmarks.load import loops, samples
from benchmarks.load.cells import cell, latencies, waits
from benchmarks.load.traces import MIXES, STEPS, Mix, Wish, arrivals
from latentry.contracts import Determinism

CALLERS: Final = 16
ROWS: Final = (1, 2, 4, 6, 8, 12, 16, 24, 32)
GROUPS: Final = (1, 2, 4, 8, 16)
LONGEST: Final = 4.0  # times its window that a trial may take until its figures are known
PATIENCE: Final = 5.0  # times the latency of the same picture alone in the stock pipeline
SINGLE: Final = tuple(Mix((steps,)).first(1)[0] for steps in (STEPS[0], 25, STEPS[-1]))

Result = dict[str, Any]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each part is measured."""

    rounds: int = 3  # of trace `steps`, which most goals use; the other traces have one round
    warm_s: float = 2.0
    window_s: float = 10.0  # longer than the engine's slowest pictures

    arrivals_s: float = 9.0
    ratio: float = 1.3  # between neighbouring rates of arrivals
    unet_rounds: int = 7


QUICK: Final = Plan(rounds=1, warm_s=1, window_s=3, arrivals_s=5, ratio=1.6, unet_rounds=2)


class Bench:
    """The contenders, of which only one works at a time."""

    def __init__(
        self, stock: Child, dynamic: Child, engine: Child, service: Contender, plan: Plan
    ) -> None:
        self._stock, self._dynamic, self._engine = stock, dynamic, engine
        self.contenders: Sequence[Contender] = [stock, dynamic, engine, service]
        self._plan = plan

    async def single(self, contenders: Sequence[Contender]) -> Result:
        """Seconds of a single request on an idle contender, by contender and step count."""
        took: dict[str, dict[str, list[float]]] = {}
        for _ in range(max(2, self._plan.rounds)):
            for contender in contenders:
                for wish in SINGLE:
                    begin = time.monotonic()
                    await contender.draw(wish)
                    times = took.setdefault(contender.name, {})
                    steps = str(wish.num_inference_steps)
                    times.setdefault(steps, []).append(time.monotonic() - begin)
        for contender in contenders:  # reset the counters: these requests belong to no trace
            await contender.clear()
        return {  # without the first round, which warms up
            name: {steps: statistics.median(each[1:]) for steps, each in times.items()}
            for name, times in took.items()
        }

    async def unet(self) -> Result:
        """Seconds of a UNet call by rows; stock pipeline and engine take turns."""
        measured: dict[str, list[Mapping[str, float]]] = {"stock": [], "engine": []}
        arguments = {"rows": ROWS, "side": 128, "rounds": self._plan.unet_rounds}
        for _ in range(2):
            for child in (self._stock, self._engine):
                measured[child.name].append((await child.ask("costs", **arguments))["unet_s"])
        return {
            name: {rows: min(each[rows] for each in tables) for rows in tables[0]}
            for name, tables in measured.items()
        }

    async def choose_cap(self, unet_s: Mapping[str, float]) -> int:
        """Choose dynamic batching's largest group: the one whose rows are cheapest."""
        cap = min(GROUPS, key=lambda images: unet_s[str(2 * images)] / images)
        await self._dynamic.ask("cap", images=cap)
        return cap

    async def closed(self, say: Say) -> Result:
        """The closed loop of 16 callers on every trace; contenders take turns in each round."""
        strict = replace(MIXES["steps"], determinism=Determinism.STRICT)
        mixes = {name: (mix, self.contenders) for name, mix in MIXES.items()}
        mixes["steps, strict"] = (strict, [self._engine])
        return {
            name: await self._turns(name, mix, contenders, self._plan, say)
            for name, (mix, contenders) in mixes.items()
        }

    async def add(self, cells: Result, contender: Contender, say: Say) -> None:
        """Add a further contender, measured in one round of twice the length."""
        plan = replace(self._plan, rounds=1, window_s=2 * self._plan.window_s)
        for name, mix in MIXES.items():
            cells[name] |= await self._turns(name, mix, [contender], plan, say)

    async def _turns(
        self, name: str, mix: Mix, contenders: Sequence[Contender], plan: Plan, say: Say
    ) -> Result:
        rounds = plan.rounds if mix.steps == STEPS and len(mix.guidance) == 1 else 1
        for_s = plan.warm_s + plan.window_s
        trials: dict[str, list[loops.Trial]] = {}
        for number in range(rounds):
            for contender in contenders:
                wishes = mix.wishes(seed=number)
                trial = await loops.closed(
                    contender, wishes, callers=CALLERS, for_s=for_s, is_enough=self._is_enough
                )
                trials.setdefault(contender.name, []).append(trial)
        cells = {
            who: cell(each, self._plan.warm_s, callers=CALLERS) for who, each in trials.items()
        }
        if {"service", "engine"} <= trials.keys():
            cells["service"]["each_over_engine"] = [
                samples.pace(ours.samples, theirs.samples, self._plan.warm_s)
                for ours, theirs in zip(trials["service"], trials["engine"], strict=True)
            ]
        for who, figures in cells.items():
            say(f"{name:15} {who:10} {figures['images_per_s']:6.2f} images/s")
        return cells

    def _is_enough(self, trial: loops.Trial) -> bool:
        """Whether the trial has a rate and a p99, or has taken too long.

        A slow server may answer all 16 callers at once and late. And there is no p99 while an
        unfinished request is older than any finished one.
        """
        since_s, now = trial.begin_s + self._plan.warm_s, time.monotonic()
        if now > since_s + LONGEST * self._plan.window_s:
            return True
        if trial.drawn < CALLERS // 2 or samples.latency(trial.samples, now, 0.99).at_least:
            return False
        return math.isfinite(samples.rate(trial.samples, since_s, now, callers=CALLERS).images)

    async def goodput(self, capacity: float, single_s: Mapping[str, float], say: Say) -> Result:
        """The highest arrival rate on trace `steps` with 99 % on time, for each contender.

        A binary search over rates from 0.2 to 1.2 of `capacity`, the engine's images/s in the
        closed loop. Every contender is tried at 0.2.
        """
        rates = samples.ladder(0.2 * capacity, 1.2 * capacity, self._plan.ratio)
        found: Result = {}
        for contender in self.contenders:
            tried: dict[int, Result] = {}
            good, bad = -1, len(rates)
            while bad - good > 1:
                rung = (good + bad) // 2 if tried else 0
                tried[rung] = await self._arrive(contender, rates[rung], single_s)
                good, bad = (rung, bad) if tried[rung]["is_good"] else (good, rung)
            found[contender.name] = {
                "images_per_s": rates[good] if good >= 0 else 0.0,
                "is_bound": bad == len(rates),
                "tried": [tried[rung] for rung in sorted(tried)],
            }
            say(f"goodput         {contender.name:10} {found[contender.name]['images_per_s']:6.2f}")
        return found

    async def _arrive(
        self, contender: Contender, rate_per_s: float, single_s: Mapping[str, float]
    ) -> Result:
        count = math.ceil(rate_per_s * self._plan.arrivals_s)

        def patience_s(wish: Wish) -> float:
            return PATIENCE * samples.interpolate(single_s, wish.num_inference_steps)

        outcome = await loops.open_loop(
            contender, MIXES["steps"].first(count), arrivals(rate_per_s, count), patience_s
        )
        trials = [outcome.trial]
        return {
            "rate_per_s": rate_per_s,
            "requests": count,
            "late": outcome.late,
            "is_good": outcome.is_good,
            **latencies(trials),
            **waits(trials),
        }

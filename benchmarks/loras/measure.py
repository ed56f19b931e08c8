"""The rounds of trace *loras*, and what its UNet calls cost."""

import asyncio
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from benchmarks.contenders.contender import Child
from benchmarks.load import loops
from benchmarks.load.traces import STEPS, Mix
from benchmarks.loras.files import NAMES, ONE
from benchmarks.loras.goals import (
    EACH,
    ENGINES,
    GROUPED,
    NONE,
    ONE_FOR_ALL,
    OVER_STOCK,
    PAIRS,
    STOCK,
)
from benchmarks.run import CALLERS

say = partial(print, flush=True)  # into files too

LORAS: Final = {EACH: NAMES, GROUPED: NAMES, NONE: ("",), ONE_FOR_ALL: (ONE,), STOCK: NAMES}
SIZES: Final = (2, 4, 8, 16, 32)
GROUP_SIZES: Final = (2, 4, 8, 16)  # of calls with equal LoRAs


@dataclass(frozen=True, slots=True)
class Plan:
    """How long everything is measured."""

    rounds: int = 5
    window_s: float = 6.5
    call_rounds: int = 3


@dataclass(slots=True)
class Found:
    """A ratio of each round; seconds of UNet calls by their rows; rows of a call in the rounds."""

    each: dict[str, list[float]] = field(default_factory=dict)
    unet_s: dict[str, dict[str, float]] = field(default_factory=dict)
    rows: dict[str, float] = field(default_factory=dict)


async def measure(plan: Plan, contenders: Mapping[str, Child]) -> Found:
    """Calls first, then the rounds, in which contenders take turns in alternating order."""
    for name, contender in contenders.items():  # reads the files, and makes the first calls
        await asyncio.gather(*map(contender.draw, Mix((2,), loras=LORAS[name]).first(len(NAMES))))
        await contender.clear()
    found = Found(unet_s=await _calls(plan, contenders[EACH]))
    say("The calls are measured.")
    rows: dict[str, list[float]] = {name: [] for name in ENGINES}
    for number in range(plan.rounds):
        order = list(contenders) if number % 2 == 0 else list(contenders)[::-1]
        trials = {name: await _trial(plan, name, contenders[name], number) for name in order}
        ratios = _ratios(trials)
        for text, ratio in ratios.items():
            found.each.setdefault(text, []).append(ratio)
        for name in ENGINES:
            counted = trials[name].counted
            rows[name].append(counted["useful_rows"] / counted["calls"])
        say(f"round {number + 1}: {', '.join(f'{ratio:.3f}' for ratio in ratios.values())}")
    found.rows = {name: statistics.mean(each) for name, each in rows.items()}
    return found


async def _calls(plan: Plan, engine: Child) -> dict[str, dict[str, float]]:
    """Seconds of a call; all kinds of calls take turns, twice. Grouped: the mean of all LoRAs."""
    kinds: list[tuple[str, Sequence[str], Sequence[int]]]
    kinds = [(name, LORAS[name], SIZES) for name in (EACH, NONE, ONE_FOR_ALL)]
    kinds += [(lora, (lora,), GROUP_SIZES) for lora in NAMES]
    tables: dict[str, list[Mapping[str, float]]] = {}
    for _ in range(2):
        for name, loras, sizes in kinds:
            arguments: dict[str, Any] = {"rows": sizes, "side": 128, "rounds": plan.call_rounds}
            answer = await engine.ask("costs", **arguments, loras=loras)
            tables.setdefault(name, []).append(answer["unet_s"])
    best = {
        name: {rows: min(one[rows] for one in each) for rows in each[0]}
        for name, each in tables.items()
    }
    grouped = {
        str(rows): statistics.mean(best[lora][str(rows)] for lora in NAMES) for rows in GROUP_SIZES
    }
    return {EACH: best[EACH], GROUPED: grouped, NONE: best[NONE], ONE_FOR_ALL: best[ONE_FOR_ALL]}


async def _trial(plan: Plan, name: str, contender: Child, seed: int) -> loops.Trial:
    """The closed loop, until a few pictures came."""
    return await loops.closed(
        contender,
        Mix(STEPS, loras=LORAS[name]).wishes(seed=seed),
        callers=CALLERS,
        for_s=plan.window_s,
        is_enough=lambda trial: trial.drawn >= len(NAMES),
    )


def _ratios(trials: Mapping[str, loops.Trial]) -> dict[str, float]:
    """Of one round. All contenders have the same pictures to draw, but for the LoRAs."""
    paces = {name: _row_steps(trials[name]) for name in ENGINES}
    ratios = {text: paces[ours] / paces[theirs] for text, (ours, theirs) in PAIRS.items()}
    return ratios | {OVER_STOCK: paces[EACH] / _one_at_a_time(trials[STOCK])}


def _row_steps(trial: loops.Trial) -> float:
    """A second, by the engine's own count of rows that were not padding."""
    return float(trial.counted["useful_rows"]) / (trial.end_s - trial.begin_s)


def _one_at_a_time(trial: loops.Trial) -> float:
    """Row-steps a second, from one picture to another: nothing else is under way at either."""
    done = sorted(
        ((one.ended_s, one.wish) for one in trial.samples if one.ended_s is not None),
        key=lambda one: one[0],
    )
    row_steps = sum(wish.steps * wish.rows for _, wish in done[1:])
    return row_steps / (done[-1][0] - done[0][0])

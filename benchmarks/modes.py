"""Trace *modes*: all ways to make an image in one crowd, beside plain requests and stock pipelines.

    python -m benchmarks.modes [--rounds 6] [--seconds 12] [--out RESULT.json]

In each round the engine has 16 callers with plain requests and then with the trace, and the stock
pipelines draw the trace's requests one at a time; the order turns from round to round. All have the
same weights, precision and threads. Under six minutes on two cores; `make bench` runs it too.
"""

import argparse
import asyncio
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.contenders.contender import Contender, child
from benchmarks.goals import Goal
from benchmarks.load import loops, samples
from benchmarks.load.interval import Interval
from benchmarks.load.traces import MIXES, MODES, Mix
from benchmarks.load.ways import WAYS
from benchmarks.run import CALLERS
from benchmarks.tables import number, table
from benchmarks.where import where
from worker.process.runtime import environment

say = partial(print, flush=True)

ROW_STEPS: Final = "row-steps a second of the engine, modes over uniform"
PICTURES: Final = "pictures a second, the engine over stock pipelines one at a time, modes"
GOALS: Final = {ROW_STEPS: 0.9, PICTURES: 2.2}
WAITS: Final = "p99 wait to first step while a row is free, in steps, modes"


@dataclass(frozen=True, slots=True)
class Plan:
    """How long everything is measured."""

    rounds: int = 6
    window_s: float = 12.0
    warm_s: float = 2.0


async def measure(plan: Plan, engine: Contender, stock: Contender) -> dict[str, list[float]]:
    """One ratio of each round, and the waits of all rounds."""
    found: dict[str, list[float]] = {ROW_STEPS: [], PICTURES: [], WAITS: []}
    for number_of_round in range(plan.rounds):
        trials = await _trials(plan, number_of_round, engine, stock)
        plain, modes, theirs = (trials[name] for name in ("plain", "modes", "stock"))
        found[ROW_STEPS].append(_row_steps(modes) / _row_steps(plain))
        # The same pictures of both: in the long run, a ratio of steps is one of pictures.
        found[PICTURES].append(samples.pace(modes.samples, theirs.samples, plan.warm_s))
        found[WAITS] += [
            one.wait_steps for one in modes.samples if one.had_room and one.wait_steps is not None
        ]
        say(
            f"round {number_of_round + 1}: row-steps {found[ROW_STEPS][-1]:.3f}, "
            f"pictures {found[PICTURES][-1]:.3f}"
        )
    return found


async def _trials(
    plan: Plan, seed: int, engine: Contender, stock: Contender
) -> Mapping[str, loops.Trial]:
    parts: list[tuple[str, Contender, Mix]] = [
        ("plain", engine, MIXES["uniform"]),
        ("modes", engine, MODES),
        ("stock", stock, MODES),
    ]
    return {
        name: await _trial(plan, contender, mix, seed)
        for name, contender, mix in (parts if seed % 2 == 0 else parts[::-1])
    }


async def _trial(plan: Plan, contender: Contender, mix: Mix, seed: int) -> loops.Trial:
    """The closed loop, until a few pictures came after the warm-up."""

    def is_enough(trial: loops.Trial) -> bool:
        since_s = trial.begin_s + plan.warm_s
        return sum((one.ended_s or 0.0) > since_s for one in trial.samples) >= len(WAYS)

    return await loops.closed(
        contender,
        mix.wishes(seed=seed),
        callers=CALLERS,
        for_s=plan.warm_s + plan.window_s,
        is_enough=is_enough,
    )


def _row_steps(trial: loops.Trial) -> float:
    """A second, by the engine's own count of rows that were not padding."""
    return float(trial.counted["useful_rows"]) / (trial.end_s - trial.begin_s)


def goals(run: Mapping[str, Any]) -> list[Goal]:
    """Every goal, computed from this run alone."""
    found = [
        Goal(text, Interval.of(run["each"][text]).ratio, bound) for text, bound in GOALS.items()
    ]
    waits = run["each"][WAITS]
    return [*found, *([Goal(WAITS, samples.percentile(waits, 0.99), 1.5, True)] if waits else [])]


def report(run: Mapping[str, Any]) -> list[str]:
    """The ratios with their intervals and goals, in lines."""
    rows = []
    for goal in goals(run):
        span = ""
        if goal.text in GOALS:
            interval = Interval.of(run["each"][goal.text])
            span = f"{interval.low:.3f} to {interval.high:.3f}"
        bound = f"{'≤' if goal.at_most else '≥'} {goal.bound:g}"
        rows.append(
            [goal.text, bound, number(goal.value), span, "met" if goal.is_met else "**not met**"]
        )
    rounds = len(run["each"][ROW_STEPS])
    return [
        f"{run['at']}, {run['machine']}, torch {run['torch']} with {run['threads']} threads, "
        f"all in {run['dtype']}, commit {run['commit']}, {run['took_s'] / 60:.1f} minutes; "
        f"{rounds} rounds, geometric means:",
        "",
        *table(["goal", "bound", "here", "95 % interval", ""], rows),
    ]


async def _measured(plan: Plan) -> dict[str, list[float]]:
    async with AsyncExitStack() as exits:
        env = environment(os.environ)  # as a worker's process is started
        stock = await exits.enter_async_context(child("stock", "stock"))
        engine = await exits.enter_async_context(child("engine", "engine", env=env))
        say("Both contenders are ready.")
        return await measure(plan, engine, stock)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the goals and write the JSON that they are made from."""
    plan = Plan()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=plan.rounds)
    parser.add_argument("--seconds", type=float, default=plan.window_s, help="of each window")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/modes.json"))
    options = parser.parse_args(arguments)
    began = time.monotonic()
    each = asyncio.run(_measured(Plan(options.rounds, options.seconds)))
    run = {"kind": "modes", **where(), "took_s": time.monotonic() - began, "each": each}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(run, indent=1))
    print("\n".join(["", *report(run)]))


if __name__ == "__main__":
    main()

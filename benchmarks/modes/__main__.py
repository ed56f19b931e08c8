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
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.contenders.contender import child
from benchmarks.contenders.where import where
from benchmarks.modes.goals import report
from benchmarks.modes.measure import Plan, measure, say
from worker.process.runtime import environment


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

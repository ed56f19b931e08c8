"""What the worker's malloc settings gain, and what the service costs beside the engine.

python -m benchmarks.runtime [--rounds 5]

The closed loop of 16 callers on trace `steps`; contenders take turns; medians of the rounds. The
settings are in worker.process.runtime.
"""

import argparse
import asyncio
import logging
import math
import os
import statistics
from collections.abc import Mapping
from contextlib import AsyncExitStack

from benchmarks.contenders.contender import Contender, child
from benchmarks.contenders.service import service
from benchmarks.load import loops, samples
from benchmarks.load.traces import MIXES
from benchmarks.run import CALLERS, Plan
from benchmarks.tables import number, table
from worker.process.runtime import environment


async def measure(rounds: int) -> Mapping[str, list[float]]:
    """Seconds per image-step of each contender, one per round."""
    plan = Plan()
    took: dict[str, list[float]] = {}
    async with AsyncExitStack() as exits:
        who: dict[str, Contender] = {
            "engine, malloc as it comes": await exits.enter_async_context(child("", "engine")),
            "engine": await exits.enter_async_context(
                child("", "engine", env=environment(os.environ))
            ),
            "service": await exits.enter_async_context(service()),
        }
        for number_of_round in range(rounds):
            for name, contender in who.items():
                trial = await loops.closed(
                    contender,
                    MIXES["steps"].wishes(seed=number_of_round),
                    callers=CALLERS,
                    for_s=plan.warm_s + plan.window_s,
                )
                rate = samples.rate(
                    trial.samples, trial.begin_s + plan.warm_s, trial.end_s, callers=CALLERS
                )
                if math.isnan(rate.steps):
                    raise RuntimeError(f"{name} drew too few pictures for a rate.")
                took.setdefault(name, []).append(1 / rate.steps)
    return took


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    took = asyncio.run(measure(options.rounds))
    typical = {name: statistics.median(each) for name, each in took.items()}
    first = next(iter(typical.values()))
    rows = [
        [name, number(1e3 * step_s, 1), number(first / step_s)] for name, step_s in typical.items()
    ]
    print("\n".join(table(["", "ms per image-step", "× as fast"], rows)))


if __name__ == "__main__":
    main()

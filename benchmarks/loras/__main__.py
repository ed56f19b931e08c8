"""Trace *loras*: eight LoRAs of different callers in one call, beside the alternatives.

    python -m benchmarks.loras [--rounds 5] [--seconds 6.5] [--out RESULT.json]

In each round 16 callers with mixed steps ask, in turn, the engine with a LoRA for each image, the
same engine made to batch only equal LoRAs, the engine without any, the engine with one for all, and
the stock pipeline, one image at a time. All have the same weights, precision and threads, and each
is a process of its own. Under five minutes on two cores; `make bench` runs it too.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Final

from benchmarks.contenders.contender import child
from benchmarks.contenders.stock_loras import HOW
from benchmarks.contenders.where import where
from benchmarks.loras.files import write
from benchmarks.loras.goals import EACH, GROUPED, NONE, ONE_FOR_ALL, STOCK, report
from benchmarks.loras.measure import Found, Plan, measure, say
from worker.process.runtime import environment

KINDS: Final = {
    EACH: "engine",
    GROUPED: "grouping",
    NONE: "engine",
    ONE_FOR_ALL: "engine",
    STOCK: "stock",
}


async def _measured(plan: Plan) -> Found:
    async with AsyncExitStack() as exits:
        folder = exits.enter_context(tempfile.TemporaryDirectory())
        write(Path(folder))
        contenders = {}
        for name, kind in KINDS.items():  # one by one: engines first measure what calls cost
            # Engines as a worker's process is started.
            env = dict(os.environ) if kind == "stock" else environment(os.environ)
            starting = child(name, kind, env={**env, "LATENTRY_ADAPTERS": folder})
            contenders[name] = await exits.enter_async_context(starting)
        say("All contenders are ready.")
        return await measure(plan, contenders)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the goals and write the JSON that they are made from."""
    plan = Plan()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=plan.rounds)
    parser.add_argument("--seconds", type=float, default=plan.window_s, help="of each window")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/loras.json"))
    options = parser.parse_args(arguments)
    began = time.monotonic()
    found = asyncio.run(_measured(Plan(options.rounds, options.seconds)))
    took = {"took_s": time.monotonic() - began, "stock": HOW}
    run = {"kind": "loras", **where(), **took, **asdict(found)}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(run, indent=1))
    print("\n".join(["", *report(run)]))


if __name__ == "__main__":
    main()

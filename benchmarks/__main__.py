"""Measure latentry beside the stock pipeline and beside request-level dynamic batching.

    make bench          (or: python -m benchmarks [--quick] [--peers] [--out RESULT.json])

One run on the bundled model; contenders take turns, all in the same precision: what the worker
chooses on this CPU, or LATENTRY_DTYPE. It takes under ten minutes on two cores.
"""

import argparse
import asyncio
import json
import logging
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from benchmarks.contenders.contender import child
from benchmarks.contenders.peers import PEERS, peer
from benchmarks.contenders.service import compiled, service
from benchmarks.contenders.where import where
from benchmarks.load.traces import SIDES
from benchmarks.report import report
from benchmarks.run import CALLERS, PATIENCE, QUICK, Bench, Plan, Result
from worker.process.runtime import environment

say = partial(print, flush=True)  # into files too


async def measure(plan: Plan, peers: Sequence[str]) -> Result:
    """Start all contenders and measure everything."""
    begin = time.monotonic()
    async with AsyncExitStack() as exits:
        bench = await _started(plan, exits)
        say("All contenders are ready.")
        unet_s = await bench.unet()
        cap = await bench.choose_cap(unet_s["stock"])
        single_s = await bench.single(bench.contenders)
        closed = await bench.closed(say)
        for name in peers:  # one after the other: even an idle LitServe polls
            async with peer(name) as contender:
                await bench.add(closed, contender, say)
        capacity = closed["steps"]["engine"]["images_per_s"]
        goodput = await bench.goodput(capacity, single_s["stock"], say)
        if peers:
            await _compiled(bench, single_s, closed, exits)
    return {
        "kind": "bench",
        **where(),
        "took_s": time.monotonic() - begin,
        "callers": CALLERS,
        "patience": PATIENCE,
        "cap": cap,
        "capacity": capacity,
        "unet_s": unet_s,
        "single_s": single_s,
        "closed": closed,
        "goodput": goodput,
    }


async def _started(plan: Plan, exits: AsyncExitStack) -> Bench:
    """The contenders, started one by one: engine and worker first measure what calls cost."""
    stock = await exits.enter_async_context(child("stock", "stock"))
    dynamic = await exits.enter_async_context(child("dynamic", "stock"))
    env = environment(os.environ)  # as a worker's process is started
    engine = await exits.enter_async_context(child("engine", "engine", env=env))
    return Bench(stock, dynamic, engine, await exits.enter_async_context(service()), plan)


async def _compiled(bench: Bench, single_s: Result, closed: Result, exits: AsyncExitStack) -> None:
    """Add the service with compiled UNets to both tables."""
    try:
        contender = await exits.enter_async_context(compiled(SIDES))
    except TimeoutError:
        say("UNets were not compiled in time. Is a C++ compiler installed?")
        return
    single_s |= await bench.single([contender])
    await bench.add(closed, contender, say)


def main() -> None:
    """Print the tables and write the JSON that they are made from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a rough run of two minutes")
    parser.add_argument(
        "--peers",
        action="store_true",
        help="add other servers and compiled UNets; ten minutes more",
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/bench.json"))
    options = parser.parse_args()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    run = asyncio.run(measure(QUICK if options.quick else Plan(), PEERS if options.peers else ()))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(run, indent=1))
    print("\n".join(["", *report(run)]))


if __name__ == "__main__":
    main()

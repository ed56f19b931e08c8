"""The gateway beside another checkout's: accepted jobs and reads per second.

    python -m benchmarks.gateway CHECKOUT [--rounds 8] [--seconds 3] [--whole] [--out FILE]

Each has a real Valkey and a real gateway process, and a live model whose worker takes no job. They
take turns, each first in every other round. The callers are a process of their own
(`benchmarks.load.sockets`), whose ceiling is measured too. `--whole` measures whole services
instead, with a simulated model whose pictures cost next to nothing.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.beside import turns
from benchmarks.contenders.checkout import HERE, Checkout
from benchmarks.contenders.gateway import GET, POST, WAIT, Side, alone, ceiling, whole, window
from benchmarks.load.interval import Interval
from benchmarks.tables import table

say = partial(print, flush=True)  # into files too

ALONE: Final = [(kind, callers) for kind in (POST, GET) for callers in (1, 16, 64)]
WHOLE: Final = [(WAIT, callers) for callers in (1, 8, 16)]
# What is measured, and at how many callers.
Cell = tuple[str, int]
# Of each cell, the windows of each side.
Found = dict[Cell, dict[str, list[dict[str, Any]]]]


async def measure(other: Checkout, *, cells: Sequence[Cell], rounds: int, for_s: float) -> Found:
    """Every cell in every round, the two sides in turn."""
    start = whole if cells == WHOLE else alone
    found: Found = {cell: {"new": [], "old": []} for cell in cells}
    async with AsyncExitStack() as exits:
        sides: dict[str, Side] = {}
        for name, checkout in (("new", HERE), ("old", other)):
            folder = Path(exits.enter_context(tempfile.TemporaryDirectory()))
            sides[name] = await exits.enter_async_context(start(checkout, folder))
        for number, order in enumerate(turns("new", "old", rounds)):
            for kind, callers in cells:
                for name in order:
                    each = found[kind, callers][name]
                    each.append(await window(sides[name], kind, callers, for_s))
                new, old = (found[kind, callers][name][-1]["rate"] for name in ("new", "old"))
                say(f"round {number + 1}, {kind}, {callers} callers: {new:.0f} and {old:.0f} a s")
    return found


def report(run: Mapping[str, Any]) -> list[str]:
    """The table, in lines."""
    rows = []
    for cell in run["cells"]:
        new, old = cell["new"], cell["old"]
        ratio = Interval.of(
            [ours["rate"] / theirs["rate"] for ours, theirs in zip(new, old, strict=True)]
        )
        used = [
            " + ".join(f"{_median(each, 'used_ms', name):.2f}" for name in each[0]["used_ms"])
            for each in (new, old)
        ]
        rows.append([
            f"{cell['kind']}, {cell['callers']} callers",
            f"{_median(new, 'rate'):.0f}", f"{_median(old, 'rate'):.0f}",
            f"{ratio.ratio:.2f}", f"{ratio.low:.2f} to {ratio.high:.2f}",
            f"{_median(new, 'p50_ms'):.1f}", f"{_median(old, 'p50_ms'):.1f}", *used,
        ])  # fmt: skip
    head = ["requests a second", "new", "old", "ratio", "95 % interval"]
    head += ["p50 ms, new", "old", "CPU ms, new", "old"]
    return [
        f"new: {run['new']}",
        f"old: {run['old']}",
        f"machine: {run['machine']}",
        f"{run['rounds']} rounds of {run['seconds']:g} s; the callers alone reach "
        f"{run['ceiling']:.0f} a second; CPU ms a request: gateway + Valkey + callers",
        "",
        *table(head, rows),
    ]


def _median(windows: Sequence[Mapping[str, Any]], *path: str) -> float:
    values: list[Any] = list(windows)
    for name in path:
        values = [value[name] for value in values]
    return float(statistics.median(values))


def run(other: Path, *, rounds: int, seconds: float, cells: Sequence[Cell]) -> dict[str, Any]:
    """Measure this checkout beside the one in the folder."""
    old = Checkout.at(other)
    facts = {
        "kind": "gateway",
        "machine": f"{os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f} beforehand",
        "new": HERE.facts(),
        "old": old.facts(),
        "rounds": rounds,
        "seconds": seconds,
        "ceiling": asyncio.run(ceiling(16, seconds)),
    }
    found = asyncio.run(measure(old, cells=cells, rounds=rounds, for_s=seconds))
    measured = [
        {"kind": kind, "callers": callers, **each} for (kind, callers), each in found.items()
    ]
    return facts | {"cells": measured}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; with `--out`, write the JSON that it comes from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path, help="the folder of the other one")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each window")
    parser.add_argument("--whole", action="store_true", help="whole services, Prefer: wait")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    cells = WHOLE if options.whole else ALONE
    found = run(options.checkout, rounds=options.rounds, seconds=options.seconds, cells=cells)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(["", *report(found)]))


if __name__ == "__main__":
    main()

"""How many pictures a second a fast model serves, by the number of callers and by its storage.

    python -m benchmarks.callers [CHECKOUT] [--rounds 3] [--seconds 3] [--out FILE]

The whole service with a simulated model, whose pictures cost next to nothing: what is measured is
the rest. Callers are a closed loop with `Prefer: wait`, in a process of their own. A second row of
figures has a bucket that takes 40 ms for each picture. With the folder of another checkout both are
measured in turn, each first in every other round.
"""

import argparse
import asyncio
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np

from benchmarks.beside import turns
from benchmarks.callers.slow_store import slow_store
from benchmarks.contenders.checkout import HERE, Checkout
from benchmarks.contenders.gateway import CHEAP, call
from benchmarks.contenders.service import Running, running
from benchmarks.load.sockets import Load
from benchmarks.tables import table
from latentry.contracts import ResolvedRequest, Sampler
from latentry.cpus import usable_cpus
from worker.publishing.encoding import encode

say = partial(print, flush=True)  # into files too

CALLERS: Final = (1, 8, 16, 24, 32, 48, 64, 128)
STORE_MS: Final = 40.0
WARM_S: Final = 1.0
DISK, BUCKET = "disk", "bucket"


@dataclass(frozen=True, slots=True)
class Cell:
    """One load: pictures of `side` pixels, so many callers, and where the pictures go."""

    storage: str
    side: int
    callers: int

    @property
    def request(self) -> str:
        """The bytes that a caller sends."""
        body = json.dumps({
            "prompt": "a red circle",
            "width": self.side,
            "height": self.side,
            "num_inference_steps": 2,
        })  # fmt: skip
        head = "POST /v1/generations HTTP/1.1\r\nHost: 127.0.0.1\r\nPrefer: wait=60\r\n"
        fields = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return head + fields + body


CELLS: Final = (*(Cell(DISK, 128, callers) for callers in CALLERS), Cell(BUCKET, 512, 64))
# Of each checkout, round by round: pictures a second, and processor milliseconds of a picture.
Window = tuple[float, float]
Found = dict[Cell, dict[str, list[Window]]]


async def measure(sides: Mapping[str, Checkout], *, rounds: int, for_s: float) -> Found:
    """Every cell in every round, one checkout after the other."""
    found: Found = {cell: {name: [] for name in sides} for cell in CELLS}
    async with AsyncExitStack() as exits:
        bucket = await exits.enter_async_context(slow_store(STORE_MS))
        services: dict[tuple[str, str], Running] = {}
        for name, checkout in sides.items():
            for storage, settings in ((DISK, {}), (BUCKET, bucket)):
                folder = Path(exits.enter_context(tempfile.TemporaryDirectory()))
                served = running(folder, checkout, LATENTRY_MODELS=CHEAP, **settings)
                services[name, storage] = await exits.enter_async_context(served)
        names = [*sides]
        for order in turns(names, names[::-1], rounds):
            for cell in CELLS:
                for name in order[0]:
                    window = await _window(services[name, cell.storage], cell, for_s)
                    found[cell][name].append(window)
                each = ", ".join(f"{name} {found[cell][name][-1][0]:.0f}" for name in sides)
                say(f"{cell.storage}, {cell.side}², {cell.callers} callers: {each}")
    return found


async def _window(service: Running, cell: Cell, for_s: float) -> Window:
    load = Load(urlsplit(service.url).port or 0, cell.callers, [cell.request], for_s)
    used_s = _cpu_s(service.process.pid)
    found = await call(load)
    used_s = _cpu_s(service.process.pid) - used_s
    if {*found["statuses"]} - {"200"}:
        raise RuntimeError(f"A request was answered {found['statuses']}.")
    rate = float(found["rate"])
    drawn = rate * (load.for_s + load.warm_s)  # in the warm-up too, about
    return rate, used_s * 1e3 / drawn if drawn else math.nan


def _cpu_s(pid: int) -> float:
    """Processor seconds that a process and those that it started have used so far (Linux)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        threads = Path(f"/proc/{pid}/task").glob("*/children")
        children = [child for each in threads for child in each.read_text().split()]
    except FileNotFoundError:  # it has ended
        return 0.0
    own_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own_s + sum(_cpu_s(int(child)) for child in children)


def encoded_a_second(side: int, for_s: float = 1.0) -> float:
    """What all processors of this machine encode, of such pictures as the simulation draws."""
    request = ResolvedRequest(
        model="try", prompt="a red circle", width=side, height=side, num_inference_steps=2,
        guidance_scale=2.0, sampler=Sampler.DDIM, seed=0,
    )  # fmt: skip
    pixels = np.full((side, side, 3), (200, 30, 90), np.uint8)
    until = time.monotonic() + for_s

    def work(_: int) -> int:
        done = 0
        while time.monotonic() < until:
            encode(pixels, request, 0)
            done += 1
        return done

    processors = len(usable_cpus())
    with ThreadPoolExecutor(processors) as pool:
        return sum(pool.map(work, range(processors))) / for_s


def report(run: Mapping[str, Any]) -> list[str]:
    """The table, in lines."""
    names = [*run["sides"]]
    rows = []
    for cell in run["cells"]:
        windows = [cell["windows"][name] for name in names]
        rates = [statistics.median(rate for rate, _ in each) for each in windows]
        used = [statistics.median(used_ms for _, used_ms in each) for each in windows]
        ratio = [f"{rates[0] / rates[1]:.2f}"] if len(rates) > 1 else []
        what = f"{cell['storage']}, {cell['side']}², {cell['callers']} callers"
        figures = [f"{rate:.0f}" for rate in rates], [f"{used_ms:.1f}" for used_ms in used]
        rows.append([what, *figures[0], *ratio, *figures[1]])
    return [
        *(f"{name}: {facts}" for name, facts in run["sides"].items()),
        f"machine: {run['machine']}; {run['rounds']} rounds of {run['seconds']:g} s, medians",
        f"model: {CHEAP}, 2 steps; the bucket takes {STORE_MS:g} ms for a picture; all processors"
        f" together encode {run['encoded']:.0f} pictures of 512² a second",
        "",
        *table(
            [
                "pictures a second",
                *names,
                *(["ratio"] if len(names) > 1 else []),
                *(f"CPU ms a picture, {name}" for name in names),
            ],
            rows,
        ),
    ]


def run(other: Path | None, *, rounds: int, seconds: float) -> dict[str, Any]:
    """Measure this checkout, and the one in the folder."""
    sides = {"new": HERE} | ({"old": Checkout.at(other)} if other else {})
    facts = {
        "kind": "callers",
        "machine": f"{os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f} beforehand",
        "sides": {name: checkout.facts() for name, checkout in sides.items()},
        "rounds": rounds,
        "seconds": seconds,
        "encoded": encoded_a_second(512),
    }
    found = asyncio.run(measure(sides, rounds=rounds, for_s=seconds))
    cells = [
        {"storage": cell.storage, "side": cell.side, "callers": cell.callers, "windows": each}
        for cell, each in found.items()
    ]
    return facts | {"cells": cells}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; with `--out`, write the JSON that it comes from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path, nargs="?", help="the folder of another one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each window")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    found = run(options.checkout, rounds=options.rounds, seconds=options.seconds)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(["", *report(found)]))


if __name__ == "__main__":
    main()

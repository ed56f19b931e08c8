"""A UNet call on a machine that others use, too: one busy process, or a second worker.

python -m benchmarks.busy [--rounds 5] [--seconds 1] [--rows 2 16]

The bundled model, in the precision of LATENTRY_DTYPE. Contenders take turns in every situation of
every round, each in processes of its own; medians. `all threads` is a worker that takes no notice.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any, Final

from benchmarks.tables import number, table
from worker.process.runtime import environment

KINDS: Final = ("all threads", "threads left to others", "one thread")
SITUATIONS: Final = ("quiet", "busy", "two")
SETTLE_S: Final = 1.2  # a worker looks at the load every half second
BUSY: Final = (sys.executable, "-c", "while True: pass")

Took = dict[tuple[str, str, int], list[float]]


class Worker:
    """A process that makes UNet calls when it is asked to."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def row_s(self, rows: int, seconds: float) -> float:
        """Seconds of a row, in calls of so many for so long."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([rows, seconds]).encode() + b"\n")
        return float(await self.line())

    async def line(self) -> str:
        """The next line that it prints. Raises RuntimeError if it has ended."""
        assert self._process.stdout is not None
        if not (line := await self._process.stdout.readline()):
            raise RuntimeError("A worker has ended.")
        return line.decode()


@asynccontextmanager
async def process(*command: str, **streams: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process, for as long as the block lasts."""
    started = await asyncio.create_subprocess_exec(*command, env=environment(os.environ), **streams)
    try:
        yield started
    finally:
        started.kill()
        await started.wait()


async def measure(rounds: int, seconds: float, sizes: Sequence[int]) -> Took:
    """Seconds of a row by kind, situation and rows of the call, one for each round.

    Of two workers it is half the harmonic mean: what a row of both takes together.
    """
    took: Took = {}
    async with AsyncExitStack() as exits:
        pairs = {kind: [await _worker(exits, kind) for _ in range(2)] for kind in KINDS}
        for _ in range(rounds):
            for rows in sizes:
                for situation in SITUATIONS:
                    for kind, pair in pairs.items():
                        row_s = await _row_s(situation, pair, rows, seconds)
                        took.setdefault((kind, situation, rows), []).append(row_s)
    return took


async def _worker(exits: AsyncExitStack, kind: str) -> Worker:
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    command = (sys.executable, "-m", "benchmarks.busy", "--child", kind)
    worker = Worker(await exits.enter_async_context(process(*command, **pipes)))
    await worker.line()  # one after the other: beside another they would take long to load
    return worker


async def _row_s(situation: str, pair: Sequence[Worker], rows: int, seconds: float) -> float:
    if situation == "quiet":
        return await pair[0].row_s(rows, seconds)
    if situation == "busy":
        async with process(*BUSY):
            return await pair[0].row_s(rows, seconds)
    each = await asyncio.gather(*(worker.row_s(rows, seconds) for worker in pair))
    return 1 / sum(1 / row_s for row_s in each)


def report(took: Mapping[tuple[str, str, int], Sequence[float]]) -> list[str]:
    """The ratios, in lines."""
    typical = {key: statistics.median(each) for key, each in took.items()}
    lines = []
    for kind in KINDS:
        for rows in sorted({rows for _, _, rows in typical}):
            quiet, busy, two = (typical[kind, situation, rows] for situation in SITUATIONS)
            today = typical[KINDS[0], "quiet", rows]
            ratios = (quiet / today, busy / today, today / two)
            lines.append([f"{kind}, {rows} rows", number(1e3 * quiet), *map(number, ratios)])
    head = ["", "ms per row, quiet", "× as long, quiet", "beside a busy process", "two together"]
    return table(head, lines)


def child(kind: str) -> None:
    """Read rows and seconds, call, print the seconds of a row."""
    from benchmarks.contenders.stock import SHAPES
    from latentry.settings import Settings
    from worker.engine.diffusion.diffusion import Diffusion
    from worker.engine.threads import Threads

    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # libraries may print
    threads = 1 if kind == "one thread" else 0
    dtype = Settings.from_env(os.environ).dtype
    backend = Diffusion(device="cpu", dtype=dtype, threads=threads)
    backend.load("shapes", SHAPES)
    if kind == "all threads":
        backend.threads = Threads(busy_cpus=lambda: 0.0)
    replies.write("ready\n")
    for line in sys.stdin:
        rows, seconds = json.loads(line)
        step = _steps(backend, rows)
        _count(step, SETTLE_S)
        begin = time.perf_counter()
        calls = _count(step, seconds)
        replies.write(f"{(time.perf_counter() - begin) / calls / rows}\n")


def _count(step: Callable[[], object], seconds: float) -> int:
    end, calls = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        step()
        calls += 1
    return calls


def _steps(backend: Any, rows: int) -> Callable[[], object]:
    """Makes the next UNet call of so many rows, for images that are begun anew when they end."""
    [example] = backend.examples()
    longer = example.request.model_copy(update={"num_inference_steps": 100})
    order = replace(example, request=longer)
    members: list[Any] = []

    def step() -> None:
        if not members or not members[0].calls_left:
            members[:] = [backend.begin(order, backend.plan(order))[0] for _ in range(rows // 2)]
        backend.advance(members, rows)

    return step


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rows", type=int, nargs="+", default=[2, 16])
    parser.add_argument("--child", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child)
        return
    took = asyncio.run(measure(options.rounds, options.seconds, options.rows))
    print("\n".join(report(took)))


if __name__ == "__main__":
    main()

"""What each way of LATENTRY_LOW_MEMORY saves and costs on this CPU, with a model of real size.

    python -m benchmarks.real_size.low_memory [--size sd15] [--dtype float32] [--rounds 3]
        [--cache FOLDER]

Each in a process of its own, without UNet calls, which none of them changes here: the memory that
is taken when the model is loaded, seconds to encode the prompts of a new request, and to decode one
picture and two at once, and the most memory that this took. Medians of `--rounds`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from benchmarks.real_size.figures import SIDES, forget_peak, peak_gb, resident_gb
from benchmarks.real_size.model import file_of
from benchmarks.tables import number, table
from latentry.contracts import ResolvedRequest
from latentry.low_memory import LowMemory, parse_low_memory
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.diffusion.trajectory import Trajectory
from worker.engine.loop import Order

WAYS: Final = ("", LowMemory.VAE_SLICES, LowMemory.VAE_TILES, LowMemory.TEXT_ENCODERS)
SEVERAL: Final = 2
HEAD: Final = ("way", "loaded, GB", "encode, s", "decode 1, s", f"decode {SEVERAL}, s", "peak, GB")


class Worker:
    """A model that is loaded in one of the ways."""

    def __init__(self, size: str, dtype: str, way: str, file: Path) -> None:
        self._opened = Diffusion(device="cpu", dtype=dtype, low_memory=parse_low_memory(way))
        self._fields = self._opened.load("m", file).defaults.model_dump()
        self._fields |= {"width": SIDES[size], "height": SIDES[size]}
        self._numbers = count()

    def begin(self) -> Trajectory:
        """An image whose prompt nobody has asked for before."""
        prompt = f"lighthouse number {next(self._numbers)}"
        request = ResolvedRequest(model="m", prompt=prompt, seed=1, **self._fields)
        order = Order("job", 0, request, 1)
        return self._opened.begin(order, self._opened.plan(order))[0]

    def decode(self, members: Sequence[Trajectory]) -> None:
        """Their pictures."""
        self._opened.decode(members).take()


def measure(worker: Worker, rounds: int) -> list[float]:
    """The figures of one way, as in `HEAD`."""
    pid = os.getpid()
    loaded = resident_gb(pid)
    forget_peak(pid)
    encode = _median_s(worker.begin, rounds)
    members = [worker.begin() for _ in range(SEVERAL)]
    decode = [_median_s(partial(worker.decode, members[:n]), rounds) for n in (1, SEVERAL)]
    return [loaded, encode, *decode, peak_gb(pid)]


def _median_s(work: Callable[[], object], rounds: int) -> float:
    took = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        took.append(time.perf_counter() - begin)
    return statistics.median(took)


def rows(size: str, dtype: str, rounds: int, cache: Path) -> Iterator[list[str]]:
    """Of each way, measured in a process of its own."""
    file = file_of(size, cache)
    for way in WAYS:
        command = [sys.executable, "-m", __spec__.name, "--one", size, dtype, way, str(file)]
        command += ["--rounds", str(rounds)]
        made = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        yield [way or "none", *(number(n) for n in json.loads(made.stdout.splitlines()[-1]))]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIDES, default="sd15")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "latentry-real-size"
    )
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        size, dtype, way, file = options.one
        print(json.dumps(measure(Worker(size, dtype, way, Path(file)), options.rounds)))
        return
    options.cache.mkdir(parents=True, exist_ok=True)
    print("\n".join(table(HEAD, rows(options.size, options.dtype, options.rounds, options.cache))))


if __name__ == "__main__":
    main()

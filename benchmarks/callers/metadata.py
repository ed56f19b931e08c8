"""How long reads of what there is take while images are drawn.

    python -m benchmarks.callers.metadata [--seconds 20] [--callers 32] [--rate 100] [--out FILE]

The whole service with the bundled model, on real files, and a storm of callers that each wait for
an image and ask for the next one. Beside it the lists of models, adapters, styles and jobs are read
in turn, so many a second whatever the answers take: a read's time counts from when it was due.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.contenders.checkout import HERE
from benchmarks.contenders.service import Running, running
from benchmarks.contenders.stock import SHAPES
from benchmarks.loras.files import write
from benchmarks.tables import table

say = partial(print, flush=True)  # into files too

PATHS: Final = ("/v1/models", "/v1/adapters", "/v1/styles", "/v1/generations?limit=20")
GOAL_MS: Final = 20.0
WARM_S: Final = 3.0
_IMAGE: Final = {"prompt": "a red circle", "num_inference_steps": 20}


async def measure(served: Running, *, callers: int, rate: float, for_s: float) -> dict[str, Any]:
    """Milliseconds of each path's reads, and how many images were drawn meanwhile."""
    async with httpx.AsyncClient(base_url=served.url, trust_env=False, timeout=120) as http:
        drawn = [0]
        storm = [asyncio.create_task(_draw(http, drawn)) for _ in range(callers)]
        await asyncio.sleep(WARM_S)
        before = drawn[0]
        took_ms = await _read(http, rate, for_s)
        images = drawn[0] - before
        for one in storm:
            one.cancel()
        await asyncio.gather(*storm, return_exceptions=True)
    served.check()
    return {"took_ms": took_ms, "images_a_second": images / for_s}


async def _draw(http: httpx.AsyncClient, drawn: list[int]) -> None:
    while True:
        answer = await http.post("/v1/generations", json=_IMAGE, headers={"Prefer": "wait=60"})
        drawn[0] += answer.status_code == httpx.codes.OK


async def _read(http: httpx.AsyncClient, rate: float, for_s: float) -> dict[str, list[float]]:
    took_ms: dict[str, list[float]] = defaultdict(list)
    began = time.perf_counter()

    async def read(number: int) -> None:
        path, due = PATHS[number % len(PATHS)], began + number / rate
        (await http.get(path)).raise_for_status()
        took_ms[path].append((time.perf_counter() - due) * 1e3)

    reads = []
    for number in range(round(rate * for_s)):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        reads.append(asyncio.create_task(read(number)))
    await asyncio.gather(*reads)
    return dict(took_ms)


def _quantile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


async def _main(options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        closet = Path(folder) / "closet"
        closet.mkdir()
        write(closet)
        settings = {"LATENTRY_MODELS": f"shapes={SHAPES}", "LATENTRY_ADAPTERS": str(closet)}
        async with running(Path(folder), HERE, **settings) as served:
            return await measure(
                served, callers=options.callers, rate=options.rate, for_s=options.seconds
            )


def main() -> None:
    """Measure, and say whether the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--rate", type=float, default=100.0, help="reads a second")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = asyncio.run(_main(options))
    every = [ms for times in found["took_ms"].values() for ms in times]
    rows = [
        (path, f"{len(times)}", *(f"{_quantile(times, part):.1f}" for part in (0.5, 0.99, 1.0)))
        for path, times in [*found["took_ms"].items(), ("all", every)]
    ]
    say("\n".join(table(("path", "reads", "median ms", "p99 ms", "longest ms"), rows)))
    say(f"{found['images_a_second']:.1f} images a second beside them.")
    p99 = _quantile(every, 0.99)
    say(f"p99 {p99:.1f} ms; the goal of {GOAL_MS:g} ms is {'met' if p99 <= GOAL_MS else 'missed'}.")
    if options.out:
        options.out.write_text(json.dumps(found))


if __name__ == "__main__":
    main()

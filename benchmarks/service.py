"""The whole service against the stock pipeline, one request at a time, on the same mixed requests.

    make bench          (or: python -m benchmarks.service --rounds 5 --out results.json)

Starts gateway and worker on the bundled model, then alternates: the stock pipeline draws the trace
one request after the other, 16 clients of the service draw the same trace at once. Medians.
"""

import argparse
import asyncio
import json
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from latentry.client import AsyncClient
from latentry.settings import Settings
from tests.e2e.processes import Stack
from tests.valkey import Valkey, free_port

SHAPES = Path(__file__).parents[1] / "models" / "shapes"
STEPS = (10, 15, 20, 25, 30, 40, 50)
GUIDANCE = (1.0, 2.0, 3.0, 5.0, 7.5)
PROMPTS = (
    "a red circle on a blue background",
    "a small yellow star at the top left of a purple background",
    "a green ring, white background",
    "an orange heart on a black background",
    "a large blue cross on a yellow background",
)
CLIENTS = 16


@dataclass(frozen=True, slots=True)
class Wish:
    """One request of the trace."""

    prompt: str
    seed: int
    num_inference_steps: int
    guidance_scale: float
    sampler: str


def trace(length: int) -> list[Wish]:
    """Mixed steps, guidance, samplers, prompts and seeds; one size."""
    return [
        Wish(
            PROMPTS[k % len(PROMPTS)],
            k,
            STEPS[k % len(STEPS)],
            GUIDANCE[k % len(GUIDANCE)],
            ("ddim", "euler")[k % 2],
        )
        for k in range(length)
    ]


class Stock:
    """`StableDiffusionPipeline`, as its documentation says to use it."""

    def __init__(self) -> None:
        import torch
        from diffusers import DDIMScheduler, EulerDiscreteScheduler, StableDiffusionPipeline

        self._torch = torch
        self._pipeline = StableDiffusionPipeline.from_pretrained(str(SHAPES))
        self._pipeline.to(torch.float32)
        self._pipeline.set_progress_bar_config(disable=True)
        config = self._pipeline.scheduler.config
        self._samplers = {
            "ddim": DDIMScheduler.from_config(config),
            "euler": EulerDiscreteScheduler.from_config(config),
        }

    def draw(self, wish: Wish) -> float:
        """Seconds for one picture."""
        begin = time.perf_counter()
        self._pipeline.scheduler = self._samplers[wish.sampler]
        self._pipeline(
            wish.prompt,
            num_inference_steps=wish.num_inference_steps,
            guidance_scale=wish.guidance_scale,
            generator=self._torch.Generator().manual_seed(wish.seed),
        )
        return time.perf_counter() - begin


async def crowd(client: AsyncClient, wishes: list[Wish]) -> list[float]:
    """Closed loop of 16 callers; seconds for each picture."""
    waiting = iter(wishes)
    times: list[float] = []

    async def caller() -> None:
        for wish in waiting:
            begin = time.perf_counter()
            await client.generate(**asdict(wish))
            times.append(time.perf_counter() - begin)

    await asyncio.gather(*(caller() for _ in range(CLIENTS)))
    return times


@contextmanager
def service() -> Iterator[Stack]:
    """A whole latentry in a folder that goes away."""
    with tempfile.TemporaryDirectory() as folder:
        valkey = Valkey(Path(folder), durable=True)
        valkey.start()
        settings = Settings.from_env(
            {
                "LATENTRY_REDIS_URL": valkey.url,
                "LATENTRY_DATA_DIR": folder,
                "LATENTRY_PORT": str(free_port()),
                "LATENTRY_METRICS_PORT": "0",
                "LATENTRY_WORKER_METRICS_PORT": "0",
                "LATENTRY_MODELS": f"shapes={SHAPES}",
            }
        )
        try:
            with Stack(settings) as stack:
                stack.start_worker()
                yield stack
        finally:
            valkey.stop()


async def measure(stack: Stack, rounds: int, length: int) -> dict[str, Any]:
    """Alternate the two and take medians."""
    stock, wishes = Stock(), trace(length)
    lone = Wish(PROMPTS[0], 7, 25, 3.0, "ddim")
    rates: dict[str, list[float]] = {"stock": [], "service": []}
    alone: dict[str, list[float]] = {"stock": [], "service": []}
    async with AsyncClient(stack.url) as client:
        stock.draw(lone)
        await client.generate(**asdict(lone))
        for _ in range(rounds):
            begin = time.perf_counter()
            for wish in wishes:
                stock.draw(wish)
            rates["stock"].append(length / (time.perf_counter() - begin))
            begin = time.perf_counter()
            await crowd(client, wishes)
            rates["service"].append(length / (time.perf_counter() - begin))
            alone["stock"].append(stock.draw(lone))
            begin = time.perf_counter()
            await client.generate(**asdict(lone))
            alone["service"].append(time.perf_counter() - begin)
    median = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "cpus": os.cpu_count(),
        "requests": length,
        "images_per_s": rates,
        "median_images_per_s": median,
        "ratio": median["service"] / median["stock"],
        "lone_25_steps_s": {name: statistics.median(values) for name, values in alone.items()},
    }


def main() -> None:
    """Print a table, and write JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=48)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with service() as stack:
        result = asyncio.run(measure(stack, options.rounds, options.requests))
    rates, alone = result["median_images_per_s"], result["lone_25_steps_s"]
    print(f"{'':10} {'images/s':>9} {'lone 25-step picture':>21}")
    for name in ("stock", "service"):
        print(f"{name:10} {rates[name]:9.2f} {alone[name]:19.2f} s")
    print(f"service / stock = {result['ratio']:.2f}")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

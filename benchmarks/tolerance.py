"""How far the fast mode's pixels move: the same orders alone and in random batches.

python -m benchmarks.tolerance --batches 40
"""

import argparse
import json
import random
from pathlib import Path

import numpy as np

from latentry.contracts import ResolvedRequest, Sampler
from worker.engine import Done, Engine, Order, Pixels
from worker.engine.diffusion import Diffusion

SHAPES = Path(__file__).parents[1] / "models" / "shapes"
PROMPTS = ("a red circle on a blue background", "a green star", "two yellow squares, white", "")


def order(job: str, sampler: Sampler, steps: int, guidance: float, seed: int) -> Order:
    """A picture of the model's own size."""
    request = ResolvedRequest(
        model="shapes",
        prompt=PROMPTS[seed % len(PROMPTS)],
        width=128,
        height=128,
        num_inference_steps=steps,
        guidance_scale=guidance,
        sampler=sampler,
        seed=seed,
    )
    return Order(job, 0, request, seed)


def watched() -> list[Order]:
    """One order for each sampler, with and without guidance in turn."""
    return [
        order(f"watched-{sampler}", sampler, 10, [1.0, 4.0, 7.5][k % 3], seed=k)
        for k, sampler in enumerate(Sampler)
    ]


def draw(backend: Diffusion, orders: list[Order]) -> dict[str, Pixels]:
    """The pictures of these orders, drawn together."""
    engine, done = Engine(backend), dict[str, Pixels]()
    for one in orders:
        engine.submit(one)
    while not engine.idle:
        done |= {e.job: e.pixels for e in engine.step() if isinstance(e, Done)}
    return done


def crowd(chance: random.Random) -> list[Order]:
    """Anything else."""
    return [
        order(
            f"other-{k}",
            chance.choice(list(Sampler)),
            chance.randint(2, 12),
            chance.choice([1.0, 4.0]),
            chance.randrange(1000),
        )
        for k in range(chance.randint(0, 6))
    ]


def main() -> None:
    """Print the differences as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    backend = Diffusion(device="cpu", threads=arguments.threads)
    backend.load("shapes", SHAPES)
    orders = watched()
    alone = {one.job: draw(backend, [one])[one.job].astype(int) for one in orders}
    levels = np.zeros(256, dtype=int)
    for seed in range(arguments.batches):
        chance = random.Random(seed)
        some = chance.sample(orders, 3)
        mixed = [*some, *crowd(chance)]
        chance.shuffle(mixed)
        pictures = draw(backend, mixed)
        for one in some:
            apart = np.abs(pictures[one.job].astype(int) - alone[one.job])
            levels += np.bincount(apart.ravel(), minlength=256)
    report = {
        "pictures": 3 * arguments.batches,
        "largest_difference_in_levels_of_255": int(np.flatnonzero(levels).max()),
        "share_of_values_that_differ": float(levels[1:].sum() / levels.sum()),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()

"""How far pixels of the fast mode differ between an order alone and in random batches.

python -m benchmarks.tolerance [--batches 40] [--compiled]
"""

import argparse
import json
import random
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from latentry.contracts import ResolvedRequest, Sampler
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Done, Engine, Order, Pixels
from worker.engine.unet.compile import compile_unet
from worker.engine.unet.compiled import CompiledUNets
from worker.engine.unet.shape import Shape
from worker.engine.unet.slot import SlotState

SHAPES = Path(__file__).parents[1] / "models" / "shapes"
TOKENS = 77  # of one chunk
PROMPTS = ("a red circle on a blue background", "a green star", "two yellow squares, white", "")


def order(job: str, sampler: Sampler, steps: int, guidance: float, seed: int) -> Order:
    """An order of the model's native size."""
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
    """One order for each sampler, with three guidance scales in turn."""
    return [
        order(f"watched-{sampler}", sampler, 10, [1.0, 4.0, 7.5][k % 3], seed=k)
        for k, sampler in enumerate(Sampler)
    ]


def draw(backend: Diffusion, orders: list[Order]) -> dict[str, Pixels]:
    """The pictures of these orders, submitted together."""
    engine, done = Engine(backend), dict[str, Pixels]()
    for one in orders:
        engine.submit(one)
    while not engine.idle:
        done |= {e.job: e.pixels for e in engine.step() if isinstance(e, Done)}
    return done


def crowd(chance: random.Random) -> list[Order]:
    """Up to six random orders to share a batch with."""
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


@contextmanager
def compiling(threads: int) -> Iterator[Diffusion]:
    """A backend whose UNet is compiled for the native size and prompts of one chunk."""
    with tempfile.TemporaryDirectory() as folder:
        backend = Diffusion(
            device="cpu", dtype="float32", threads=threads, compiled=CompiledUNets(Path(folder))
        )
        backend.load("shapes", SHAPES)
        model = backend.models["shapes"]
        side = model.card.defaults.width
        _, height, width = model.latent_shape(side, side)
        shape = Shape.of(model.unet, model.at, height=height, width=width, tokens=TOKENS, added={})
        compile_unet(shape, Path(folder) / shape.id)
        yield backend
        [slot] = model.compiled.values()
        if slot.state is not SlotState.PROVED:
            raise RuntimeError("The package was not used.")


def differences(backend: Diffusion, batched: Diffusion, batches: int) -> dict[str, float]:
    """Each watched order, alone by `backend`, compared with a random batch of `batched`."""
    orders = watched()
    alone = {one.job: draw(backend, [one])[one.job].astype(int) for one in orders}
    levels = np.zeros(256, dtype=int)
    for seed in range(batches):
        chance = random.Random(seed)
        some = chance.sample(orders, 3)
        mixed = [*some, *crowd(chance)]
        chance.shuffle(mixed)
        pictures = draw(batched, mixed)
        for one in some:
            apart = np.abs(pictures[one.job].astype(int) - alone[one.job])
            levels += np.bincount(apart.ravel(), minlength=256)
    return {
        "pictures": 3 * batches,
        "largest_difference_in_levels_of_255": int(np.flatnonzero(levels).max()),
        "share_of_values_that_differ": float(levels[1:].sum() / levels.sum()),
    }


def main() -> None:
    """Print the differences as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compiled", action="store_true", help="compiled batches, eager alone")
    arguments = parser.parse_args()
    with ExitStack() as exits:
        backend = batched = Diffusion(device="cpu", dtype="float32", threads=arguments.threads)
        backend.load("shapes", SHAPES)
        if arguments.compiled:
            batched = exits.enter_context(compiling(arguments.threads))
        print(json.dumps(differences(backend, batched, arguments.batches), indent=2))


if __name__ == "__main__":
    main()

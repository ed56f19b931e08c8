"""How fast a UNet call gets on this CPU, with one change at a time.

python -m benchmarks.limit [--rounds 9]
"""

import argparse
import copy
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import torch

from benchmarks.contenders.stock import SHAPES
from benchmarks.gpu.timing import TOKENS, package
from benchmarks.tables import number, table
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.models.fuse import fuse_projections
from worker.engine.models.loaded_model import LoadedModel
from worker.engine.unet.eager import eager
from worker.engine.unet.inputs import UNetInputs
from worker.process.runtime import environment

MODEL: Final = "shapes"
SIDE: Final = 128
ROWS: Final = (2, 8, 16, 24, 32)

Call = Callable[[int], object]


def changes(model: LoadedModel) -> dict[str, Call]:
    """UNet calls by rows: the stock one, the engine's, and the engine's with one change each."""
    contiguous = copy.deepcopy(model.unet).to(memory_format=torch.contiguous_format)
    fused = copy.deepcopy(model.unet)
    fuse_projections(fused)
    half = copy.deepcopy(model.unet).to(torch.bfloat16)

    def of(unet: Any, dtype: torch.dtype, memory_format: torch.memory_format) -> Call:
        return lambda rows: unet(*_inputs(model, rows, dtype, memory_format))

    def by(unet: Any) -> Callable[..., torch.Tensor]:
        return lambda *inputs: eager(unet, UNetInputs(*inputs))

    chosen = torch.float32, model.at.memory_format
    engine = of(by(model.unet), *chosen)
    return {
        "stock: contiguous": of(by(contiguous), torch.float32, torch.contiguous_format),
        "engine: channels_last": engine,
        "engine, one thread": _on_one_thread(engine),
        "engine, fused QKV": of(by(fused), *chosen),
        "engine, compiled": of(package(model, {}), *chosen),
        "engine, bfloat16": of(by(half), torch.bfloat16, model.at.memory_format),
    }


def _inputs(
    model: LoadedModel, rows: int, dtype: torch.dtype, memory_format: torch.memory_format
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    x = torch.randn(rows, *model.latent_shape(SIDE, SIDE), dtype=dtype)
    hidden = torch.randn(rows, TOKENS, model.unet.config.cross_attention_dim, dtype=dtype)
    return x.to(memory_format=memory_format), torch.full((rows,), 500.0), hidden, {}


def _on_one_thread(call: Call) -> Call:
    def alone(rows: int) -> object:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return call(rows)
        finally:
            torch.set_num_threads(threads)

    return alone


@torch.inference_mode()
def measure(calls: dict[str, Call], rounds: int) -> dict[str, dict[int, float]]:
    """Median seconds by name and rows. The names take turns; the first round warms up."""
    took: dict[tuple[str, int], list[float]] = {}
    for _ in range(1 + rounds):
        for rows in ROWS:
            for name, call in calls.items():
                begin = time.perf_counter()
                call(rows)
                took.setdefault((name, rows), []).append(time.perf_counter() - begin)
    return {
        name: {rows: statistics.median(took[name, rows][1:]) for rows in ROWS} for name in calls
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    if (tuned := environment(os.environ)) != os.environ:  # malloc reads it at a process's start
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.limit", *sys.argv[1:]], tuned)
    backend = Diffusion(device="cpu", dtype="float32")
    backend.load(MODEL, SHAPES)
    found = measure(changes(backend.models[MODEL]), options.rounds)
    lines = [
        [name, *(number(1e3 * each[rows] / rows, 1) for rows in ROWS)]
        for name, each in found.items()
    ]
    print("\n".join(table(["ms per row of a call of", *map(str, ROWS)], lines)))


if __name__ == "__main__":
    main()

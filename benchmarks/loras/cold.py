"""How long a cold LoRA takes to load, and what that costs the steps beside it.

    python -m benchmarks.loras.cold [--model shapes|sd15] [--megabytes 40] [--rounds 8] [--steps 12]

In each round one engine draws an image of the model's native size twice, in turn: by itself, and
while another thread loads the same file once in every step, each time evicted first. Steps are
compared by their median and by their longest. `sd15` has random weights of that size, made once in
--cache.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

from benchmarks.contenders.stock import SHAPES
from benchmarks.real_size.model import folder_of
from latentry.contracts import ResolvedRequest
from worker.engine.adapters.file import AdapterFile
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Engine, Order
from worker.engine.low_rank.sites import sites

say = partial(print, flush=True)  # into files too

LOAD_GOAL_S: Final = 0.3
STEP_GOAL: Final = 1.2
_ID: Final = "model"


def written(model: Path, file: Path, megabytes: float) -> Path:
    """A kohya file of about this size on disk, fp16, of all layers of the model's UNet."""
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(model / "unet"))
    shapes = {path: tuple(site.module.weight.shape) for path, site in sites(unet).items()}
    a_rank = sum(2 * (torch.Size(shape[1:]).numel() + shape[0]) for shape in shapes.values())
    rank = max(1, round(megabytes * 1e6 / a_rank))
    weights: dict[str, torch.Tensor] = {}
    for path, (out, into, *kernel) in shapes.items():
        layer = f"lora_unet_{path.replace('.', '_')}"
        weights[f"{layer}.lora_down.weight"] = torch.randn(rank, into, *kernel).half() / 64
        weights[f"{layer}.lora_up.weight"] = torch.randn(out, rank, *[1] * len(kernel)).half() / 64
    save_file(weights, file)
    return file


def steps_of(
    backend: Diffusion, engine: Engine[Any], steps: int, at_step: Callable[[], object] = int
) -> list[float]:
    """Seconds of each step of one image, without the one that joins and decodes.

    `at_step` is called when one begins.
    """
    card = backend.models[_ID].card
    drawn = ResolvedRequest(
        model=_ID,
        prompt="a red circle",
        num_inference_steps=steps,
        seed=1,
        **card.defaults.model_dump(exclude={"num_inference_steps"}),
    )
    engine.submit(Order("job", 0, drawn, 1))
    found = []
    while not engine.idle:
        began = time.perf_counter()
        at_step()
        engine.step()
        found.append(time.perf_counter() - began)
    return found[1:-1]


def beside(
    load: Callable[[], float], work: Callable[[Callable[[], object]], list[float]]
) -> tuple[list[float], list[float]]:
    """Steps, and the loads that another thread made meanwhile: one whenever a step begins."""
    with ThreadPoolExecutor(1) as loader:
        loads: list[Future[float]] = []
        steps = work(lambda: loads.append(loader.submit(load)))
    return steps, [one.result() for one in loads]


def report(
    idle_s: list[float], busy_s: list[float], alone: list[float], crowded: list[float]
) -> None:
    """Loads without and with steps beside them, and steps without and with loads, in seconds."""
    usual = statistics.median(alone)
    ratio = statistics.median(crowded) / usual
    longest = [max(each) / usual for each in (alone, crowded)]
    say(f"Loaded in {statistics.median(idle_s):.3f} s by itself,")
    say(f"{statistics.median(busy_s):.3f} s beside steps ({len(busy_s)} loads).")
    say(f"A step takes {usual * 1e3:.1f} ms, beside loads {ratio:.2f} × that; the longest ")
    say(f"{longest[0]:.2f} × without and {longest[1]:.2f} × with.")
    met = statistics.median(idle_s) <= LOAD_GOAL_S and max(crowded) <= STEP_GOAL * max(alone)
    say(f"The goals, {LOAD_GOAL_S:g} s and {STEP_GOAL:g} ×, are {'met' if met else 'missed'}.")


def main() -> None:
    """Measure, and say whether both goals are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=("shapes", "sd15"), default="shapes")
    parser.add_argument("--cache", type=Path, default=Path(".latentry/real_size"))
    parser.add_argument("--megabytes", type=float, default=40.0)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--dtype", default="float32")
    options = parser.parse_args()
    model = SHAPES if options.model == "shapes" else folder_of(options.model, options.cache)
    backend = Diffusion(device="auto", dtype=options.dtype)
    backend.load(_ID, model)
    engine = Engine(backend)
    steps_of(backend, engine, options.steps)
    with tempfile.TemporaryDirectory() as folder:
        file = written(model, Path(folder) / "cold.safetensors", options.megabytes)
        sha256 = AdapterFile.read(file).sha256

        def load() -> float:
            backend.adapters.bank.clear()
            began = time.perf_counter()
            backend.adapters.load(_ID, {sha256: file})
            return time.perf_counter() - began

        size = file.stat().st_size / 1e6
        idle_s = [load() for _ in range(options.rounds)]
        alone, crowded, busy_s = [], [], []
        for _ in range(options.rounds):
            alone += steps_of(backend, engine, options.steps)
            steps, loads = beside(load, lambda at: steps_of(backend, engine, options.steps, at))
            crowded += steps
            busy_s += loads
    say(f"{size:.0f} MB, {options.dtype}:")
    report(idle_s, busy_s, alone, crowded)


if __name__ == "__main__":
    main()

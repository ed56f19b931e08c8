"""How much time `guidance_stop` and `cache_interval` save, and how they change the pictures.

python -m benchmarks.skipping [--rounds 3] [--pictures 48]

The bundled model, eight held-out prompts at once, 25 steps, guidance 2; the kinds take turns;
medians. tools/scenes/checker.py recognises colour, background and shape.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.tables import number, share, table
from latentry.contracts import ResolvedRequest, Sampler
from tools.evaluate import held_out, judge, shares
from tools.scenes.checker import detect
from worker.engine.diffusion.diffusion import Diffusion
from worker.engine.loop import Done, Engine, Order, Pixels

SHAPES: Final = Path(__file__).parents[1] / "models" / "shapes"
AT_ONCE: Final = 8
SIDE: Final = 128
RIGHT: Final = ("colour", "background", "shape")
KINDS: Final[dict[str, dict[str, Any]]] = {
    "everything": {},
    "guidance_stop 0.8": {"guidance_stop": 0.8},
    "guidance_stop 0.5": {"guidance_stop": 0.5},
    "cache_interval 2": {"cache_interval": 2},
    "cache_interval 3": {"cache_interval": 3},
    "0.8 and 2 together": {"guidance_stop": 0.8, "cache_interval": 2},
}


def draw(engine: Engine[Any], prompts: list[str], left_out: dict[str, Any]) -> list[Pixels]:
    """The pictures of these prompts, `AT_ONCE` at a time."""
    done: dict[str, Pixels] = {}
    for start in range(0, len(prompts), AT_ONCE):
        for seed, prompt in enumerate(prompts[start : start + AT_ONCE], start=start):
            request = ResolvedRequest(
                model="shapes", prompt=prompt, width=SIDE, height=SIDE, num_inference_steps=25,
                guidance_scale=2.0, sampler=Sampler.DDIM, seed=seed, **left_out,
            )  # fmt: skip
            engine.submit(Order(str(seed), 0, request, seed))
        while not engine.idle:
            done |= {e.job: e.pixels for e in engine.step() if isinstance(e, Done)}
    return [done[str(seed)] for seed in range(len(prompts))]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=48)
    options = parser.parse_args()
    backend = Diffusion(device="cpu", dtype="float32")
    backend.load("shapes", SHAPES)
    engine = Engine(backend)
    while engine.calibrate():
        pass
    scenes = held_out(options.pictures, SIDE, SIDE, pairs=0)
    prompts = [prompt for _, prompt in scenes]
    took: dict[str, list[float]] = {kind: [] for kind in KINDS}
    pictures: dict[str, list[Pixels]] = {}
    for _ in range(options.rounds):
        for kind, left_out in KINDS.items():
            begin = time.perf_counter()
            pictures[kind] = draw(engine, prompts, left_out)
            took[kind].append(time.perf_counter() - begin)
    whole = statistics.median(took["everything"])
    rows = []
    for kind, drawn in pictures.items():
        cases = zip(scenes, drawn, strict=True)
        found = shares(judge(scene, detect(picture)) for (scene, _), picture in cases)
        pairs = zip(drawn, pictures["everything"], strict=True)
        moved = np.mean([np.abs(a.astype(int) - b.astype(int)).mean() for a, b in pairs])
        speed = whole / statistics.median(took[kind])
        right = [share(found[name] / 100) for name in RIGHT]
        rows.append([kind, number(speed, 2), number(float(moved), 1), *right])
    head = ["left out", "× as fast", "mean change, levels", *RIGHT]
    print("\n".join(table(head, rows)))


if __name__ == "__main__":
    main()

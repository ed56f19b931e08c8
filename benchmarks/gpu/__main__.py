"""SD 1.5 and SDXL with random weights on a GPU, in one command.

    python -m benchmarks.gpu --out gpu.json     (--dry-run: the same on this CPU, with tiny models)

Needs torch, diffusers, transformers and the engine; no gateway and no Redis. Every part has its own
time limit. A part that fails is reported and left out.
"""

import argparse
import json
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.gpu.architectures import SD15, SDXL, Config, blueprint, build, shrunk
from benchmarks.gpu.policies import determinism, policies
from benchmarks.gpu.timing import Bench, decodes, fit, matmul_tflops, unet_tflop, unets
from benchmarks.load.traces import GUIDANCE, SAMPLERS, Mix
from worker.engine.device import Device

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Model:
    """An architecture, its precision and its trace."""

    configs: Mapping[str, Config]
    dtype: str
    mix: Mix
    is_timed: bool = True  # or only its trace is served


MIXED: Final = Mix((20,), GUIDANCE[1:], SAMPLERS)
MODELS: Final = {
    "sd15": Model(SD15, "float16", MIXED),
    "sdxl": Model(SDXL, "bfloat16", MIXED),
    "sd15, 4 steps": Model(SD15, "float16", replace(MIXED, steps=(4,), guidance=(1.0,)), False),
}
ROWS: Final = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
HOWS: Final = ("eager", "graphs", "compiled", "package")
PARTS: Final = (*HOWS, "vae", "vae_fp32", "determinism", "policies")


def measure(name: str, model: Model, options: argparse.Namespace) -> Result:
    """Every part of one model that the options do not skip."""
    dry = options.dry_run
    at = Device.choose("cpu" if dry else "cuda", "float32" if dry else model.dtype)
    plan = blueprint(name.partition(",")[0], shrunk(model.configs) if dry else model.configs)
    loaded, networks = build(plan, at)
    side = loaded.card.defaults.width
    bench = Bench(plan, loaded, networks, box_s=options.seconds, rows=ROWS[:3] if dry else ROWS)
    mix = replace(model.mix, sides=(side,))
    found: Result = {"dtype": str(at.dtype), "side": side}
    parts: dict[str, Callable[[], Any]] = {
        "unet_tflop_per_row": lambda: unet_tflop(bench),
        **{how: partial(unets, bench, how) for how in HOWS},
        "vae": lambda: decodes(bench),
        "vae_fp32": lambda: decodes(bench, upcast=True),
        "determinism": lambda: determinism(bench),
        "policies": lambda: policies(bench, mix, compiled="compiled" not in options.skip),
    }
    for part, run in parts.items():
        if part not in options.skip and (model.is_timed or part == "policies"):
            begin = time.perf_counter()
            found[part] = _tried(run)
            print(f"{name}: {part} in {time.perf_counter() - begin:.0f} s", flush=True)
            if at.device.type == "cuda":
                torch.cuda.empty_cache()
    return found


def _tried(run: Callable[[], Any]) -> Any:
    """Its result, or its error as text, so that the other parts still run."""
    try:
        return run()
    except Exception as error:  # compilers and drivers raise anything
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"[:300]}


def costs(models: Mapping[str, Result]) -> Result:
    """Tables for benchmarks.simulate, from the fastest way each model was run."""
    tables: Result = {}
    for name, found in models.items():
        for how in HOWS:
            seconds, pictures = found.get(how, {}), found.get("vae", {})
            if "failed" in seconds or "failed" in pictures or len(seconds) < 2 or not pictures:
                continue
            call_s, row_s = fit({int(rows): s for rows, s in seconds.items()})
            best = min(s / int(count) for count, s in pictures.items())
            tables[f"{name} {how}"] = {
                "call_s": call_s, "row_s": row_s, "side": found["side"], "picture_s": best,
            }  # fmt: skip
    return tables


def main() -> None:
    """Measure the chosen models; write the JSON after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gpu.json"))
    parser.add_argument("--only", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--skip", nargs="*", choices=PARTS, default=[])
    parser.add_argument("--seconds", type=float, default=60.0, help="for each part at most, about")
    parser.add_argument("--dry-run", action="store_true", help="tiny models on the CPU")
    options = parser.parse_args()
    if options.dry_run:
        torch.set_num_threads(1)  # several would wait for each other on models this small
    device = "cpu" if options.dry_run else torch.cuda.get_device_name()
    run: Result = {"kind": "gpu", "device": device, "torch": torch.__version__, "measured": {}}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        run["matmul_tflops"] = matmul_tflops(dry=options.dry_run)
        run["measured"][name] = measure(name, MODELS[name], options)
        run["models"] = costs(run["measured"])
        options.out.write_text(json.dumps(run, indent=1))


if __name__ == "__main__":
    main()

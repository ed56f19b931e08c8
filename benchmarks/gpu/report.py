"""The tables of a GPU run."""

import math
from collections.abc import Mapping
from typing import Any, Final

from benchmarks.tables import number, table

Run = Mapping[str, Any]
_WAYS: Final = ("eager", "graphs", "compiled", "package")


def gpu(run: Run) -> list[str]:
    """The results of `python -m benchmarks.gpu`, in lines; empty where not measured."""
    peak = run["matmul_tflops"]
    lines = [f"{run['device']}, torch {run['torch']}; a large matmul does {peak:.0f} TFLOP/s.", ""]
    for name, found in run["measured"].items():
        ways = {how: found[how] for how in _WAYS if _is_measured(found.get(how))}
        counts = sorted({int(rows) for seconds in ways.values() for rows in seconds})
        tflop = found.get("unet_tflop_per_row", math.nan)
        rows = [
            [f"UNet, {how}", *(_call(seconds.get(str(n)), n * tflop, peak) for n in counts)]
            for how, seconds in ways.items()
        ]
        if rows:
            lines += [
                f"{name}, {found['dtype']}, {found['side']}²: ms (TFLOP/s, share of matmul)",
                "",
            ]
            lines += table(["rows", *map(str, counts)], rows)
        decodes = {how: found[how] for how in ("vae", "vae_fp32") if _is_measured(found.get(how))}
        if decodes:
            images = list(decodes["vae"] if "vae" in decodes else decodes["vae_fp32"])
            rows = [
                [how, *(number(1e3 * took.get(n, math.nan) / int(n), 1) for n in images)]
                for how, took in decodes.items()
            ]
            lines += table(["ms per picture, decoded at once", *images], rows)
        if _is_measured(found.get("policies")):
            served = found["policies"]
            stock = served.get("stock, one at a time", math.nan)
            rows = [[how, number(n), number(n / stock)] for how, n in served.items()]
            lines += table([f"{name}: mixed trace", "images/s", "over stock"], rows)
    return lines


def _is_measured(found: Any) -> bool:
    return bool(found) and "failed" not in found


def _call(seconds: float | None, tflop: float, peak: float) -> str:
    if seconds is None:
        return ""
    return f"{1e3 * seconds:.1f} ({tflop / seconds:.0f}, {100 * tflop / seconds / peak:.0f} %)"

"""The tables of a run, in Markdown.

python -m benchmarks.report RESULT.json [--into docs/performance.md]
"""

import argparse
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.goals import goals, row_cost_limit
from benchmarks.gpu.report import gpu
from benchmarks.loras.goals import report as loras
from benchmarks.modes.goals import report as modes
from benchmarks.real_size.report import real_size
from benchmarks.tables import number, share, table

Run = Mapping[str, Any]
BEGIN: Final = "<!-- {name}: written by benchmarks.report -->"
END: Final = "<!-- end of {name} -->"


def report(run: Run) -> list[str]:
    """The results of `make bench`, in lines."""
    return [
        f"{run['at']}, {run['machine']}, torch {run['torch']} with {run['threads']} threads, "
        f"all in {run['dtype']}, commit {run['commit']}, {run['took_s'] / 60:.1f} minutes.",
        "",
        *_closed(run),
        *_goodput(run),
        *_single(run),
        *_unet(run),
        *_goals(run),
    ]


def simulation(run: Run) -> list[str]:
    """The results of `make simulate`, in lines."""
    rows = [
        [
            f"{model}, {trace}",
            *(
                f"{found[policy]['throughput']:.2f} / {found[policy]['goodput']:.2f}"
                for policy in ("serial", "dynamic", "step-level")
            ),
        ]
        for model, traces in run["models"].items()
        for trace, found in traces.items()
    ]
    return [
        f"Closed loop of {run['callers']} / goodput with 99 % within {run['patience']:g} times "
        f"solo, over serial at full load; {run['requests']} requests, costs of {run['costs']}:",
        "",
        *table(["model, trace", "serial", "dynamic, best cap", "step-level"], rows),
    ]


def _closed(run: Run) -> Iterable[str]:
    yield f"Closed loop of {run['callers']} callers:"
    yield ""
    head = ["trace, contender", "images/s", "ms per image-step", "over stock", "p50 s", "p99 s"]
    head += ["wait p50/p99, steps", "rows per step", "padding"]
    rows = []
    for trace, cells in run["closed"].items():
        for name, cell in cells.items():
            stock = cells.get("stock", {}).get("image_steps_per_s", math.nan)
            rows.append(
                [
                    f"{trace}: {name}",
                    number(cell["images_per_s"]),
                    number(1e3 / cell["image_steps_per_s"], 1),
                    number(cell["image_steps_per_s"] / stock),
                    _latency(cell, "p50_s"),
                    _latency(cell, "p99_s"),
                    _wait(cell),
                    number(cell.get("rows_per_step", math.nan), 1),
                    share(cell.get("padding_share", math.nan)),
                ]
            )
    yield from table(head, rows)


def _goodput(run: Run) -> Iterable[str]:
    yield (
        f"Poisson arrivals, trace steps. Goodput is the highest rate with 99 % there within "
        f"{run['patience']:g} times the stock pipeline's time for the same picture alone; rates "
        f"from 0.2 to 1.2 of {run['capacity']:.2f} images/s, the engine's in the closed loop:"
    )
    yield ""
    rows = []
    for name, found in run["goodput"].items():
        for tried in found["tried"]:
            rows.append(
                [
                    f"{name} at {tried['rate_per_s'] / run['capacity']:.2f}",
                    number(tried["rate_per_s"]),
                    f"{tried['late']} of {tried['requests']}",
                    _latency(tried, "p50_s"),
                    _latency(tried, "p99_s"),
                    _wait(tried),
                ]
            )
        bound = "≥ " if found["is_bound"] else ""
        rows.append(
            [f"**{name}: goodput**", f"**{bound}{found['images_per_s']:.2f}**", "", "", "", ""]
        )
    head = ["contender, share of capacity", "arrivals/s", "late", "p50 s", "p99 s"]
    yield from table([*head, "wait p50/p99, steps"], rows)


def _single(run: Run) -> Iterable[str]:
    yield "A single request, seconds:"
    yield ""
    steps = list(next(iter(run["single_s"].values())))
    rows = [[name, *(number(took[n], 3) for n in steps)] for name, took in run["single_s"].items()]
    yield from table(["", *(f"{n} steps" for n in steps)], rows)


def _unet(run: Run) -> Iterable[str]:
    yield (
        f"A UNet call, ms per row. From the stock pipeline's 2 rows to the engine's best is the "
        f"row-cost limit: {row_cost_limit(run):.2f} ×. Dynamic batching takes up to "
        f"{run['cap']} images."
    )
    yield ""
    sizes = list(run["unet_s"]["stock"])
    rows = [
        [name, *(number(1e3 * took[n] / int(n), 1) for n in sizes)]
        for name, took in run["unet_s"].items()
    ]
    yield from table(["rows", *sizes], rows)


def _goals(run: Run) -> Iterable[str]:
    yield "Goals:"
    yield ""
    rows = [
        [
            goal.text,
            f"{'≤' if goal.at_most else '≥'} {goal.bound:g}",
            number(goal.value),
            "met" if goal.is_met else "**not met**",
        ]
        for goal in goals(run)
    ]
    yield from table(["goal", "bound", "here", ""], rows)


def _latency(cell: Run, q: str) -> str:
    return f"{'> ' if cell[f'{q}_at_least'] else ''}{cell[q]:.2f}"


def _wait(cell: Run) -> str:
    if "wait_p50_steps" not in cell:
        return ""
    return f"{cell['wait_p50_steps']:.1f} / {cell['wait_p99_steps']:.1f}"


def write_into(page: Path, name: str, lines: Sequence[str]) -> None:
    """Replace the text between the two marks of this name. Raises ValueError without them."""
    text, begin, end = page.read_text(), BEGIN.format(name=name), END.format(name=name)
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"{page} lacks the marks of {name}.")
    before, rest = text.split(begin)
    page.write_text("\n".join([f"{before}{begin}", "", *lines, f"{end}{rest.split(end)[1]}"]))


_REPORTS: Final[dict[str, Callable[[Run], list[str]]]] = {
    "bench": report,
    "simulation": simulation,
    "gpu": gpu,
    "real_size": real_size,
    "modes": modes,
    "loras": loras,
}


def main() -> None:
    """Print the tables of a result file, or write them into a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    run = json.loads(options.result.read_text())
    lines = _REPORTS[run["kind"]](run)
    if options.into:
        write_into(options.into, run["kind"], lines)
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()

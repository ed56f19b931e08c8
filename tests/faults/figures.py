"""The measurements of the fault tests, and their table: `python -m tests.faults.figures`."""

import json
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from tests.faults.matrix import ELSEWHERE, MATRIX

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
KEPT = PAGE.with_suffix(".json")


@dataclass(slots=True)
class Figures:
    """The outcomes of tests, each with its rows of the matrix, and their measurements."""

    outcomes: dict[str, dict[str, Any]] = field(default_factory=dict)
    measured: list[dict[str, Any]] = field(default_factory=list)

    def record(self, rows: Iterable[str], test: str, outcome: str) -> None:
        """Record how a test ended."""
        self.outcomes[test] = {"rows": list(rows), "outcome": outcome}

    def write(self, file: str) -> None:
        """Merge into the file; tests that ran again replace their former results."""
        path = Path(file)
        kept = json.loads(path.read_text()) if path.exists() else {"outcomes": {}, "measured": []}
        ran = {one["test"] for one in self.measured}
        old = [one for one in kept["measured"] if one["test"] not in ran]
        merged = {
            "when": date.today().isoformat(),
            "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
            "outcomes": kept["outcomes"] | self.outcomes,
            "measured": old + self.measured,
        }
        path.write_text(json.dumps(merged, indent=1) + "\n")


@dataclass(frozen=True, slots=True)
class Figure:
    """Records the figures of one test, and which of them missed their goals."""

    figures: Figures
    test: str
    missed: list[str] = field(default_factory=list)
    load: float = field(
        default_factory=lambda: os.getloadavg()[0]
    )  # of other processes, before it begins

    def __call__(
        self,
        name: str,
        value: float,
        unit: str = "",
        *,
        at_most: float | None = None,
        at_least: float | None = None,
    ) -> None:
        """Record a figure and compare it with its goal; the test fails after all are recorded."""
        goal = f"≤ {at_most:g}" if at_most is not None else ""
        goal = f"≥ {at_least:g}" if at_least is not None else goal
        reached = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
        row = {"test": self.test, "name": name, "value": value, "unit": unit, "goal": goal}
        self.figures.measured.append(row | {"reached": reached, "load": round(self.load, 1)})
        print(f"{name}: {value:g} {unit} {goal and f'({goal})'}", flush=True)
        if not reached:
            self.missed.append(f"{name}: {value:g} {unit} ({goal})")


def main(file: Path = KEPT) -> None:
    """Write the tables between the page's two marks; the text around them is by hand."""
    results = json.loads(file.read_text())
    before, _, rest = PAGE.read_text().partition("<!-- figures -->\n")
    after = rest.partition("<!-- end -->")[2]
    PAGE.write_text(f"{before}<!-- figures -->\n{_table(results)}\n<!-- end -->{after}")


def _table(results: dict[str, Any]) -> str:
    lines = [
        f"{results['when']}, {results['machine']}. Load: the load average as each test began.",
        "",
        "| | measured | value | goal | load |",
        "|---|---|---|---|---|",
    ]
    rows_of = {test.partition("::")[2]: one["rows"] for test, one in results["outcomes"].items()}
    for one in results["measured"]:
        rows = " ".join(rows_of.get(one["test"], []))
        value = f"{_number(one['value'])} {one['unit']}"
        goal = one["goal"] if one["reached"] else f"{one['goal']}, **missed**"
        lines.append(f"| {rows} | {one['name']} | {value} | {goal} | {one['load']} |")
    lines += ["", "| | fault | required behaviour | tests |", "|---|---|---|---|"]
    for row, (fault, expected) in MATRIX.items():
        lines.append(f"| {row} | {fault} | {expected} | {_tests(row, results)} |")
    return "\n".join(lines)


def _tests(row: str, results: dict[str, Any]) -> str:
    ran = [one["outcome"] for one in results["outcomes"].values() if row in one["rows"]]
    counts = [f"{ran.count(outcome)} {outcome}" for outcome in sorted(set(ran))]
    return "; ".join(
        [", ".join(counts)] * bool(counts) + [f"`{one}`" for one in ELSEWHERE.get(row, [])]
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or value >= 1_000 else f"{value:.3g}"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

"""Markdown tables whose columns line up, so that they can be read in a terminal."""

import math
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table; all columns but the first are aligned to the right."""
    cells = [list(head), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| "
        + " | ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in cells
    ]
    rule = "|".join("-" * (width + 1) + ("-" if n == 0 else ":") for n, width in enumerate(widths))
    return [lines[0], f"|{rule}|", *lines[1:], ""]


def number(value: float, digits: int = 2) -> str:
    """The figure with so many digits; empty for NaN."""
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def share(value: float) -> str:
    """The share in percent; empty for NaN."""
    return "" if math.isnan(value) else f"{100 * value:.0f} %"

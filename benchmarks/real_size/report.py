"""The table of a real size."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from benchmarks.real_size.figures import Figures
from benchmarks.tables import number, table

_COLUMNS: Final = {
    "imports": "imports_s",
    "loaded after": "loaded_s",
    "first picture": "first_s",
    "second": "second_s",
    "after a pause": "rested_s",
    "start to first": "to_first_s",
    "peak loading, GB": "loaded_gb",
    "peak, GB": "peak_gb",
}


def real_size(run: Mapping[str, Any]) -> list[str]:
    """Medians of all starts, by contender, precision and source, in lines."""
    starts = [Figures(**one) for one in run["starts"]]
    groups: dict[tuple[str, ...], list[Figures]] = {}
    for one in starts:
        groups.setdefault((one.size, one.dtype, one.source, one.contender), []).append(one)
    rows = [[*_names(key), *_medians(each), str(len(each))] for key, each in groups.items()]
    return [
        f"{run['at']}, {run['machine']}.",
        "",
        *table(["model, precision, source: contender", *_COLUMNS, "starts"], rows),
    ]


def _names(key: Sequence[str]) -> list[str]:
    size, dtype, source, contender = key
    return [f"{size}, {dtype}, {source}: {contender}"]


def _medians(each: Sequence[Figures]) -> Iterable[str]:
    for field in _COLUMNS.values():
        values = [v for one in each if not math.isnan(v := getattr(one, field))]
        yield number(statistics.median(values), 1) if values else ""

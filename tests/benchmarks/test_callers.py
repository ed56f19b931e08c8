"""The benchmark of many callers: its bucket takes pictures, its table says what was measured."""

from benchmarks.callers.__main__ import CELLS, report
from benchmarks.callers.slow_store import slow_store
from latentry.settings import Settings
from latentry.storage import key_of, open_storage


async def test_its_bucket_takes_what_the_service_stores() -> None:
    async with slow_store(1) as bucket:
        storage = open_storage(Settings.from_env(bucket))
        for index in range(3):
            key = key_of("default", "gen_1", fence=1, index=index, suffix=".png")
            storage.put(key, b"0" * 100_000)  # raises unless it is taken


def test_its_table_has_a_row_for_each_load_and_the_medians_of_all_rounds() -> None:
    windows = {
        "new": [(1.0, 2.0), (30.0, 2.0), (20.0, 9.0)],
        "old": [(10.0, 4.0), (10.0, 4.0), (1.0, 4.0)],
    }
    cells = [
        {"storage": cell.storage, "side": cell.side, "callers": cell.callers, "windows": windows}
        for cell in CELLS
    ]
    facts = {"sides": {"new": "a", "old": "b"}, "machine": "m", "encoded": 200.0}
    lines = report({**facts, "rounds": 3, "seconds": 2.0, "cells": cells})
    rows = [line for line in lines if line.startswith("| disk") or line.startswith("| bucket")]
    assert len(rows) == len(CELLS)
    assert [cell.strip() for cell in rows[-1].split("|")[1:-1]] == [
        "bucket, 512², 64 callers", "20", "10", "2.00", "2.0", "4.0",
    ]  # fmt: skip

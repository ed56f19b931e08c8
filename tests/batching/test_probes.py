"""When larger calls are tried."""

import itertools

import pytest

from worker.batching import BatchKey, Costs, Probes

KEY = BatchKey("shapes", 16, 16, 1)


def costs_capped_at(rows: int, *, else_s: float) -> Costs:
    costs = Costs(max_rows=32, max_slowdown=100)
    for size in (2, 4, 8, 12, 16, 24, 32):
        for _ in range(2):
            costs.observe(KEY, size, 1.0 if size <= rows else else_s * (size / rows) ** 1.2)
    assert costs.cap(KEY) == rows
    return costs


def test_probes_come_soon_at_first_and_then_seldom() -> None:
    probes = Probes(costs_capped_at(8, else_s=1.0))
    at = [call for call in range(9_000) if probes.next(KEY, 8) != 8]
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert gaps == sorted(gaps)
    assert gaps[-1] == 256


def test_a_curve_measured_beside_a_noisy_neighbour_is_mended_within_a_few_pictures() -> None:
    true_s = {rows: 1 + 0.1 * rows for rows in (2, 4, 8, 12, 16, 24, 32)}
    costs = Costs(max_rows=32, max_slowdown=4)
    for rows, call_s in true_s.items():
        for _ in range(2):
            costs.observe(KEY, rows, call_s if rows <= 8 else 1.6 * call_s)
    assert costs.cap(KEY) == 8
    probes = Probes(costs)
    for _ in range(500):
        rows = probes.next(KEY, costs.cap(KEY))
        costs.observe(KEY, rows, true_s[rows])
    assert costs.cap(KEY) == 32


@pytest.mark.parametrize("else_s", [1.0, 10.0])
def test_all_probes_together_cost_little(else_s: float) -> None:
    probes = Probes(costs_capped_at(8, else_s=else_s))
    calls = [probes.next(KEY, 8) for _ in range(5_000)]
    probed = sum(rows != 8 for rows in calls)
    assert 0 < probed * (else_s * 1.5**1.2 - 1) <= 0.01 * len(calls)


def test_nothing_is_tried_where_the_largest_call_is_the_best() -> None:
    probes = Probes(costs_capped_at(32, else_s=1.0))
    assert {probes.next(KEY, 2) for _ in range(1_000)} == {2}

"""When larger calls are tried."""

import itertools
from collections.abc import Callable

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


def drawn(costs: Costs, true_s: Callable[[int], float], *, calls: int, needs: int = 0) -> list[int]:
    """The rows of so many calls that need what is best, or `needs`, and take as long as they do."""
    probes, made = Probes(costs), []
    for _ in range(calls):
        rows = probes.next(KEY, needs or costs.cap(KEY))
        costs.observe(KEY, rows, true_s(rows))
        probes.ended(KEY, rows, true_s(rows))
        made.append(rows)
    return made


def test_probes_come_soon_at_first_and_then_seldom() -> None:
    made = drawn(costs_capped_at(8, else_s=1.0), lambda rows: (rows / 8) ** 1.2, calls=9_000)
    at = [call for call, rows in enumerate(made) if rows != 8]
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert at[0] < 150
    assert gaps[-1] == 256


@pytest.mark.parametrize("noise", [1.6, 20.0, 1_000.0])
def test_a_curve_measured_under_other_load_is_corrected_within_a_few_pictures(
    noise: float,
) -> None:
    def true_s(rows: int) -> float:
        return 1 + 0.1 * rows

    costs = Costs(max_rows=32, max_slowdown=4)
    for rows in (2, 4, 8, 12, 16, 24, 32):
        for _ in range(2):
            costs.observe(KEY, rows, true_s(rows) * (1 if rows <= 4 else noise))
    assert costs.cap(KEY) < 24
    drawn(costs, true_s, calls=200)
    assert costs.cap(KEY) == 32


def test_a_neighbour_that_comes_later_and_goes_is_forgotten() -> None:
    def true_s(rows: int) -> float:
        return 1 + 0.1 * rows

    costs = costs_capped_at(32, else_s=1.0)
    drawn(costs, true_s, calls=2_000)
    drawn(costs, lambda rows: true_s(rows) * (1 if rows < 8 else 6), calls=500)
    assert costs.cap(KEY) < 8
    drawn(costs, true_s, calls=1_000)
    assert costs.cap(KEY) == 32


@pytest.mark.parametrize("else_s", [1.0, 10.0, 100.0])
def test_all_probes_together_cost_little(else_s: float) -> None:
    def true_s(rows: int) -> float:
        return 1.0 if rows <= 8 else else_s * (rows / 8) ** 1.2

    made = drawn(costs_capped_at(8, else_s=else_s), true_s, calls=5_000)
    probes_s = [true_s(rows) - rows / 8 for rows in made if rows != 8]
    in_all_s = sum(map(true_s, made))
    assert 0 < sum(probes_s) <= 0.01 * in_all_s + max(probes_s)


def test_nothing_is_tried_where_the_largest_call_is_the_best() -> None:
    made = drawn(costs_capped_at(32, else_s=1.0), lambda _: 1.0, calls=1_000)
    assert set(made) == {32}


def test_nothing_is_tried_while_calls_are_smaller_than_they_might_be() -> None:
    costs = costs_capped_at(8, else_s=1.0)
    assert set(drawn(costs, lambda _: 1.0, calls=1_000, needs=6)) == {6}


def test_a_probe_makes_nobody_wait_for_long() -> None:
    """A row more is a second more: only images that wait may fill a larger call."""

    def true_s(rows: int) -> float:
        return 4.0 + rows

    costs = Costs(max_rows=32, max_slowdown=100)
    for rows in (2, 4, 8, 12, 16):
        for _ in range(2):
            costs.observe(KEY, rows, true_s(rows) if rows == 2 else 90.0)
    probes, tried = Probes(costs), set()
    for _ in range(2_000):
        needs = costs.cap(KEY)
        assert probes.next(KEY, needs) == needs, "no row that nobody asked for"
        tried.add(needs)
        costs.observe(KEY, needs, true_s(needs))
        probes.ended(KEY, needs, true_s(needs))
    assert tried >= {2, 4, 8, 12, 16}

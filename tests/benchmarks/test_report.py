import copy
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.goals import goals, row_cost_limit
from benchmarks.report import BEGIN, END, report, write_into
from benchmarks.tables import table

MIXES = ("uniform", "steps", "full", "full, one size")


def cell(steps_per_s: float, **more: Any) -> dict[str, Any]:
    return {
        "images_per_s": steps_per_s / 25,
        "image_steps_per_s": steps_per_s,
        "row_steps_per_s": 2 * steps_per_s,
        "p50_s": 100 / steps_per_s,
        "p50_s_at_least": False,
        "p99_s": 300 / steps_per_s,
        "p99_s_at_least": False,
        **more,
    }


def goodput(images_per_s: float, **more: Any) -> dict[str, Any]:
    tried = {"rate_per_s": 0.8, "requests": 20, "late": 0, "is_good": True, **cell(20), **more}
    return {"images_per_s": images_per_s, "is_bound": False, "tried": [tried]}


@pytest.fixture
def run() -> dict[str, Any]:
    """A run that meets every goal."""
    waits = {
        "wait_p50_steps": 0.5,
        "wait_p99_steps": 9.0,
        "wait_p99_steps_with_room": 1.2,
        "requests_with_room": 12,
        "rows_per_step": 16.0,
        "padding_share": 0.0,
    }
    contenders = {
        "stock": cell(40),
        "dynamic": cell(70),
        "engine": cell(90, **waits),
        "service": cell(85, each_over_engine=[0.92, 0.94, 0.95]),
    }
    closed = {name: copy.deepcopy(contenders) for name in MIXES}
    closed["steps, strict"] = {"engine": cell(84, **waits)}
    return {
        "kind": "bench", "at": "2026-01-01", "machine": "a machine", "torch": "2", "threads": 2,
        "dtype": "float32", "commit": "abc",
        "took_s": 500.0, "callers": 16, "patience": 5.0, "cap": 8,
        "capacity": 4.0,
        "unet_s": {"stock": {"2": 0.040, "16": 0.2}, "engine": {"2": 0.036, "16": 0.128}},
        "single_s": {"stock": {"10": 0.4, "25": 1.0}, "engine": {"10": 0.4, "25": 1.0}},
        "closed": closed,
        "goodput": {
            "stock": goodput(0.8), "dynamic": goodput(1.5), "engine": goodput(3.0, **waits),
            "service": goodput(2.8),
        },
    }  # fmt: skip


def unmet(run: dict[str, Any]) -> list[str]:
    return [goal.text for goal in goals(run) if not goal.is_met]


def test_the_row_cost_limit_is_the_stock_pipelines_two_rows_over_our_best(
    run: dict[str, Any],
) -> None:
    assert row_cost_limit(run) == pytest.approx((0.040 / 2) / (0.128 / 16))


def test_a_run_that_meets_every_goal_says_so(run: dict[str, Any]) -> None:
    assert unmet(run) == []
    assert "not met" not in "\n".join(report(run))


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (("unet_s", "engine", "16"), 0.1, "share of the row-cost limit"),
        (("closed", "steps", "dynamic", "image_steps_per_s"), 83, "engine over dynamic"),
        (("goodput", "engine", "images_per_s"), 2.3, "goodput of the engine"),
        (("closed", "steps", "service", "each_over_engine"), [0.95, 0.8, 0.7], "service over"),
        (("closed", "full, one size", "engine", "row_steps_per_s"), 150, "full at one size"),
        (("closed", "steps", "engine", "wait_p99_steps_with_room"), 1.6, "closed loop"),
        (("goodput", "engine", "tried", 0, "wait_p99_steps_with_room"), 1.6, "0.2 of capacity"),
        (("closed", "steps, strict", "engine", "row_steps_per_s"), 150, "strict over fast"),
        (("closed", "full", "service", "p99_s"), 5.0, "over dynamic's, full, p99"),
    ],
)
def test_each_goal_is_computed_from_the_run(
    run: dict[str, Any], path: tuple[Any, ...], value: float, text: str
) -> None:
    place = run
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    assert any(text in missed for missed in unmet(run))
    assert "**not met**" in "\n".join(report(run))


def test_our_own_unfinished_requests_prove_nothing(run: dict[str, Any]) -> None:
    run["closed"]["steps"]["dynamic"]["p99_s_at_least"] = True
    assert unmet(run) == []
    run["closed"]["steps"]["service"]["p99_s_at_least"] = True
    assert unmet(run) == [
        "latency of the service over stock's, steps, p99",
        "latency of the service over dynamic's, steps, p99",
    ]


def test_compiled_is_measured_against_all_others(run: dict[str, Any]) -> None:
    run["closed"]["uniform"] |= {"lit": cell(80), "compiled": cell(79)}
    assert unmet(run) == [
        "the service, compiled, over lit, uniform, images/s",
        "latency of the service, compiled, over lit's, uniform, p50",
        "latency of the service, compiled, over lit's, uniform, p99",
    ]


def test_a_figure_that_could_not_be_measured_is_no_success(run: dict[str, Any]) -> None:
    run["closed"]["steps"]["engine"]["image_steps_per_s"] = float("nan")
    assert "engine over dynamic batching, trace steps" in unmet(run)


def test_a_result_survives_its_file(run: dict[str, Any]) -> None:
    assert report(json.loads(json.dumps(run))) == report(run)


def test_every_row_of_a_table_is_as_wide_as_its_head() -> None:
    lines = table(["name", "x"], [["a", "1.00"], ["much longer", "2"]])
    assert lines == [
        "| name        |    x |",
        "|-------------|-----:|",
        "| a           | 1.00 |",
        "| much longer |    2 |",
        "",
    ]


def test_tables_are_written_between_their_marks_and_nothing_else_changes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    begin, end = BEGIN.format(name="bench"), END.format(name="bench")
    page.write_text(f"before\n\n{begin}\nold\n{end}\n\nafter\n")
    for _ in range(2):  # again and again
        write_into(page, "bench", ["new", ""])
        assert page.read_text() == f"before\n\n{begin}\n\nnew\n\n{end}\n\nafter\n"


def test_a_page_without_marks_is_not_changed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing here\n")
    with pytest.raises(ValueError, match="lacks the marks"):
        write_into(page, "bench", ["new"])
    assert page.read_text() == "nothing here\n"

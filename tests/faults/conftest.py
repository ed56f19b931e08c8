"""Options and figures of the fault tests."""

import re
from collections.abc import Iterator

import pytest

from tests.faults.figures import Figure, Figures

STORM_JOBS = 2_000
FIGURES = pytest.StashKey[Figures]()


# Read only where tests/faults is named on the command line, as by `make faults`.
def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--figures", help="A JSON file to write the figures of the fault tests to.")
    parser.addoption("--storm-jobs", type=int, default=STORM_JOBS, help="Jobs of the kill storm.")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = Figures()


def also(*values: object) -> list[object]:
    """Parameters that only `make faults` tries."""
    return [pytest.param(value, marks=pytest.mark.faults) for value in values]


@pytest.fixture
def storm_jobs(request: pytest.FixtureRequest) -> int:
    """How large the storms are."""
    return int(request.config.getoption("--storm-jobs", STORM_JOBS))


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Iterator[Figure]:
    """Note a figure for the report, and hold it to its goal."""
    made = Figure(request.config.stash[FIGURES], request.node.name)
    yield made
    assert not made.missed


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    report = (yield).get_result()
    rows = re.findall(r"\bT\d+\b", getattr(item, "function", item).__doc__ or "")
    if report.when == "call" or not report.passed:
        item.config.stash[FIGURES].record(rows, item.nodeid, report.outcome)
    file = item.config.getoption("--figures", None)
    if file and report.when == "teardown":  # a run may be broken off
        item.config.stash[FIGURES].write(file)

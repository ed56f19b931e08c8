"""Several workers on one machine share its cores."""

import os

import pytest

from latentry.serve.workers import cores, threads, workers
from latentry.settings import Settings
from tests.latentry.serve.processes import read_until


@pytest.mark.parametrize(
    ("chosen", "cores", "each"),
    [
        ({"workers": 1}, 16, 0),
        ({"workers": 2}, 16, 8),
        ({"workers": 3}, 16, 5),
        ({"workers": 4}, 2, 1),
        ({"workers": 4, "threads": 6}, 16, 6),
    ],
)
def test_workers_share_the_cores_unless_their_threads_are_chosen(
    chosen: dict[str, int], cores: int, each: int
) -> None:
    assert threads(Settings(**chosen), cores) == each


def test_each_has_a_name_and_a_port_of_its_own_and_as_many_threads() -> None:
    settings = Settings(workers=2, threads=3, worker_metrics_port=9101)
    started = list(workers(settings, {"HOME": "/home"}))
    assert [one.name for one in started] == ["worker-1", "worker-2"]
    assert [one.env["LATENTRY_WORKER_METRICS_PORT"] for one in started] == ["9101", "9102"]
    assert {one.env["LATENTRY_THREADS"] for one in started} == {"3"}
    assert {one.env["HOME"] for one in started} == {"/home"}


def test_workers_share_what_their_container_may_use_of_the_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("latentry.serve.workers.cores", lambda: 16)
    monkeypatch.setattr("latentry.cpus.time_limit", lambda: 4)
    assert {one.env["LATENTRY_THREADS"] for one in workers(Settings(workers=2), {})} == {"2"}


def test_metrics_that_are_off_stay_off() -> None:
    [first, second] = workers(Settings(workers=2, worker_metrics_port=0), {})
    assert {one.env["LATENTRY_WORKER_METRICS_PORT"] for one in (first, second)} == {"0"}


def test_no_more_cores_are_counted_than_this_process_may_use() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)


def test_a_single_command_starts_all_of_them(serve) -> None:
    serving = serve(LATENTRY_WORKERS="2")
    born = {read_until(serving.lines, r"(worker-\d) *\| pid")[0][1] for _ in range(2)}
    assert born == {"worker-1", "worker-2"}
    assert serving.end()[0] == 0

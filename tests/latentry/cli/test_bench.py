"""`latentry bench`: its figures, its callers, and what it says."""

import json
import os
import threading
from itertools import count

import pytest

from latentry.cli.bench.load import NOBODY_FREE, Load
from latentry.cli.bench.report import Outcome, Report, Spread
from latentry.cli.drawing.asked import Asked
from latentry.client import Client, Retries
from latentry.contracts import JobStatus, ModelList
from tests.latentry.cli.test_cli import _send, latentry
from tests.latentry.client.conftest import job, problem
from tests.latentry.client.stub import answer, serving

__all__ = ["latentry"]


class Fast:
    """Every second job is refused; others have succeeded at once."""

    def __init__(self):
        self.numbers, self.clients = count(), set()

    async def __call__(self, scope, receive, send):
        self.clients.add(scope["client"][1])
        match scope["method"], scope["path"]:
            case "GET", "/v1/models":
                await _send(send, ModelList(data=[]))
            case "POST", _:
                await receive()
                if next(self.numbers) % 2:
                    refusal = problem(503, "queue_full")
                    await answer(send, 503, "application/problem+json", refusal.content)
                else:
                    await _send(send, job(queue_ms=250), 202)
            case _:
                await _send(send, job(queue_ms=250))


@pytest.fixture
def gateway(monkeypatch):
    stub = Fast()
    with serving(stub) as url:
        monkeypatch.setenv("LATENTRY_URL", url)
        yield stub


def test_rates_count_what_ended_while_jobs_came() -> None:
    done = [Outcome(at_s, total_s=at_s, queue_s=0.5, images=2) for at_s in (1.0, 2.0, 11.0)]
    refused = [Outcome(3.0, 0.1, error="queue_full")] * 2
    report = Report.of("closed", done + refused, 10.0)
    assert (report.succeeded, report.images, report.errors) == (3, 6, {"queue_full": 2})
    assert (report.jobs_per_s, report.images_per_s) == (0.2, 0.4)
    assert report.total_s == Spread(2.0, 11.0)
    assert list(report.lines())[-1] == "error   queue_full: 2"


def test_percentiles_are_by_nearest_rank() -> None:
    assert Spread.of(map(float, range(1, 101))) == Spread(50.0, 99.0)
    assert Spread.of([3.0]) == Spread(3.0, 3.0)
    assert str(Spread.of([])) == "nothing measured"


def test_a_closed_loop_has_a_client_for_each_caller(gateway) -> None:
    url, once = os.environ["LATENTRY_URL"], Retries(attempts=1)
    load = Load(lambda: Client(url, retries=once), [Asked("", {"prompt": "a frog"})])
    load.closed(3)
    while len(gateway.clients) < 3 or len(load.outcomes) < 6:
        assert not load.join(0.01)
    load.stop()
    assert load.join(20)
    assert (len(gateway.clients), load.callers) == (3, 3)
    assert {one.error for one in load.outcomes} == {"", "queue_full"}
    assert {one.queue_s for one in load.outcomes if not one.error} == {0.25}


@pytest.mark.parametrize(
    ("given", "name"),
    [(("-c", "3"), "closed loop of 3 callers"), (("--rate", "20"), "20 jobs/s arriving")],
)
def test_the_command_reports_what_happened(latentry, gateway, given, name) -> None:
    _, out, _ = latentry("bench", "a frog", *given, "--duration", "0.3")
    assert out.startswith(f"{name}, 0.3 s\njobs    ")
    _, out, _ = latentry("bench", "a frog", *given, "--duration", "0.1", "--json")
    assert json.loads(out).keys() == Report.__dataclass_fields__.keys()


def test_a_job_that_waited_for_a_caller_is_as_late_as_it_was_due() -> None:
    """All callers are busy with the first job: the others' times run from when they were due."""
    release, under_way = threading.Event(), threading.Event()

    class Slow:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def submit(self, _prompt, **_fields):
            under_way.set()
            assert release.wait(20)
            return job(JobStatus.QUEUED)

        def wait(self, _job):
            return job()

    load = Load(Slow, [Asked("", {"prompt": "a frog"})])
    load.arriving(rate=500.0, most=1)
    assert under_way.wait(20)
    while load._due.qsize() < 3:  # they are due, and nobody is free
        pass
    release.set()
    while len(load.outcomes) < 3:
        pass
    load.stop()
    assert load.join(20)
    assert load.callers == 1
    assert {one.error for one in load.outcomes} <= {"", NOBODY_FREE}
    assert load.outcomes[1].total_s > load.outcomes[1].at_s - load.outcomes[0].at_s


def test_a_service_that_is_away_is_said_at_once(latentry) -> None:
    code, _, err = latentry("bench", "a frog", "--url", "http://127.0.0.1:9")
    assert (code, "does not respond" in err) == (3, True)


@pytest.mark.parametrize("option", ["--duration", "--rate"])
@pytest.mark.parametrize("number", ["nan", "inf"])
def test_what_is_no_number_of_a_load_is_refused(latentry, gateway, option, number):
    code, _, err = latentry("bench", "a frog", option, number)
    assert (code, gateway.clients) == (2, set())
    assert option in err

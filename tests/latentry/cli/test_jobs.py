"""`latentry list`, `watch` and `usage` against a stub of the gateway, over real connections."""

import json
import sys
from datetime import date
from urllib.parse import parse_qsl

import pytest

from latentry.cli.terminal.progress import short
from latentry.contracts import JobList, JobStatus, Usage, UsageList
from tests.latentry.cli.test_cli import Gateway, _send, latentry
from tests.latentry.client.conftest import job
from tests.latentry.client.stub import serving

__all__ = ["latentry"]


class Listing(Gateway):
    """Two pages of jobs, one job with events, and a day of usage."""

    def __init__(self):
        super().__init__()
        self.asked = []
        self.fields = {}

    async def __call__(self, scope, receive, send):
        match scope["method"], scope["path"]:
            case "GET", "/v1/generations":
                query = parse_qsl(scope["query_string"].decode())
                self.asked.append(query)
                second = ("cursor", "c2") in query
                page = JobList(
                    data=[job(JobStatus.FAILED if second else JobStatus.SUCCEEDED, **self.fields)],
                    next_cursor=None if second else "c2",
                )
                await _send(send, page)
            case "GET", "/v1/usage":
                row = Usage(
                    day=date(2026, 11, 29), key="k1", jobs={"succeeded": 3, "failed": 0},
                    images=5, step_megapixels=1.25,
                )  # fmt: skip
                await _send(send, UsageList(data=[row]))
            case _:
                await super().__call__(scope, receive, send)


@pytest.fixture
def gateway(monkeypatch):
    stub = Listing()
    with serving(stub) as stub.url:
        monkeypatch.setenv("LATENTRY_URL", stub.url)
        yield stub


def test_list_shows_jobs_of_all_pages(latentry, gateway):
    code, out, _ = latentry("list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["job", "job-1", "job-1"]
    assert "a red circle" in out
    code, out, _ = latentry("list", "-n", "1", "--json")
    assert json.loads(out)["id"] == "job-1"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_list_never_cuts_an_id(latentry, gateway, monkeypatch, is_terminal):
    gateway.fields = {"id": "gen_" + "0123456789abcdef" * 2}
    monkeypatch.setenv("TERM", "dumb")  # 80 columns, without escapes
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    _, out, _ = latentry("list", "-n", "1")
    rows = out.splitlines()
    assert rows[1].split()[0] == gateway.fields["id"]
    assert max(map(len, rows)) <= 80 if is_terminal else len(rows) == 2


def test_no_prompt_tells_the_terminal_what_to_do(latentry, gateway):
    evil = "a \x1b]0;title\x07\x9b31m\u202ered circle"
    gateway.fields = {"request": job().request.model_copy(update={"prompt": evil})}
    _, out, _ = latentry("list", "-n", "1")
    assert "red circle" in out
    assert not set("\x1b\x07\x9b\u202e") & set(out)
    assert short(evil) == "a \ufffd]0;title\ufffd\ufffd31m\ufffdred circle"


def test_list_asks_for_what_the_options_say(latentry, gateway):
    latentry(
        *("list", "--status", "failed", "--status", "expired", "--kind", "clip", "-n", "1"),
        *("--model", "shapes", "--metadata", "user=ada", "--since", "2026-11-30"),
    )
    asked = gateway.asked[0]
    assert [value for name, value in asked if name == "status"] == ["failed", "expired"]
    assert {("kind", "clip"), ("model", "shapes"), ("metadata", "user=ada")} < set(asked)
    assert dict(asked)["since"].startswith("2026-11-30T00:00:00")
    code, _, err = latentry("list", "--metadata", "user")
    assert (code, "KEY=VALUE" in err) == (2, True)


def test_watch_prints_events_until_the_end(latentry, gateway):
    code, out, _ = latentry("watch", "job-1")
    assert code == 0
    assert out.splitlines() == [
        "queued, 2 of your jobs before it",
        "step 3 of 25",
        "succeeded",
    ]
    _, out, _ = latentry("watch", "job-1", "--json")
    assert [json.loads(line)["type"] for line in out.splitlines()] == [
        "queued", "step", "succeeded",
    ]  # fmt: skip


@pytest.mark.parametrize("end", [JobStatus.FAILED, JobStatus.CANCELED, JobStatus.EXPIRED])
def test_watch_fails_where_the_job_does(latentry, gateway, end):
    gateway.ends_as = end
    for given in ((), ("--json",)):
        code, out, _ = latentry("watch", "job-1", *given)
        assert (code, end in out.splitlines()[-1]) == (1, True)


def test_cancel_takes_several_jobs_and_fails_for_one_that_has_ended(latentry, gateway):
    gateway.ends_as = JobStatus.CANCELED
    assert latentry("cancel", "job-1", "job-1")[:2] == (0, "Job job-1 is canceled.\n" * 2)
    gateway.ends_as = JobStatus.RUNNING
    assert latentry("cancel", "job-1")[0] == 0
    gateway.ends_as = JobStatus.FAILED
    assert latentry("cancel", "job-1")[:2] == (1, "Job job-1 has failed already.\n")


def test_usage_is_a_table_by_day(latentry, gateway):
    code, out, _ = latentry("usage", "--since", "2026-11-01")
    assert code == 0
    assert out.splitlines()[1].split() == ["2026-11-29", "k1", "3", "succeeded", "5", "1.25"]

"""Whatever is sent to whichever route, the response is one that the document describes."""

import pytest
from starlette.responses import Response

from service.doors.native import models
from tests.hostile import contract
from tests.service.fake import FakeWorker

JSON = {"content-type": "application/json"}


def tried(url: str, worker: FakeWorker, *, examples: int, least: int, within_s: int) -> None:
    with worker:
        report = contract.run(url, examples=examples, within_s=within_s)
    print(f"{report.cases} cases")
    assert report.is_clean, report.said
    assert report.cases >= least, report.said


def test_every_route_keeps_its_word(url: str, worker: FakeWorker) -> None:
    tried(url, worker, examples=3, least=500, within_s=120)


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_every_route_keeps_its_word_three_thousand_times(url: str, worker: FakeWorker) -> None:
    tried(url, worker, examples=220, least=3_000, within_s=880)


@pytest.mark.fuzz
@pytest.mark.timeout(3_600)
def test_every_route_keeps_its_word_twenty_thousand_times(url: str, worker: FakeWorker) -> None:
    tried(url, worker, examples=1_600, least=20_000, within_s=3_500)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (Response('{"object": "list", "data": [], "at": "/home/me/x"}', headers=JSON), "says"),
        (Response("boom", 500), "Server error"),
        (Response('{"data": 7}', headers=JSON), "violates schema"),
    ],
    ids=["leaks", "breaks", "differs"],
)
def test_a_route_that_does_not_is_found(url, worker, monkeypatch, answer, found) -> None:
    monkeypatch.setattr(models, "json_response", lambda *_: answer)
    report = contract.run(url, examples=1, within_s=120, only="/v1/models")
    assert not report.is_clean
    assert found in report.said

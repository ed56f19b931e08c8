"""What a terminal shows of a job that is queued and drawn."""

import threading

import pytest

from latentry.cli.terminal import progress
from latentry.cli.terminal.progress import Board
from latentry.contracts import Event, EventType, JobStatus
from latentry.contracts.fields.clip import Clip
from tests.latentry.client.conftest import image, job


class Queued:
    """A client whose job leaves the queue once its place has been asked for and shown."""

    def __init__(self) -> None:
        self.asked, self.shown = 0, threading.Event()

    def get(self, _: str):
        self.asked += 1
        if self.asked > 1:
            self.shown.set()
        return job(JobStatus.QUEUED, queue_position=5)

    def events(self, _: str):
        yield Event(type=EventType.QUEUED, position=7)
        assert self.shown.wait(20)
        for index in (0, 1):
            yield Event(type=EventType.IMAGE, image=image(index))
        yield Event(type=EventType.SUCCEEDED, job=job())


@pytest.mark.parametrize("fields", [{"n": 2}, {"clip": Clip(frames=2)}])
def test_a_terminal_shows_the_place_in_the_queue_and_the_count(monkeypatch, capsys, fields) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(progress, "QUEUE_POLL_S", 0.01)
    two = job(JobStatus.QUEUED)
    two = two.model_copy(update={"request": two.request.model_copy(update=fields)})
    with Board() as board:
        assert board.follow(Queued(), two, None).done
    shown = capsys.readouterr().err
    texts = (
        "7 of your jobs before it",
        "5 of your jobs",
        "running, 1 of 2 images",
        "2 of 2 images",
    )
    places = [shown.index(text) for text in texts]
    assert places == sorted(places)


def test_what_is_no_terminal_is_shown_and_asked_nothing(capsys) -> None:
    client = Queued()
    client.shown.set()
    with Board() as board:
        board.follow(client, job(JobStatus.QUEUED), None)
    assert (client.asked, capsys.readouterr().err) == (0, "")

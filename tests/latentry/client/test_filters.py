"""What a client asks of a list, as a query."""

import time
from datetime import UTC, date, datetime

import pytest

from latentry.client.filters import parameters
from latentry.contracts import JobStatus
from latentry.errors import InvalidRequest


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_time_without_a_zone_is_local(tokyo) -> None:
    noon = datetime(2026, 11, 30, 12)
    found = parameters({"since": noon, "until": noon.replace(tzinfo=UTC)})
    assert found == {"since": "2026-11-30T12:00:00+09:00", "until": "2026-11-30T12:00:00+00:00"}


def test_several_values_repeat_their_name() -> None:
    asked = parameters(
        {"status": [JobStatus.FAILED, "expired"], "metadata": {"user": "ada", "run": "a=b"}}
    )
    assert asked == {"status": ["failed", "expired"], "metadata": ["user=ada", "run=a=b"]}


def test_the_beginning_of_all_time_is_a_time(tokyo) -> None:
    assert parameters({"since": datetime.min}) == {"since": "0001-01-01T00:00:00+00:00"}


def test_a_day_is_its_midnight(tokyo) -> None:
    assert parameters({"since": date(2026, 11, 30)}) == {"since": "2026-11-30T00:00:00+09:00"}


@pytest.mark.parametrize("wrong", [{"since": 1_767_225_600}, {"status": []}, {"model": 3}])
def test_what_chooses_nothing_does_not_list_all(wrong) -> None:
    """A program may delete what it lists."""
    with pytest.raises(InvalidRequest, match=next(iter(wrong))):
        parameters(wrong)
    assert parameters({"model": None}) == {}

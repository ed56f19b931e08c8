"""What a client asks of a list, as a query."""

import time
from datetime import UTC, datetime

import pytest

from latentry.client.filters import parameters
from latentry.contracts import JobStatus


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

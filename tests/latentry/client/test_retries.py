import math

import httpx
import pytest

from latentry.client.retries import Retries, RetryBudget
from latentry.errors import ConfigurationError

REQUEST = httpx.Request("GET", "http://latentry.test/")


def answer(status, **headers):
    return httpx.Response(status, headers=headers, request=REQUEST)


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_a_transient_error_is_retried_within_the_backoff(status):
    retries = Retries(first_s=1.0, longest_s=3.0)
    for attempt, ceiling_s in ((1, 1.0), (2, 2.0), (3, 3.0), (4, 3.0)):
        assert 0 <= retries.pause_s(attempt, answer(status)) <= ceiling_s


def test_retry_after_is_a_floor():
    pause_s = Retries(first_s=0.5).pause_s(1, answer(503, **{"Retry-After": "7"}))
    assert 7 <= pause_s <= 7.5


def test_a_retry_after_above_the_limit_is_not_waited_for():
    assert Retries().pause_s(1, answer(429, **{"Retry-After": "3600"})) is None


@pytest.mark.parametrize("status", [400, 401, 404, 409, 413, 422, 500])
def test_a_final_refusal_is_final(status):
    assert Retries().pause_s(1, answer(status)) is None


def test_attempts_are_bounded():
    error = httpx.ConnectError("refused", request=REQUEST)
    assert Retries(attempts=3).pause_s(2, error) is not None
    assert Retries(attempts=3).pause_s(3, error) is None


def test_a_url_of_an_unsupported_protocol_is_not_retried():
    assert Retries().pause_s(1, httpx.UnsupportedProtocol("ftp", request=REQUEST)) is None


def test_retries_are_bounded_over_all_calls_unless_the_service_asks_for_them():
    retries = Retries(budget=RetryBudget(reserve=2, per_call=0.5))
    lost = httpx.ConnectError("refused", request=REQUEST)
    assert [retries.pause_s(1, lost) is None for _ in range(3)] == [False, False, True]
    assert retries.pause_s(1, answer(503, **{"Retry-After": "1"})) is not None
    for _ in range(2):
        retries.budget.earn()
    assert [retries.pause_s(1, lost) is None for _ in range(2)] == [False, True]


def test_a_budget_never_saves_more_than_its_reserve():
    budget = RetryBudget(reserve=1, per_call=1.0)
    for _ in range(5):
        budget.earn()
    assert [budget.spend() for _ in range(2)] == [True, False]


def test_a_wait_for_a_job_needs_no_budget():
    retries = Retries(budget=RetryBudget(reserve=0))
    assert retries.pause_s(1, answer(502), left_s=60.0) is not None


@pytest.mark.parametrize("seconds", [math.nan, -0.1])
@pytest.mark.parametrize("name", ["first_s", "longest_s", "outage_s"])
def test_what_is_no_number_of_seconds_or_attempts_is_refused(name, seconds):
    with pytest.raises(ConfigurationError, match="0 or more seconds"):
        Retries(**{name: seconds})
    with pytest.raises(ConfigurationError, match="1 attempt"):
        Retries(attempts=0)
    assert Retries(outage_s=math.inf)

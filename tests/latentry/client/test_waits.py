"""Waiting for a job through outages, on a clock that moves as the flow says."""

import math

import httpx
import pytest

from latentry.client import ApiError, Retries, StillRunning, Unreachable
from latentry.client.api_calls import submit
from latentry.client.flows import Pause, answered, ended, generated
from latentry.contracts import GenerationRequest, JobStatus
from latentry.errors import InvalidRequest
from tests.latentry.client.conftest import BASE_URL, job, json_response, problem

RESTARTING = httpx.ConnectError("refused", request=httpx.Request("GET", BASE_URL))
RUNNING = json_response(job(JobStatus.RUNNING))
DONE = json_response(job())


class Clock:
    """Each call takes `call_s` seconds; pauses take as long as they say."""

    def __init__(self, call_s=0.01):
        self.now, self.call_s, self.calls = 0.0, call_s, []

    def __call__(self):
        return self.now

    def run(self, flow, outcome_at):
        """Play a flow; `outcome_at` gives the outcome of a call at a time."""
        outcome = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as done:
                return done.value
            if isinstance(step, Pause):
                assert step.seconds >= 0
                self.now, outcome = self.now + step.seconds, None
            else:
                self.calls.append(step)
                outcome = outcome_at(self.now)
                held_s = step.hold_s if outcome is RUNNING else 0
                self.now += self.call_s + held_s
                if isinstance(outcome, httpx.Response):
                    outcome.request = httpx.Request(step.method, BASE_URL)


@pytest.mark.parametrize("timeout_s", [120, None])
@pytest.mark.parametrize("outage", [RESTARTING, problem(503, "shutting_down"), problem(502, "x")])
def test_a_wait_outlasts_a_restart_of_the_service(timeout_s, outage):
    clock = Clock()
    flow = ended("job-1", timeout_s, Retries(), clock)
    assert clock.run(flow, lambda now: outage if now < 60 else DONE).id == "job-1"
    assert clock.now >= 60


@pytest.mark.parametrize(("timeout_s", "most_s"), [(10, 10.1), (None, 160)])
def test_a_wait_for_a_dead_service_ends_with_its_timeout_or_the_longest_outage(timeout_s, most_s):
    clock = Clock()
    with pytest.raises(Unreachable, match="refused"):
        clock.run(ended("job-1", timeout_s, Retries(), clock), lambda _: RESTARTING)
    assert (timeout_s or 120) <= clock.now <= most_s


def test_every_response_begins_the_time_of_an_outage_anew():
    clock = Clock()
    flow = ended("job-1", None, Retries(outage_s=20), clock)
    outages = [(5, 20), (30, 45), (55, 70)]

    def outcome_at(now):
        if any(begin < now < end for begin, end in outages):
            return RESTARTING
        return DONE if now > 70 else RUNNING

    assert clock.run(flow, outcome_at).status is JobStatus.SUCCEEDED


def test_a_refusal_that_is_final_ends_a_wait_at_once():
    clock = Clock()
    with pytest.raises(ApiError, match="job_not_found"):
        clock.run(ended("job-1", 120, Retries(), clock), lambda _: problem(404, "job_not_found"))
    assert len(clock.calls) == 1


@pytest.mark.parametrize("timeout_s", [0, 0.3, 1.0, 1.7, 45.2])
def test_a_wait_takes_no_longer_than_its_timeout(timeout_s):
    clock = Clock()
    with pytest.raises(StillRunning):
        clock.run(ended("job-1", timeout_s, Retries(), clock), lambda _: RUNNING)
    assert timeout_s <= clock.now <= timeout_s + 0.1
    assert all(call.hold_s <= call.within_s <= timeout_s for call in clock.calls)


def test_generating_takes_no_longer_than_its_timeout():
    clock = Clock()
    flow = generated(GenerationRequest(prompt="a"), "key", 0.3, Retries(), clock)
    with pytest.raises(StillRunning):
        clock.run(flow, lambda _: RUNNING)
    assert 0.3 <= clock.now <= 0.4


@pytest.mark.parametrize("timeout_s", [math.nan, -1, -math.inf])
async def test_what_is_no_time_to_wait_is_refused_before_anything_is_sent(caller, timeout_s):
    call = caller()
    calls = [
        *(("wait", "job-1"), ("generate", "a"), ("upscale", b"picture"), ("map", ["a"])),
        *(("wait_all", ["job-1"]), ("as_completed", ["job-1"])),
    ]
    for method, argument in calls:
        with pytest.raises(InvalidRequest, match="timeout_s: It must be 0 or more seconds"):
            await call(method, argument, timeout_s=timeout_s)
    assert call.sent == []


async def test_a_wait_of_infinity_is_one_without_a_bound(caller):
    call = caller(RESTARTING, json_response(job()))
    assert (await call("wait", "job-1", timeout_s=math.inf)).done
    assert call.sent[0].url.params["wait"] == "30"


def test_a_generation_whose_time_was_up_when_it_was_accepted_asks_no_more_than_once():
    clock = Clock(call_s=2)
    flow = generated(GenerationRequest(prompt="a"), "key", 1, Retries(), clock)
    with pytest.raises(StillRunning):
        clock.run(flow, lambda _: RUNNING)
    assert [call.method for call in clock.calls] == ["POST", "GET"]


@pytest.mark.parametrize("bound", ["start_within", "finish_within"])
def test_a_request_with_a_deadline_is_not_repeated_after_it(bound):
    clock = Clock()
    request = GenerationRequest(prompt="a", **{bound: 5})
    late = problem(503, "deadline_unreachable", **{"Retry-After": "7"})
    with pytest.raises(ApiError) as refused:
        clock.run(answered(submit(request, "key"), Retries(), clock), lambda _: late)
    assert (len(clock.calls), refused.value.retry_after_s) == (1, 7)
    busy = problem(503, "queue_full", **{"Retry-After": "2"})
    with pytest.raises(ApiError):
        clock.run(answered(submit(request, "key"), Retries(attempts=99), clock), lambda _: busy)
    assert 2 <= len(clock.calls) - 1 <= 3


def test_a_full_queue_is_tried_again_where_the_request_names_no_time():
    clock = Clock()
    request = GenerationRequest(prompt="a")
    late = problem(503, "deadline_unreachable", **{"Retry-After": "7"})
    flow = answered(submit(request, "key"), Retries(), clock)
    assert clock.run(flow, lambda now: late if now < 7 else DONE).status is JobStatus.SUCCEEDED
    assert submit(request, "key").within_s == math.inf

"""Both clients against scripted answers."""

import json
import math
from datetime import UTC, datetime

import httpx
import pytest

from latentry.client import ApiError, JobDidNotSucceed, JobList, StillRunning, Unreachable
from latentry.contracts import JobStatus, ModelList, Style, StyleList
from latentry.errors import ConfigurationError, InvalidRequest, LatentryError
from tests.latentry.client.conftest import BASE_URL, image, job, json_response, problem

REFUSED = httpx.ConnectError("connection refused", request=httpx.Request("GET", BASE_URL))


async def test_submit_sends_only_the_fields_that_were_given(caller):
    call = caller(json_response(job(JobStatus.QUEUED), 202))
    got = await call("submit", "a red circle", seed=7, sampler="DDIM", width=None)
    assert got == job(JobStatus.QUEUED)
    assert (call.sent[0].method, call.sent[0].url.path) == ("POST", "/v1/generations")
    body = {"prompt": "a red circle", "seed": 7, "sampler": "ddim"}
    assert json.loads(call.sent[0].content) == body
    assert "Prefer" not in call.sent[0].headers


async def test_a_picture_is_sent_along_and_needs_no_prompt(caller, tmp_path):
    (tmp_path / "mask.png").write_bytes(b"mask")
    call = caller(json_response(job(JobStatus.QUEUED), 202))
    await call("submit", image=b"picture", mask=tmp_path / "mask.png")
    assert json.loads(call.sent[0].content) == {
        "image": "data:application/octet-stream;base64,cGljdHVyZQ==",
        "mask": "data:application/octet-stream;base64,bWFzaw==",
    }


async def test_neither_a_prompt_nor_a_picture_is_refused_before_it_is_sent(caller):
    call = caller()
    with pytest.raises(InvalidRequest, match="prompt: Required, unless `image` is given"):
        await call("submit", seed=7)
    assert call.sent == []


async def test_a_submit_repeated_after_a_lost_response_has_the_same_key(caller):
    call = caller(REFUSED, problem(503, "queue_full"), json_response(job(JobStatus.QUEUED), 202))
    await call("submit", "a red circle")
    keys = {request.headers["Idempotency-Key"] for request in call.sent}
    assert len(call.sent) == 3
    assert len(keys) == 1


async def test_two_submits_have_two_keys_unless_the_caller_names_one(caller):
    call = caller(*[json_response(job(), 202) for _ in range(3)])
    await call("submit", "a red circle")
    await call("submit", "a red circle")
    await call("submit", "a red circle", idempotency_key="mine")
    keys = [request.headers["Idempotency-Key"] for request in call.sent]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"


async def test_generate_waits_for_the_pictures_by_holding_answers(caller):
    running = job(JobStatus.RUNNING)
    call = caller(json_response(running, 202), json_response(running), json_response(job()))
    assert await call("generate", "a red circle") == job()
    assert call.sent[0].headers["Prefer"] == "wait=30"
    assert [request.url.params.get("wait") for request in call.sent[1:]] == ["30", "30"]


async def test_generate_raises_the_job_that_did_not_succeed(caller):
    failed = job(JobStatus.FAILED, error={"code": "poison", "message": "It kills workers."})
    call = caller(json_response(failed))
    with pytest.raises(JobDidNotSucceed, match="It kills workers") as caught:
        await call("generate", "a red circle")
    assert caught.value.job == failed


async def test_wait_returns_a_failed_job(caller):
    failed = job(JobStatus.FAILED)
    assert await caller(json_response(failed))("wait", "job-1") == failed


async def test_wait_ends_with_its_timeout(caller):
    call = caller(json_response(job(JobStatus.RUNNING)))
    with pytest.raises(StillRunning) as caught:
        await call("wait", "job-1", timeout_s=0)
    assert caught.value.job.status is JobStatus.RUNNING


async def test_a_page_is_requested_by_limit_and_cursor(caller):
    page = JobList(data=[job()], next_cursor="c2")
    call = caller(json_response(page), json_response(page))
    assert await call("list", limit=1, cursor="c1") == page
    await call("list")
    assert dict(call.sent[0].url.params) == {"limit": "1", "cursor": "c1"}
    assert not call.sent[1].url.query


async def test_jobs_are_asked_for_by_what_they_are_like(caller):
    page = JobList(data=[job()], count=7)
    call = caller(json_response(page), json_response(page))
    labels, since = {"user": "ada", "run": "a=b"}, datetime(2026, 11, 30, tzinfo=UTC)
    await call("list", count=True, kind="clip", status=["queued", JobStatus.RUNNING], since=since)
    await call("list", metadata=labels, status=JobStatus.FAILED)
    first, second = (sorted(request.url.params.multi_items()) for request in call.sent)
    assert first == [
        *(("count", "true"), ("kind", "clip"), ("since", "2026-11-30T00:00:00+00:00")),
        *(("status", "queued"), ("status", "running")),
    ]
    assert second == [
        *(("metadata", "run=a=b"), ("metadata", "user=ada"), ("status", "failed")),
    ]


async def test_every_other_call_finds_its_route(caller):
    models, styles = ModelList(data=[]), StyleList(data=[Style(name="night")])
    call = caller(
        json_response(job()),
        json_response(job()),
        httpx.Response(204),
        json_response(models),
        json_response(styles),
    )
    assert await call("get", "a/b") == job()
    assert await call("cancel", "job-1") == job()
    assert await call("delete", "job-1") is None
    assert await call("models") == models
    assert await call("styles") == styles
    assert [(request.method, request.url.raw_path) for request in call.sent] == [
        ("GET", b"/v1/generations/a%2Fb"),
        ("POST", b"/v1/generations/job-1/cancel"),
        ("DELETE", b"/v1/generations/job-1"),
        ("GET", b"/v1/models"),
        ("GET", b"/v1/styles"),
    ]


async def test_a_delete_whose_response_was_lost_counts_as_done(caller):
    assert await caller(REFUSED, problem(404, "job_not_found"))("delete", "job-1") is None
    with pytest.raises(ApiError):
        await caller(problem(404, "job_not_found"))("delete", "job-1")


async def test_a_refusal_carries_the_problem(caller):
    call = caller(problem(404, "job_not_found", request_id="req_1"))
    with pytest.raises(LatentryError) as caught:
        await call("get", "nobody")
    refusal = caught.value
    assert isinstance(refusal, ApiError)
    assert (refusal.code, refusal.status, refusal.request_id) == ("job_not_found", 404, "req_1")
    assert (refusal.message, str(refusal)) == (
        "Not now.",
        "Not now. (job_not_found, request req_1)",
    )
    assert (refusal.retryable, refusal.retry_after_s) == (False, None)


@pytest.mark.parametrize(
    ("header", "least_s"), [("3600", 3600), ("Wed, 01 Jan 2125 00:00:00 GMT", 1e9)]
)
async def test_a_refusal_says_when_to_come_back(caller, header, least_s):
    call = caller(problem(429, "quota_exceeded", **{"Retry-After": header}))
    with pytest.raises(ApiError) as caught:
        await call("submit", "a red circle")
    assert caught.value.retryable
    assert caught.value.retry_after_s >= least_s
    assert len(call.sent) == 1, "it is longer than retries wait"


async def test_a_response_that_cannot_be_decoded_is_an_error_of_ours(caller):
    garbled = httpx.DecodingError("invalid gzip", request=httpx.Request("GET", BASE_URL))
    call = caller(garbled)
    with pytest.raises(LatentryError, match="invalid gzip"):
        await call("models")


async def test_attempts_run_out_with_the_last_refusal(caller):
    call = caller(*[problem(503, "queue_full") for _ in range(4)])
    with pytest.raises(ApiError, match="Not now"):
        await call("get", "job-1")
    assert len(call.sent) == 4


async def test_an_unreachable_service_is_reported_with_its_address(caller):
    with pytest.raises(Unreachable, match=r"http://latentry\.test/ does not respond") as caught:
        await caller(*[REFUSED] * 4)("get", "job-1")
    assert "refused" in str(caught.value)


@pytest.mark.parametrize("status", [200, 500])
async def test_a_response_of_another_service_is_an_api_error(caller, status):
    with pytest.raises(ApiError) as caught:
        await caller(httpx.Response(status, html="<p>hello</p>"))("models")
    assert caught.value.code == f"http_{status}"


async def test_the_key_is_sent_only_to_the_service(caller):
    script = [json_response(job()), *[httpx.Response(200, content=b"png") for _ in range(3)]]
    call = caller(*script, api_key="secret")
    await call("get", "job-1")
    assert await call("download", image()) == b"png"
    await call("download", image(url="https://bucket.test/a.png?signature=x"))
    await call("download", "http://latentry.test:81/a.png")
    assert [request.headers.get("Authorization") for request in call.sent] == [
        "Bearer secret",
        "Bearer secret",
        None,
        None,
    ]


async def test_an_invalid_request_is_refused_before_it_is_sent(caller):
    call = caller()
    with pytest.raises(InvalidRequest, match=r"width: .*multiple of 8"):
        await call("generate", "a red circle", width=129)
    with pytest.raises(InvalidRequest, match="colour: "):
        await call("submit", "a red circle", colour="red")
    with pytest.raises(InvalidRequest, match=r"steps: .*did you mean num_inference_steps") as wrong:
        await call("submit", "a red circle", steps=5, seed=-1)
    assert wrong.value.fields.keys() == {"/steps", "/seed"}
    assert call.sent == []


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "", "http://", "http://a:b"])
def test_an_invalid_base_url_is_refused(caller, url):
    with pytest.raises(ConfigurationError, match="is invalid"):
        type(caller().client)(url)


@pytest.mark.parametrize(
    "url",
    [
        *("http://ada:hush@host:port", "ftp://ada:hush@host", "ada:hush@host", "http://ada:hush@"),
        *("http://ada:hu/sh@host:x", "http://ada:hu@sh@host:x"),
    ],
)
def test_a_refused_base_url_is_named_without_its_password(caller, url):
    with pytest.raises(ConfigurationError, match="is invalid") as refused:
        type(caller().client)(url)
    assert not any(word in str(refused.value) for word in ("ada", "hu", "sh"))
    assert refused.value.__context__ is None, "nor in what a traceback shows"


@pytest.mark.parametrize("key", ["ltk_…", "two words", "ltk_a\n"])
def test_a_key_that_no_header_can_have_is_refused(caller, key):
    with pytest.raises(ConfigurationError, match="API key"):
        type(caller().client)(BASE_URL, api_key=key)


@pytest.mark.parametrize("timeout_s", [math.nan, 0, -1])
def test_what_no_response_can_take_is_refused(caller, timeout_s):
    with pytest.raises(ConfigurationError, match="timeout_s must be more than 0 s"):
        caller(timeout_s=timeout_s)


async def test_a_timeout_may_be_longer_than_a_socket_has(caller):
    call = caller(json_response(job()), timeout_s=math.inf)
    await call("get", "job-1")
    assert 0 < call.sent[0].extensions["timeout"]["read"] < 2**31 / 1000


async def test_a_base_url_may_have_a_path(caller):
    call = caller(json_response(job()), base_url=f"{BASE_URL}/pictures/")
    await call("get", "job-1")
    assert call.sent[0].url.path == "/pictures/v1/generations/job-1"

"""Answers as the gateway gives them, and one way to call both clients."""

import inspect
from datetime import UTC, datetime

import httpx
import pytest

from latentry import contracts
from latentry.client import AsyncClient, Client, Image, Job, Retries
from latentry.contracts import JobStatus, JobUrls, Problem, ResolvedRequest, Sampler

BASE_URL = "http://latentry.test"


def at_once():
    """Retries without pauses, with a budget of their own."""
    return Retries(attempts=4, first_s=0.0, outage_s=0.0)


def image(index=0, url=f"{BASE_URL}/v1/files/a.png"):
    return Image(
        index=index,
        seed=7 + index,
        width=128,
        height=128,
        content_type="image/png",
        pixel_sha256="0" * 64,
        url=url,
    )


def job(status=JobStatus.SUCCEEDED, job_id="job-1", **changes):
    here = f"{BASE_URL}/v1/generations/{job_id}"
    fields = {
        "id": job_id,
        "status": status,
        "request": ResolvedRequest(
            model="shapes",
            prompt="a red circle",
            width=128,
            height=128,
            num_inference_steps=25,
            guidance_scale=4.0,
            sampler=Sampler.DDIM,
            seed=7,
        ),
        "images": [image()] if status is JobStatus.SUCCEEDED else [],
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "urls": JobUrls(self=here, events=f"{here}/events", cancel=f"{here}/cancel"),
    }
    return Job.model_validate(contracts.Job(**fields | changes).model_dump())


def json_response(model, status=200, **headers):
    return httpx.Response(
        status,
        content=model.model_dump_json(),
        headers={"Content-Type": "application/json", **headers},
    )


def problem(status, code, request_id=None, **headers):
    body = Problem(
        type="about:blank",
        title="No",
        status=status,
        detail="Not now.",
        code=code,
        request_id=request_id,
    )
    return json_response(body, status, **{"Content-Type": "application/problem+json", **headers})


class Caller:
    """A client, blocking or not, on a scripted transport that remembers what it was sent."""

    def __init__(self, kind, script, base_url=BASE_URL, **options):
        self.sent = []
        self._script = iter(script)
        transport = httpx.MockTransport(self._answer)
        self.client = kind(base_url, transport=transport, retries=at_once(), **options)

    def _answer(self, request):
        self.sent.append(request)
        answer = next(self._script)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def __call__(self, method, *args, **fields):
        result = getattr(self.client, method)(*args, **fields)
        if inspect.isawaitable(result):
            return await result
        if inspect.isasyncgen(result):
            return [event async for event in result]
        return list(result) if inspect.isgenerator(result) else result


@pytest.fixture(params=[Client, AsyncClient])
def caller(request):
    return lambda *script, **options: Caller(request.param, script, **options)

"""Clips in the SDK: the calls of both clients, and names where a new field would be missing."""

import inspect
import json

import pytest

from latentry.cli.sequences.clip import clip
from latentry.client.sequences.clips import ClipFields
from latentry.contracts import (
    ClipRequest,
    Cost,
    Estimate,
    GenerationRequest,
    JobStatus,
    SequenceOutput,
)
from latentry.errors import InvalidRequest
from tests.latentry.client.conftest import job, json_response

FIELDS = ClipRequest.model_fields.keys()
ONLY_OF_CLIPS = {"frames", "fps", "output"}


async def test_a_clip_is_submitted_where_clips_are_and_waited_for(caller):
    call = caller(json_response(job(JobStatus.RUNNING), 202), json_response(job()))
    made = await call("clip", "a red circle", frames=8, output="mp4", fps=12)
    assert made.status is JobStatus.SUCCEEDED
    first, second = call.sent
    assert (first.method, first.url.path) == ("POST", "/v1/clips")
    assert json.loads(first.content) == {
        "prompt": "a red circle", "frames": 8, "output": "mp4", "fps": 12,
    }  # fmt: skip
    assert (second.method, second.url.path) == ("GET", "/v1/generations/job-1")


async def test_a_clip_takes_what_a_picture_does_besides_its_fields(caller):
    call = caller(json_response(job()))
    await call("clip", "a red circle", idempotency_key="k", webhook="https://example.com/hook")
    assert call.sent[0].headers["Idempotency-Key"] == "k"
    assert json.loads(call.sent[0].content)["webhook"] == {"url": "https://example.com/hook"}


async def test_a_clip_may_be_submitted_alone_or_only_estimated(caller):
    estimate = Estimate(cost=Cost(step_megapixels=1.0), estimated_wait_s=0.0)
    call = caller(json_response(job(JobStatus.QUEUED), 202), json_response(estimate))
    assert (await call("submit_clip", "a red circle")).status is JobStatus.QUEUED
    assert await call("estimate_clip", "a red circle", frames=4) == estimate
    assert [request.url.path for request in call.sent] == ["/v1/clips"] * 2
    assert json.loads(call.sent[1].content)["dry_run"] is True


async def test_what_is_no_field_of_a_clip_is_refused_before_it_is_sent(caller):
    call = caller()
    with pytest.raises(InvalidRequest, match="image"):
        await call("clip", "a red circle", image="https://example.com/cat.png")
    assert not call.sent


def test_the_sdk_takes_every_field():
    assert ClipFields.__annotations__.keys() == FIELDS - {"prompt", "dry_run"}


def test_the_command_line_takes_every_field():
    options = inspect.signature(clip).parameters.keys()
    only_there = {"url", "api_key", "as_json", "webhook_event"}
    assert options - only_there == FIELDS - {"template", "output_format"}
    assert options > only_there


def test_what_a_clip_shares_with_a_picture_is_said_in_the_same_words():
    shared = FIELDS - ONLY_OF_CLIPS
    assert shared < GenerationRequest.model_fields.keys()
    for name in FIELDS:
        assert ClipRequest.model_fields[name].description, name
    for name in shared - {"prompt"}:
        one, other = (kind.model_fields[name] for kind in (ClipRequest, GenerationRequest))
        assert (one.description, one.default) == (other.description, other.default), name


def test_a_joined_name_is_sampler_and_spacing_here_too():
    asked = ClipRequest(prompt="a red circle", sampler="DPM++ 2M Karras")
    assert (asked.sampler, asked.spacing) == ("dpmpp_2m", "karras")
    picture = asked.of_frames()
    assert (picture.sampler, picture.spacing) == ("dpmpp_2m", "karras")
    assert picture.model_fields_set == {"prompt", "sampler", "spacing"}
    assert ClipRequest(prompt="a").output is SequenceOutput.WEBP

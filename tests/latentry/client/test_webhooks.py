"""Webhooks in the SDK: naming a receiver, verifying what it gets, and what was delivered."""

import json
import math
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from standardwebhooks import Webhook

from latentry import ConfigurationError, LatentryError, WebhookRefused, contracts, verify_webhook
from latentry.contracts import Delivery, DeliveryList, JobStatus, Notification
from tests.latentry.client.conftest import job, json_response

SECRET, OLDER = "whsec_c2VjcmV0IG9mIHRoZSBzaG9w", "whsec_b25lIGZyb20gYmVmb3Jl"
NOW = datetime.now(UTC)
SENT = Notification(
    type="generation.succeeded",
    timestamp=NOW,
    data=contracts.Job.model_validate(job().model_dump()),
)
BODY = SENT.model_dump_json().encode()


@pytest.fixture(autouse=True)
def now(monkeypatch):
    """The time at which this module was read: the tests may run long after that."""
    clock = SimpleNamespace(time=NOW.timestamp)
    monkeypatch.setattr("latentry.client.webhooks.time", clock)


def signed(body=BODY, at=NOW, secret=SECRET):
    """The headers, by the reference implementation."""
    return {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": Webhook(secret).sign("evt_1", at, body.decode()),
    }


@pytest.mark.parametrize("secret", [SECRET, [OLDER, SECRET], SECRET.removeprefix("whsec_")])
def test_a_notification_that_is_signed_is_read(secret):
    assert verify_webhook(BODY, signed(), secret) == SENT


def test_one_of_several_signatures_is_enough():
    headers = signed(secret=OLDER)
    headers["Webhook-Signature"] += " v1a,else " + signed()["Webhook-Signature"]
    assert verify_webhook(BODY, headers, SECRET).data.id == "job-1"


@pytest.mark.parametrize(
    ("body", "headers", "why"),
    [
        (BODY + b" ", signed(), "signature"),
        (BODY, signed(secret=OLDER), "signature"),
        (BODY, signed() | {"Webhook-Signature": "v1,ä"}, "signature"),
        (BODY, signed() | {"Webhook-Id": "evt_2"}, "signature"),
        (BODY, signed(at=datetime(2026, 1, 1, tzinfo=UTC)), "s off"),
        (BODY, signed() | {"Webhook-Timestamp": "now"}, "not a number"),
        (BODY, {}, "webhook-id is missing"),
        (b"{}", signed(b"{}"), "no notification"),
    ],
)
def test_what_is_not_from_the_service_is_refused(body, headers, why):
    with pytest.raises(WebhookRefused, match=why) as refused:
        verify_webhook(body, headers, SECRET)
    assert isinstance(refused.value, LatentryError)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_ä", "no base64!"])
def test_a_secret_that_is_none_is_named(secret):
    with pytest.raises(ConfigurationError, match="whsec_…"):
        verify_webhook(BODY, signed(), secret)


@pytest.mark.parametrize("tolerance_s", [math.nan, -1])
def test_a_tolerance_that_would_let_every_age_pass_or_none_is_refused(tolerance_s):
    long_ago = signed(at=NOW - timedelta(days=1))
    with pytest.raises(ConfigurationError, match="tolerance_s"):
        verify_webhook(BODY, long_ago, SECRET, tolerance_s=tolerance_s)
    assert verify_webhook(BODY, long_ago, SECRET, tolerance_s=math.inf) == SENT


async def test_a_receiver_may_be_named_by_its_url_alone(caller):
    call = caller(json_response(job(JobStatus.QUEUED), 202))
    await call("submit", "a frog", webhook="https://shop.example/hook")
    assert json.loads(call.sent[0].content)["webhook"] == {"url": "https://shop.example/hook"}


async def test_deliveries_are_listed_and_sent_again(caller):
    delivery = Delivery(id="evt_1", event="succeeded", status="exhausted", created_at=NOW)
    call = caller(json_response(DeliveryList(data=[delivery])), json_response(delivery, 202))
    assert [found.id for found in await call("deliveries", "job-1")] == ["evt_1"]
    assert await call("redeliver", job(), "evt/1") == delivery
    assert [(request.method, request.url.raw_path) for request in call.sent] == [
        ("GET", b"/v1/generations/job-1/deliveries"),
        ("POST", b"/v1/generations/job-1/deliveries/evt%2F1/redeliver"),
    ]

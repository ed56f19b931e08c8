"""A tenant's users take turns, whichever door their jobs come through."""

import pytest
from structlog.testing import capture_logs

from latentry.ledger import JobRecord, Ledger, commands
from tests.hostile.pictures import encoded
from tests.service.doors.openai.test_edits import data_url
from tests.service.fake import FakeWorker

PHOTO = data_url(encoded("PNG", size=(128, 128)))
NAME = "ann@example.com"


def records(ledger: Ledger) -> list[JobRecord]:
    """All jobs, the newest first."""
    found = ledger.run(commands.list_jobs("default", below=None, limit=1_000))
    return [one for one in found if one]


def whose(ledger: Ledger) -> str | None:
    """What the ledger calls the user of the newest job."""
    return ledger.client.hget(f"{ledger.root}:job:{records(ledger)[0].ref}", "user")


async def test_one_user_s_many_jobs_keep_no_other_of_openai_s_waiting(
    client, worker: FakeWorker, ledger: Ledger
) -> None:
    flood = [{"prompt": "a", "user": "flood"}] * 50
    for _ in range(4):
        answer = await client.post("/v1/generations:batch", json={"requests": flood})
        assert {item["status"] for item in answer.json()["data"]} == {202}
    with worker:
        answer = await client.post("/v1/images/generations", json={"prompt": "b", "user": "guest"})
    assert answer.status_code == 200, answer.text
    guest, *others = records(ledger)
    assert guest.request.metadata == {"user": "guest"}, "jobs are found by it"
    assert guest.started_ms is not None
    before = [
        other
        for other in others
        if other.started_ms and guest.created_ms < other.started_ms < guest.started_ms
    ]
    assert len(before) <= 8, "one claim of the worker's, which was under way"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/generations", {"prompt": "a"}),
        ("/v1/interpolations", {"from": {"prompt": "a"}, "to": {"prompt": "b"}, "frames": 2}),
        ("/v1/images/edits", {"prompt": "a", "images": [{"image_url": PHOTO}]}),
        ("/replicate/v1/models/any/shapes/predictions", {"input": {"prompt": "a"}}),
        ("/hf/shapes", {"inputs": "a", "parameters": {}}),
    ],
)
async def test_every_door_knows_users(
    client, worker: FakeWorker, ledger: Ledger, path: str, body: dict
) -> None:
    await client.post("/v1/generations", json={"prompt": "a", "user": NAME})
    expected = whose(ledger)
    assert expected
    fields = body.get("input", body.get("parameters", body))
    with worker, capture_logs() as logs:
        for user, known in ((NAME, expected), ("", None), (None, None)):
            fields["user"] = user
            answer = await client.post(path, json=body)
            assert answer.status_code < 300, answer.text
            assert whose(ledger) == known
    assert logs
    assert NAME not in str(logs)


async def test_a_name_of_any_characters_is_a_user_and_too_long_a_one_is_refused(
    client, worker: FakeWorker, ledger: Ledger
) -> None:
    for name in ("a:b {x}", "-", "\0", "ä" * 512):
        answer = await client.post("/v1/generations", json={"prompt": "a", "user": name})
        assert answer.status_code == 202, answer.text
        assert len(whose(ledger) or "") == 32
    for wrong in ("a" * 513, 7, ["a"]):
        answer = await client.post("/v1/generations", json={"prompt": "a", "user": wrong})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/user"]

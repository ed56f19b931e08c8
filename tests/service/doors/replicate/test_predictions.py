"""Predictions as Replicate's API has them: states, outputs, errors, and whose they are."""

import asyncio
import base64
from typing import Any

import httpx
import pytest

from latentry.api_keys import Scope
from latentry.errors import EngineError
from latentry.ledger import commands
from latentry.settings import Settings
from service.app import create_app
from tests.hostile.pictures import encoded
from tests.service.fake import PICTURE, FakeWorker
from tests.service.keys import bearer, issue

PATH = "/replicate/v1/predictions"
BODY = {"version": "latentry/shapes", "input": {"prompt": "a"}}
WAIT = {"Prefer": "wait"}
DATA = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"
PHOTO = encoded("PNG", size=(128, 128))


async def created(client: httpx.AsyncClient, headers: dict | None = None, **inputs: Any) -> dict:
    body = BODY | {"input": BODY["input"] | inputs}
    answer = await client.post(PATH, json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def read(client: httpx.AsyncClient, id: str) -> dict:
    answer = await client.get(f"{PATH}/{id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_one_that_waits_is_answered_with_its_pictures(client, worker: FakeWorker) -> None:
    with worker:
        found = await created(client, WAIT, num_outputs=2, seed=5, scheduler="K_EULER")
    assert (found["status"], found["output"]) == ("succeeded", [DATA, DATA])
    assert (found["model"], found["version"], found["error"]) == ("latentry/shapes", "shapes", None)
    said = found["input"]
    assert (said["prompt"], said["seed"], said["num_outputs"]) == ("a", 5, 2)
    assert (said["scheduler"], said["width"]) == ("euler", 128)
    assert found["metrics"]["image_count"] == 2
    assert found["logs"] == "100%|██████████| 25/25"
    root = f"http://gateway{PATH}/{found['id']}"
    assert (found["urls"]["get"], found["urls"]["cancel"]) == (root, f"{root}/cancel")
    assert (await read(client, found["id"]))["output"] == [DATA, DATA]


async def test_it_is_starting_until_its_end_where_run_looks_and_processing_where_it_polls(
    client, worker: FakeWorker
) -> None:
    calls = asyncio.create_task(client.post(PATH, json=BODY, headers={"Prefer": "wait=2"}))
    while not (await asyncio.to_thread(worker.ledger.run, commands.list_models()))[0].waiting:
        pass
    lease = worker.claim()
    worker.step(lease, 10)
    answer = await calls
    assert (answer.status_code, answer.headers["preference-applied"]) == (201, "wait=2")
    id = answer.json()["id"]
    assert (answer.json()["status"], answer.json()["output"]) == ("starting", None)
    now = await read(client, id)
    assert (now["status"], now["output"]) == ("processing", None)
    assert now["logs"] == " 40%|████      | 10/25"
    worker.finish(lease)
    assert (await read(client, id))["status"] == "succeeded"


async def test_without_prefer_it_is_answered_at_once(client, worker: FakeWorker) -> None:
    found = await created(client)
    assert (found["status"], found["started_at"], found["metrics"]) == ("starting", None, {})
    canceled = await client.post(f"{PATH}/{found['id']}/cancel")
    assert (canceled.status_code, canceled.json()["status"]) == (200, "canceled")
    assert (await client.post(f"{PATH}/{found['id']}/cancel")).json()["status"] == "canceled"


async def test_a_failed_one_says_why(client, worker: FakeWorker) -> None:
    worker.fails_with = EngineError()
    with worker:
        found = await created(client, WAIT)
    assert (found["status"], found["output"]) == ("failed", None)
    assert found["error"] == EngineError().message


async def test_one_whose_time_is_over_is_canceled_as_cancel_after_says(
    client, worker, ledger
) -> None:
    by_header = await created(client, {"Cancel-After": "5s"})
    by_field = await created(client, start_within=1)
    assert by_header["deadline"]
    states = set()
    async with asyncio.timeout(20):
        while len(states) < 2:
            states = {(await read(client, one["id"]))["status"] for one in (by_header, by_field)}
            states -= {"starting"}
            await asyncio.sleep(0.05)
    late = await read(client, by_header["id"])
    assert (late["status"], late["error"]) == ("canceled", "The job did not finish in time.")
    assert (await read(client, by_field["id"]))["status"] == "failed"


async def test_behind_https_outputs_are_urls_that_take_a_key_along(
    settings: Settings, ledger, worker: FakeWorker
) -> None:
    key = bearer(issue(ledger, "acme"))
    app = create_app(settings.model_copy(update={"public_url": "https://gateway"}))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="https://gateway") as client,
    ):
        with worker:
            found = await created(client, WAIT | key)
        [url] = found["output"]
        assert url.startswith("https://gateway/v1/files/acme/")
        for headers in (key, {}, {"Authorization": "Bearer nonsense"}):
            assert (await client.get(url, headers=headers)).content == PICTURE
        stream = await client.get(found["urls"]["stream"])
        assert f"event: output\ndata: {url.partition('?')[0]}?" in stream.text


async def test_the_list_has_pages_and_urls(client, worker: FakeWorker, monkeypatch) -> None:
    monkeypatch.setattr("service.doors.replicate.predictions._PAGE", 2)
    with worker:
        ids = [(await created(client, WAIT))["id"] for _ in range(3)]
    first = (await client.get(PATH)).json()
    assert [one["id"] for one in first["results"]] == ids[:0:-1]
    assert first["results"][0]["output"][0].startswith("http://gateway/v1/files/")
    last = (await client.get(first["next"])).json()
    assert ([one["id"] for one in last["results"]], last["next"]) == (ids[:1], None)
    assert (await client.get(f"{PATH}?cursor=x")).status_code == 422


async def test_the_path_may_name_the_model(client, worker: FakeWorker, made) -> None:
    path = "/replicate/v1/models/whoever/{}/predictions"
    answer = await client.post(path.format("shapes"), json={"input": {"prompt": "a"}})
    assert (answer.status_code, answer.json()["model"]) == (201, "latentry/shapes")
    unknown = await client.post(path.format("sdxl"), json={"input": {"prompt": "a"}})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_model")
    other = await client.post(path.format("shapes"), json={"version": "a"} | {"input": {}})
    assert other.json()["detail"] == "- version: It names another model."


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ({}, "input.prompt"),
        ({"width": 100}, "input.width"),
        ({"width": 1024}, "input.width"),
        ({"num_outputs": 99}, "input.num_outputs"),
        ({"scheduler": "x"}, "input.scheduler"),
        ({"lora_weights": "x"}, "input.lora_weights"),
        ({"image": "http://a/b"}, "input.image"),
        ({"image": "file_" + "0" * 32}, "input.image"),
    ],
)
async def test_what_is_wrong_with_an_input_is_named(client, worker, inputs, field: str) -> None:
    given = {"prompt": "a"} | inputs if inputs else {}
    await refused(client, {"version": "shapes", "input": given}, field)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"version": None}, "version"),
        ({"input": None}, "input"),
        ({"webhook": "http://a"}, "webhook"),
        ({"webhook": "https://127.0.0.1"}, "webhook"),
        ({"webhook_completed": "https://127.0.0.1"}, "webhook_completed"),
    ],
)
async def test_what_is_wrong_with_the_request_is_named(client, worker, changed, field) -> None:
    await refused(client, BODY | changed, field)


async def refused(client: httpx.AsyncClient, body: dict, field: str) -> None:
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 422, answer.text
    said = answer.json()
    assert said["invalid_fields"][0]["field"] == field, said
    assert said["detail"].startswith(f"- {field}: ")
    assert (said["status"], said["title"]) == (422, "Input validation failed")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_what_is_ignored_is_named_in_a_header(client, worker) -> None:
    body = BODY | {"input": {"prompt": "a", "go_fast": True, "frobnicate": 1}}
    answer = await client.post(PATH, json=body)
    assert answer.headers["x-ignored-fields"] == "input.go_fast, input.frobnicate"


async def test_other_paths_have_the_same_errors(client) -> None:
    answer = await client.get("/replicate/v1/trainings")
    assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")
    assert answer.json()["detail"] == "No such path."


async def test_a_repetition_with_its_key_is_the_same_prediction(client, worker, jobs) -> None:
    same = {"Idempotency-Key": "order-1"}
    first, second = [await created(client, same) for _ in range(2)]
    assert first["id"] == second["id"]
    assert len(jobs()) == 1


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Token", "token"])
async def test_a_key_comes_by_either_scheme(client, worker, ledger, scheme: str) -> None:
    key = issue(ledger)
    headers = {"Authorization": f"{scheme} {key.text}"}
    assert (await client.post(PATH, json=BODY, headers=headers)).status_code == 201
    account = (await client.get("/replicate/v1/account", headers=headers)).json()
    assert (account["username"], account["type"]) == ("acme", "organization")
    refused = await client.get(PATH, headers={"Authorization": f"Basic {key.text}"})
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
    assert refused.headers["www-authenticate"] == "Bearer"


async def test_a_key_needs_the_scope(client, worker, ledger) -> None:
    reader = bearer(issue(ledger, scopes=frozenset({Scope.READ})))
    assert (await client.get(PATH, headers=reader)).status_code == 200
    for path in (PATH, "/replicate/v1/models/a/shapes/predictions", "/replicate/v1/files"):
        answer = await client.post(path, json=BODY, headers=reader)
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


async def test_what_is_anothers_does_not_exist(client, worker, ledger) -> None:
    acme, other = (bearer(issue(ledger, tenant)) for tenant in ("acme", "other"))
    theirs = await created(client, acme)
    form = {"files": {"content": ("a.png", PHOTO)}}
    file = (await client.post("/replicate/v1/files", headers=acme, **form)).json()
    places = [
        ("GET", f"{PATH}/ID", theirs["id"], "gen_"),
        ("POST", f"{PATH}/ID/cancel", theirs["id"], "gen_"),
        ("GET", "/replicate/v1/files/ID", file["id"], "file_"),
        ("DELETE", "/replicate/v1/files/ID", file["id"], "file_"),
    ]
    for method, path, id, prefix in places:
        answers = []
        for one in (id, prefix + "0" * 32):
            same = {"X-Request-Id": "same"}
            answer = await client.request(method, path.replace("ID", one), headers=other | same)
            answers.append((answer.status_code, answer.text))
        assert answers[0] == answers[1], path
        assert answers[0][0] == 404
    for one in (file["urls"]["get"], file["urls"]["get"][:-32] + "0" * 32):
        body = {"version": "shapes", "input": {"prompt": "a", "image": one}}
        answer = await client.post(PATH, json=body, headers=other | {"X-Request-Id": "same"})
        assert answer.status_code == 422
        assert one not in answer.text
    assert (await client.get(PATH, headers=other)).json()["results"] == []
    assert (await client.get("/replicate/v1/files", headers=other)).json()["results"] == []
    assert (await client.get(f"{PATH}/{theirs['id']}", headers=acme)).status_code == 200


async def test_a_stream_s_url_is_of_one_prediction(client, worker: FakeWorker) -> None:
    with worker:
        mine, other = [await created(client, WAIT) for _ in range(2)]
    url = mine["urls"]["stream"]
    assert (await client.get(url)).status_code == 200
    forged = url.replace(mine["id"], other["id"]), url.partition("?")[0], url + "0"
    for one in forged:
        answer = await client.get(one)
        assert (answer.status_code, answer.json()["code"]) == (403, "link_refused")
    key = url.partition("?")[2]
    assert (await client.get(f"/v1/files/stream default {mine['id']}?{key}")).status_code == 404


async def test_a_job_s_event_stream_is_replicates_to_the_letter(client, worker) -> None:
    with worker:
        found = await created(client, WAIT, num_outputs=2)
    text = (await client.get(found["urls"]["stream"])).text
    events = [block.split("\n") for block in text.strip().split("\n\n") if block[0] != ":"]
    fields = [dict(line.split(": ", 1) for line in lines) for lines in events]
    assert [(one["event"], one["data"]) for one in fields] == [
        ("output", DATA), ("output", DATA), ("done", "{}")
    ]  # fmt: skip
    assert all(one["id"] for one in fields), "their Python client leaves out events without one"


async def test_a_failed_one_s_stream_ends_with_its_error(client, worker: FakeWorker) -> None:
    worker.fails_with = EngineError()
    with worker:
        found = await created(client, WAIT)
    text = (await client.get(found["urls"]["stream"])).text
    assert f'event: error\ndata: {{"detail": "{EngineError().message}"}}' in text


async def test_large_bodies_have_the_inputs_bound(client, worker, settings: Settings) -> None:
    padding = "A" * (300 * 1024)
    image = f"data:image/png;base64,{base64.b64encode(PHOTO).decode()}"
    body = {"version": "shapes", "input": {"prompt": "a", "image": image, "padding": padding}}
    assert (await client.post(PATH, json=body)).status_code == 201
    body["input"]["padding"] = "A" * settings.max_input_body_bytes
    answer = await client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")

"""One instance a key: options, progress and interruption touch nobody else's."""

import base64
import json
from typing import Any

import pytest

from latentry.contracts import Adapter, AdapterKind, RegisteredCard
from latentry.ledger import JobRecord, Ledger, commands, instances
from latentry.ledger.accounts import NO_KEY
from latentry.ledger.instances import InstanceRef
from tests.latentry.ledger.factory import card
from tests.service.doors.automatic1111.conftest import (
    IDLE,
    PENDING,
    PROGRESS,
    TASK,
    TXT2IMG,
    basic,
    settled,
)
from tests.service.fake import FakeWorker
from tests.service.keys import bearer, issue

OPTIONS, INTERRUPT, SKIP = "/sdapi/v1/options", "/sdapi/v1/interrupt", "/sdapi/v1/skip"


@pytest.fixture
def xl(ledger: Ledger, worker: FakeWorker) -> None:
    """A second model, and a VAE and an embedding of it."""
    facts = dict(card("xl")) | {
        "adapters": tuple(
            Adapter(
                id=kind.value, kind=kind, family="", models=("xl",), sha256=f"{k}" * 64,
                autov3="2" * 12, size_bytes=10, networks=("vae",), vectors=2,
            )
            for k, kind in enumerate((AdapterKind.VAE, AdapterKind.EMBEDDING))
        )
    }  # fmt: skip
    ledger.run(commands.register_model(RegisteredCard(**facts)))


def all_jobs(ledger: Ledger, tenant: str) -> list[JobRecord]:
    return ledger.run(commands.list_jobs(tenant, below=None, limit=20))


async def test_options_are_this_key_s_alone(client, xl, keys) -> None:
    mine, others = keys[0], keys[1:]
    answer = await client.post(OPTIONS, json={"sd_model_checkpoint": "XL"}, headers=mine)
    assert (answer.status_code, answer.json()) == (200, {})
    assert (await client.get(OPTIONS, headers=mine)).json()["sd_model_checkpoint"] == "xl"
    for other in others:
        found = (await client.get(OPTIONS, headers=other)).json()
        assert found["sd_model_checkpoint"] == "shapes"


async def test_the_whole_object_may_be_sent_back(client, xl) -> None:
    """As Open WebUI does."""
    options = (await client.get(OPTIONS, headers={"authorization": ""})).json()
    assert options["sd_model_checkpoint"] == "shapes"
    titles = [model["title"] for model in (await client.get("/sdapi/v1/sd-models")).json()]
    assert titles == ["shapes", "xl"]
    sent = options | {"sd_model_checkpoint": "xl", "of_an_extension": [1], "samples_format": "webp"}
    answer = await client.post(OPTIONS, json=sent)
    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Ignored-Fields"] == "of_an_extension"
    now = (await client.get(OPTIONS)).json()
    assert now == options | {"sd_model_checkpoint": "xl", "samples_format": "webp"}


async def test_options_are_drawn_with_and_a_request_overrides_them(
    client, worker, xl, jobs
) -> None:
    async def drawn(**settings: Any) -> tuple[object, ...]:
        keep = settings.pop("keep", False)
        body = {"override_settings": settings, "override_settings_restore_afterwards": not keep}
        answer = await client.post(TXT2IMG, json=body)
        assert answer.status_code == 200, answer.text
        request = jobs()[0].request
        return request.model, request.vae and request.vae.id, request.clip_skip

    worker.queues = ["shapes", "xl"]
    worker.ledger.run(commands.heartbeat("fake", worker.queues, ttl_s=60))
    with worker:
        assert await drawn() == ("shapes", None, None)
        await client.post(OPTIONS, json={"sd_model_checkpoint": "xl", "sd_vae": "vae.safetensors"})
        assert await drawn() == ("xl", "vae", None)
        assert await drawn(CLIP_stop_at_last_layers=2, sd_vae="Automatic") == ("xl", None, 1)
        assert await drawn() == ("xl", "vae", None)
        assert await drawn(sd_vae="None", keep=True) == ("xl", None, None)
        assert await drawn() == ("xl", None, None)
        await client.post(OPTIONS, json={"sd_model_checkpoint": None})
        assert await drawn() == ("shapes", None, None)


@pytest.mark.parametrize(
    ("options", "status", "error"),
    [
        ({"sd_model_checkpoint": "dream"}, 404, "unknown_model"),
        ({"CLIP_stop_at_last_layers": 0}, 422, "invalid_request"),
        ({"samples_format": "gif"}, 422, "invalid_request"),
        ({"eta_noise_seed_delta": 31337}, 422, "unsupported_field"),
        ({"sd_vae": "x" * 300}, 422, "invalid_request"),
        ([], 422, "invalid_request"),
    ],
)
async def test_options_that_cannot_be_are_refused_and_nothing_is_set(
    client, xl, options, status, error
) -> None:
    if isinstance(options, dict):
        options = {"jpeg_quality": 5} | options
    answer = await client.post(OPTIONS, json=options)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert (await client.get(OPTIONS)).json()["jpeg_quality"] == 80


async def test_options_that_another_version_wrote_are_the_default_ones(
    client, worker, ledger
) -> None:
    ledger.client.set(f"{ledger.root}:instance:default:-", '{"jpeg_quality": "best"}')
    assert (await client.get(OPTIONS)).json()["jpeg_quality"] == 80


async def test_interrupt_stops_this_key_s_jobs_alone(client, worker, keys, drawing, ledger) -> None:
    mine, neighbour, other = keys
    posted = [drawing(mine), drawing(mine)]
    left = [drawing(neighbour), drawing(other)]
    own = bearer_of(mine)
    native = await client.post("/v1/generations", json={"prompt": "a"}, headers=own)
    await settled(client, mine, 2)
    for headers in (neighbour, other):
        await settled(client, headers, 1)
    answer = await client.post(INTERRUPT, headers=mine)
    assert (answer.status_code, answer.json()) == (200, {})
    for task in posted:
        found = await task
        assert (found.status_code, found.json()["images"]) == (200, [])
        assert json.loads(found.json()["info"])["prompt"] == "a"
    assert IDLE.items() <= (await client.get(PROGRESS, headers=mine)).json().items()
    states = [job.state for job in (*all_jobs(ledger, "acme"), *all_jobs(ledger, "other"))]
    assert sorted(states) == ["canceled", "canceled", "queued", "queued", "queued"]
    assert not any(task.done() for task in left)
    job = await client.get(f"/v1/generations/{native.json()['id']}", headers=own)
    assert job.json()["status"] == "queued"


async def test_an_interrupted_job_has_the_images_that_it_finished(client, worker, drawing) -> None:
    posted = drawing({}, batch_size=3, seed=5)
    await settled(client, {}, 1)
    lease = worker.claim()
    worker.draw(lease, 0)
    await client.post(INTERRUPT)
    worker.ledger.run(commands.release(lease))
    found = (await posted).json()
    assert len(found["images"]) == 1
    assert json.loads(found["info"])["all_seeds"] == [5]


async def test_skip_stops_the_oldest_alone(client, worker, drawing) -> None:
    first = drawing({}, force_task_id="a")
    await settled(client, {}, 1)
    second = drawing({}, force_task_id="b")
    await settled(client, {}, 2)
    answer = await client.post(SKIP)
    assert (answer.status_code, answer.json()) == (200, {})
    assert (await first).json()["images"] == []
    assert (await client.get(PENDING)).json()["tasks"] == ["b"]
    assert not second.done()
    assert (await client.post(SKIP)).status_code == 200
    assert (await client.post(SKIP)).status_code == 200, "there is nothing to skip"


async def test_a_refused_request_leaves_no_task(client, worker) -> None:
    await client.post(TXT2IMG, json={"width": 1000, "height": 1000, "force_task_id": "x"})
    answer = await client.post(TASK, json={"id_task": "x"})
    assert not answer.json()["queued"]
    assert not answer.json()["completed"]


async def test_the_key_is_the_password_or_a_bearer_token(client, worker, ledger) -> None:
    key = issue(ledger, "acme")
    colon = base64.b64encode(f"{key.text}:".encode()).decode()
    for good in (basic(key), basic(key, ""), bearer(key), {"Authorization": f"basic {colon}"}):
        assert (await client.get(OPTIONS, headers=good)).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    ["", "Basic", "Basic !", "Basic YTpi", "Basic 4pyT", "Basic //79", "Bearer x", "Digest a"],
)
async def test_without_a_good_key_nothing_is_told(
    client, worker, ledger, authorization: str
) -> None:
    issue(ledger, "acme")
    answer = await client.get(OPTIONS, headers={"authorization": authorization})
    assert (answer.status_code, answer.json()["error"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Basic"


async def test_every_route_of_the_door_wants_a_key(app, client, worker, ledger) -> None:
    issue(ledger, "acme")
    tried = 0
    for path, operations in app.openapi()["paths"].items():
        if not path.startswith(("/sdapi/", "/internal/", "/controlnet/")):
            continue
        for method in operations:
            answer = await client.request(method, path, json={})
            assert answer.status_code == 401, (method, path)
            assert set(answer.json()) == {"error", "detail", "body", "errors"}
            tried += 1
    assert tried > 35


async def test_another_tenant_s_file_is_one_that_never_was(client, worker, keys, photo) -> None:
    body = base64.b64decode(photo)
    sent = keys[0] | {"Content-Type": "image/png"}
    kept = (await client.post("/v1/files", content=body, headers=bearer_of(sent))).json()["id"]
    unknown = kept[:-32] + "0" * 32
    for path, fields in (
        ("/sdapi/v1/img2img", lambda id: {"init_images": [id]}),
        ("/sdapi/v1/img2img", lambda id: {"init_images": [photo], "mask": id}),
        ("/sdapi/v1/extra-single-image", lambda id: {"image": id}),
        ("/sdapi/v1/extra-single-image", lambda id: {"image": id, "upscaler_1": "Lanczos"}),
        ("/sdapi/v1/png-info", lambda id: {"image": id}),
        ("/sdapi/v1/interrogate", lambda id: {"image": id}),
        ("/controlnet/detect", lambda id: {"controlnet_input_images": [id]}),
        (
            "/controlnet/detect",
            lambda id: {"controlnet_input_images": [id], "controlnet_module": "canny"},
        ),
    ):
        answers = [
            await client.post(path, json=fields(id), headers=keys[2]) for id in (kept, unknown)
        ]
        assert answers[0].status_code >= 400
        assert len({(answer.status_code, answer.text) for answer in answers}) == 1, path


def bearer_of(headers: dict[str, str]) -> dict[str, str]:
    """The native door reads no passwords."""
    text = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode()
    return headers | {"Authorization": f"Bearer {text.partition(':')[2]}"}


async def test_a_key_whose_model_is_gone_can_read_its_options_and_set_another(
    client, ledger, worker
) -> None:
    whose = InstanceRef("default", NO_KEY)
    ledger.run(instances.set_options(whose, '{"sd_model_checkpoint": "gone"}'))
    answer = await client.get(OPTIONS)
    assert (answer.status_code, answer.json()["sd_model_checkpoint"]) == (200, "gone")
    changed = answer.json() | {"sd_model_checkpoint": "shapes"}
    assert (await client.post(OPTIONS, json=changed)).status_code == 200
    assert (await client.get(OPTIONS)).json()["sd_model_checkpoint"] == "shapes"


async def test_options_of_a_refused_request_do_not_stay(client, worker) -> None:
    body = {
        "override_settings": {"samples_format": "webp"},
        "override_settings_restore_afterwards": False,
        "restore_faces": True,
    }
    assert (await client.post(TXT2IMG, json=body)).status_code == 422
    assert (await client.get(OPTIONS)).json()["samples_format"] == "png"

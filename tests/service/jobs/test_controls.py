"""Pictures of controls at the gateway: files of the tenant, pinned, and refused by their place."""

import httpx
import pytest

from latentry.contracts import Adapter, AdapterKind, Job, RegisteredCard
from latentry.ledger import Ledger, commands, files
from tests.latentry.ledger.factory import card
from tests.service.fake import FakeWorker
from tests.service.jobs.test_inputs import DATA, MASK, REQUEST, refused, stored, upload

LINES = Adapter(
    id="lines", kind=AdapterKind.CONTROLNET, family="SD 1.x", models=("shapes",),
    sha256="1" * 64, autov3="2" * 12, size_bytes=10, networks=("unet",),
)  # fmt: skip


SKETCH = LINES.model_copy(
    update={"id": "sketch", "kind": AdapterKind.T2I_ADAPTER, "sha256": "3" * 64, "size_step": 16}
)


@pytest.fixture(autouse=True)
def shelf(ledger: Ledger, worker: FakeWorker) -> None:
    """A ControlNet and a T2I-Adapter on the model's card."""
    facts = dict(card("shapes")) | {"family": "SD 1.x", "adapters": (LINES, SKETCH)}
    ledger.run(commands.register_model(RegisteredCard(**facts)))


def controls(*images: str, **fields: object) -> list[dict[str, object]]:
    return [{"id": "lines", "image": one, **fields} for one in images]


async def create(client: httpx.AsyncClient, **fields: object) -> Job:
    answer = await client.post("/v1/generations", json=REQUEST | fields)
    assert answer.status_code == 202, answer.text
    return Job.model_validate_json(answer.content)


async def test_each_picture_becomes_a_file_once(client, settings) -> None:
    job = await create(client, image=DATA, controls=controls(DATA, MASK, DATA))
    first, second, third = (one.image for one in job.request.controls)
    assert first == third == job.request.image
    assert second.file != first.file
    assert (first.width, first.height) == (40, 24)
    assert len(stored(settings)) == 2


async def test_a_job_keeps_its_controls_files_until_it_ends(
    client, worker: FakeWorker, settings, ledger: Ledger, app
) -> None:
    file, retention = await upload(client), app.state.background.retention
    job = await create(client, controls=controls(file.id))
    assert (await client.delete(f"/v1/files/{file.id}")).status_code == 204
    await refused(client, "file_gone", "/controls/1/image", controls=controls(DATA, file.id))
    await retention.remove_due_files()
    assert any(file.id in str(path) for path in stored(settings)), "the job needs it"
    await client.delete(f"/v1/generations/{job.id}")
    await retention.remove_due_files()
    assert not any(file.id in str(path) for path in stored(settings))
    assert not ledger.client.keys(f"{ledger.root}:pins*")


async def test_another_tenant_s_file_is_none(client, ledger: Ledger) -> None:
    theirs = files.FileRef("other", "file_" + "1" * 32)
    new = files.NewFile(theirs, 1, "0" * 64, 8, 8)
    ledger.run(files.keep(new, ttl_ms=60_000, max_files=9, max_bytes=9))
    await refused(client, "file_gone", "/controls/0/image", controls=controls(theirs.id))


@pytest.mark.parametrize(
    ("sent", "code", "pointer"),
    [
        (controls("data:image/png;base64,AAAA"), "unsupported_image", "/controls/0/image"),
        (controls(DATA, "https://127.0.0.1/a.png"), "url_not_allowed", "/controls/1/image"),
        (controls("picture.png"), "invalid_request", "/controls/0/image"),
        (controls(DATA, start=0.5, end=0.2), "invalid_request", "/controls/0"),
        ([{"id": "other", "image": DATA}], "unknown_adapter", "/controls/0/id"),
        (
            [{"id": "sketch", "image": DATA, "mode": "guess"}],
            "unsupported_field",
            "/controls/0/mode",
        ),
    ],
)
async def test_what_is_wrong_is_said_by_its_place_and_nothing_is_kept(
    client, settings, sent: list, code: str, pointer: str
) -> None:
    await refused(client, code, pointer, controls=sent)
    assert stored(settings) == []
    assert not (await client.get("/v1/generations")).json()["data"]


async def test_a_repeated_key_with_another_picture_is_a_conflict(client, settings) -> None:
    async def sent(image: str) -> httpx.Response:
        body, headers = REQUEST | {"controls": controls(image)}, {"Idempotency-Key": "k"}
        return await client.post("/v1/generations", json=body, headers=headers)

    first, again, other = [await sent(image) for image in (DATA, DATA, MASK)]
    assert first.json()["id"] == again.json()["id"]
    assert other.json()["code"] == "idempotency_conflict"
    assert len(stored(settings)) == 1


async def test_an_interpolation_takes_none(client, settings) -> None:
    keyframe = REQUEST | {"controls": controls(DATA)}
    body = {"from": keyframe, "to": keyframe, "frames": 3}
    answer = await client.post("/v1/interpolations", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "unsupported_field")
    pointers = {one["pointer"] for one in answer.json()["errors"]}
    assert pointers == {"/from/controls", "/to/controls"}
    assert stored(settings) == []


async def test_each_control_costs_its_calls(client) -> None:
    plain = (await create(client)).cost.step_megapixels
    controlled = (await create(client, controls=controls(DATA))).cost.step_megapixels
    assert controlled == pytest.approx(1.4 * plain, rel=1e-3)
    sketched = (await create(client, controls=[{"id": "sketch", "image": DATA}])).cost
    assert sketched.step_megapixels == pytest.approx(plain), "it is called once"


async def test_a_side_that_a_t2i_adapter_cannot_be_shown_is_refused(client, settings) -> None:
    control = {"id": "sketch", "image": DATA}
    await refused(client, "unsupported_size", "/width", width=72, controls=[control])
    assert stored(settings) == []

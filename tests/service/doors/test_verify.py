"""`POST /v1/verify`, and what is kept of the marks of uploads."""

import base64
import hashlib
import io
import json
from datetime import timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from latentry.contracts import C2paState, File, Provenance
from latentry.ledger import Ledger, commands
from latentry.provenance.confined.watermark import embed
from latentry.provenance.signing.chain import Chain
from latentry.provenance.signing.signer import Signer
from latentry.settings import Settings
from latentry.storage import manifest_key, open_storage
from service.app import create_app
from tests import marks
from tests.latentry.ledger.factory import card
from tests.marks import CASES, Authority
from tests.service.fake import FakeWorker
from tests.service.keys import bearer, issue

JOB = "gen_" + "0" * 32


@pytest.fixture
def own(settings: Settings) -> Authority:
    """This service's signer."""
    return Authority.new(settings.c2pa_folder)


@pytest.fixture
def other(tmp_path: Path) -> Authority:
    return Authority.new(tmp_path / "other")


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    trusted = Authority.new(tmp_path / "trusted")
    (tmp_path / "trust.pem").write_text(trusted.root)
    return settings.model_copy(update={"c2pa_trust_file": str(tmp_path / "trust.pem")})


@pytest.fixture
async def client(own: Authority, app: FastAPI) -> httpx.AsyncClient:
    """Of a gateway that was opened after its certificate was made."""
    made = create_app(app.state.gateway.settings)
    async with made.router.lifespan_context(made):
        transport = httpx.ASGITransport(made)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as opened:
            yield opened


def data_url(file: bytes) -> str:
    return f"data:application/octet-stream;base64,{base64.b64encode(file).decode()}"


async def verified(client: httpx.AsyncClient, file: bytes, **more) -> dict:
    answer = await client.post("/v1/verify", json={"image": data_url(file)}, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_each_way_to_send_a_picture_gets_the_same_answer(client, own) -> None:
    picture = own.picture()
    by_url = await verified(client, picture)
    raw = {"Content-Type": "image/png"}
    for sent in (
        await client.post("/v1/verify", content=picture, headers=raw),
        await client.post("/v1/verify", files={"file": ("a.png", picture, "image/png")}),
    ):
        assert (sent.status_code, sent.json()) == (200, by_url)
    assert by_url["c2pa"]["state"] == "valid"
    assert by_url["made_here"] == {"verified": True, "job": None}
    assert by_url["infotext"] == marks.PROMPT
    assert by_url["watermark"] is None


@pytest.mark.parametrize("name", ["signer of another authority", "text added", "manifest cut"])
async def test_what_does_not_hold_was_not_made_here(client, own, other, name: str) -> None:
    found = await verified(client, CASES[name].made(own, other))
    assert found["c2pa"]["state"] == CASES[name].state
    assert found["made_here"] == {"verified": False, "job": None}


async def test_a_damaged_file_without_a_manifest_has_none(client, own) -> None:
    for damaged in (b"\x89PNG\r\n\x1a\n", marks.unsigned()[:40]):
        assert (await verified(client, damaged))["c2pa"] == {
            "state": "none",
            "codes": [],
            "history": [],
        }


async def test_only_a_chain_to_the_trust_list_is_trusted(client, own, tmp_path: Path) -> None:
    folder = tmp_path / "trusted"
    signer = Signer(Chain.read(folder / "chain.pem"), key=(folder / "key.pem").read_text())
    found = await verified(client, signer.signed(marks.unsigned(), "image/png", marks.definition()))
    assert found["c2pa"]["state"] == "trusted"
    assert (await verified(client, own.picture()))["c2pa"]["state"] == "valid"


async def test_the_job_is_told_to_its_tenant_alone(
    client, own, ledger: Ledger, settings: Settings
) -> None:
    ledger.run(commands.register_model(card()))
    mine, theirs = issue(ledger, "acme"), issue(ledger, "else")
    sent = await client.post("/v1/generations", json={"prompt": "a"}, headers=bearer(mine))
    job, worker = sent.json()["id"], FakeWorker(ledger, open_storage(settings))
    lease = worker.claim()
    worker.draw(lease, unsigned_sha256="ab" * 32)
    told = {"job": job, "unsigned_sha256": "ab" * 32}
    definition = marks.definition()
    definition["assertions"][1]["data"] = told
    picture = own.signer.signed(marks.unsigned(), "image/png", definition)
    for key, expected in ((mine, job), (theirs, None)):
        found = await verified(client, picture, headers=bearer(key))
        assert found["made_here"] == {"verified": True, "job": expected}
    told["unsigned_sha256"] = "cd" * 32  # another file than that job's
    picture = own.signer.signed(marks.unsigned(), "image/png", definition)
    found = await verified(client, picture, headers=bearer(mine))
    assert found["made_here"]["job"] is None


async def test_anothers_signature_proves_no_more_than_the_file_that_a_job_stored(
    client, other, ledger: Ledger, settings: Settings
) -> None:
    """Each picture of ours tells its job and hash: anybody can sign another one with them."""
    ledger.run(commands.register_model(card()))
    job = (await client.post("/v1/generations", json={"prompt": "a"})).json()["id"]
    definition = marks.definition()
    definition["assertions"][1]["data"] = {"job": job, "unsigned_sha256": "ab" * 32}
    stored, forged = (
        other.signer.signed(marks.unsigned(seed=seed), "image/png", definition) for seed in (0, 1)
    )
    digest = hashlib.sha256(stored).hexdigest()
    worker = FakeWorker(ledger, open_storage(settings))
    worker.draw(worker.claim(), unsigned_sha256="ab" * 32, signed_sha256=digest)
    assert (await verified(client, stored))["made_here"] == {"verified": True, "job": job}
    found = await verified(client, forged)
    assert found["c2pa"]["state"] == "valid"
    assert found["made_here"] == {"verified": False, "job": None}


async def test_a_watermark_is_found(client) -> None:
    file = io.BytesIO()
    Image.fromarray(embed(np.full((256, 256, 3), 99, np.uint8), 1234)).save(file, "JPEG")
    found = await verified(client, file.getvalue())
    assert found["watermark"] == {"payload": 1234}
    assert found["made_here"] == {"verified": False, "job": None}, "anybody can write one"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"image": data_url(b"<svg/>")}, 422, "unsupported_image"),
        ({"image": "file_" + "0" * 32}, 404, "file_not_found"),
        ({"image": "https://127.0.0.1/a.png"}, 422, "url_not_allowed"),
        ({"image": "http://example.com/a.png"}, 422, "invalid_request"),
        ({}, 422, "invalid_request"),
    ],
)
async def test_what_is_no_picture_is_refused(client, body, status: int, code: str) -> None:
    answer = await client.post("/v1/verify", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    "file", [b"\x89PNG\r\n\x1a\n" + b"jumbc2pa" * 50, b"\xff\xd8\xffjumbc2pa", b"RIFF\0\0\0\0WEBP"]
)
async def test_garbage_is_answered(client, file: bytes) -> None:
    assert (await verified(client, file))["c2pa"]["state"] in ("none", "invalid")


async def test_an_upload_keeps_its_manifest_and_the_state_that_it_had(
    client, own, other, settings: Settings
) -> None:
    headers = {"Content-Type": "image/png"}
    states = {}
    for name in ("untouched", "text added", "manifest taken out"):
        sent = await client.post("/v1/files", content=CASES[name].made(own, other), headers=headers)
        states[name] = File.model_validate_json(sent.content)
    assert [one.c2pa for one in states.values()] == [
        C2paState.VALID, C2paState.INVALID, C2paState.NONE,
    ]  # fmt: skip
    file = states["untouched"]
    content = await client.get(f"/v1/files/{file.id}/content")
    assert b"caBX" not in content.content, "the picture itself has none"
    answer = await client.post("/v1/verify", json={"image": file.id})
    assert answer.json()["c2pa"]["history"][0]["job"] == "gen_0"
    assert answer.json()["infotext"] == marks.PROMPT, "as it came"
    bare = await client.post("/v1/verify", json={"image": states["manifest taken out"].id})
    assert bare.json()["c2pa"] == {"state": "none", "codes": [], "history": []}
    storage = open_storage(settings)
    assert storage.get(manifest_key("default", file.id))
    assert (await client.delete(f"/v1/files/{file.id}")).status_code == 204
    assert not [
        one for one in (settings.data_dir / "images").rglob("*.c2pa") if file.id in str(one)
    ]


async def test_a_request_below_the_floor_is_refused(client, worker: FakeWorker, app) -> None:
    floor = app.state.gateway.settings.model_copy(update={"provenance": "minimal"})
    made = create_app(floor)
    transport = httpx.ASGITransport(made)
    async with (
        made.router.lifespan_context(made),
        httpx.AsyncClient(transport=transport, base_url="http://gateway") as strict,
    ):
        for opened, wanted, status in (
            (client, "none", 202), (strict, "none", 422), (strict, "minimal", 202),
        ):  # fmt: skip
            body = {"prompt": "a", "provenance": wanted}
            answer = await opened.post("/v1/generations", json=body)
            assert answer.status_code == status, answer.text
            if status == 422:
                assert answer.json()["code"] == "provenance_required"
                assert answer.json()["errors"][0]["pointer"] == "/provenance"
            dry = await opened.post("/v1/generations", json=body | {"dry_run": True})
            assert dry.status_code == (422 if status == 422 else 200)


async def test_a_key_may_require_more(client, worker: FakeWorker, ledger: Ledger) -> None:
    strict = bearer(issue(ledger, "acme", provenance=Provenance.FULL))
    loose = bearer(issue(ledger, "else"))
    for headers, status in ((strict, 422), (loose, 202)):
        body = {"prompt": "a", "provenance": "minimal"}
        answer = await client.post("/v1/generations", json=body, headers=headers)
        assert answer.status_code == status


async def test_an_expired_certificate_fails_readiness(
    client, own: Authority, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await client.get("/readyz")).status_code == 200
    late = own.signer.chain.ends + timedelta(seconds=1)
    monkeypatch.setattr("service.jobs.provenance.certificate.now", lambda: late)
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "expired on" in json.dumps(answer.json())
    made = create_app(settings.model_copy(update={"c2pa_unsigned": "allow"}))
    async with made.router.lifespan_context(made):
        transport = httpx.ASGITransport(made)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as opened:
            assert (await opened.get("/readyz")).status_code == 200

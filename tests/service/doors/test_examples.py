"""The API document's request examples are accepted as they are."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from latentry.contracts import (
    CaptionerCard,
    ClipFormat,
    Preprocess,
    PreprocessorsCard,
    UpscalerCard,
)
from latentry.ledger import commands
from service.description.operations import Operation, operations
from tests.latentry.ledger.factory import card
from tests.service.fake import FakeWorker

NAMED = {"owner": "latentry", "name": "shapes", "model": "shapes"}  # in paths
JSON, FORM = "application/json", "multipart/form-data"


@pytest.fixture
def serving(worker: FakeWorker) -> FakeWorker:
    """A worker for all kinds of jobs."""
    own = card()
    lanczos = UpscalerCard(
        id="lanczos", architecture="Lanczos", scale=8, default_scale=2, created=1_790_000_000
    )
    preprocessors = PreprocessorsCard(preprocessors=tuple(Preprocess))
    captioner = CaptionerCard(captioner="blip", side=384)
    worker.queues = ["shapes", lanczos.queue, preprocessors.queue, captioner.queue]
    worker.ledger.run(commands.heartbeat("fake", worker.queues, ttl_s=60))
    more = {"max_frames": 16, "clips": tuple(ClipFormat)}
    limits = own.limits.model_copy(update=more)
    for one in (own.model_copy(update={"limits": limits}), lanczos, preprocessors, captioner):
        worker.ledger.run(commands.register_model(one))
    return worker


def _bodies(app: FastAPI) -> list[tuple[Operation, str, Any]]:
    return [
        (one, media, content["example"])
        for one in operations(app.openapi(), app.state.doors)
        for media, content in one.body.items()
        if media in (JSON, FORM)
    ]


async def _post(client: httpx.AsyncClient, path: str, media: str, example: Any) -> httpx.Response:
    if media == JSON:
        return await client.post(path, json=example)
    return await client.post(path, files={name: (None, str(v)) for name, v in example.items()})


async def test_each_example_is_accepted_or_estimated(app, client, serving: FakeWorker) -> None:
    estimated, drawn = list[str](), list[str]()
    with serving:
        for operation, media, example in _bodies(app):
            path, fields = operation.route.path_format.format_map(NAMED), operation.fields
            if (media == FORM and operation.examines_pictures) or operation.is_upload:
                continue  # of a file's bytes
            if "requests" in fields:
                example = {"requests": [one | {"dry_run": True} for one in example["requests"]]}
            elif "dry_run" in fields and not operation.door.makes:
                example = example | {"dry_run": True}
            answer = await _post(client, path, media, example)
            assert answer.is_success, (path, media, answer.text)
            (drawn if operation.door.makes else estimated).append(path)
            for item in answer.json().get("data", []) if "requests" in fields else []:
                assert item["status"] == 200, item
    assert len(estimated) >= 6
    assert len(drawn) >= 4

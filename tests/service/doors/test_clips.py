"""`POST /v1/clips` as a client sees it: what is accepted, its cost, what is refused."""

from typing import Any

import httpx
import pytest

from latentry.contracts import ClipFormat, Job, JobKind
from latentry.ledger import commands
from latentry.provenance.recipe import clip_recipe
from tests.latentry.ledger.factory import card
from tests.service.fake import FakeWorker

PATH = "/v1/clips"
BODY: dict[str, Any] = {"prompt": "a red circle", "frames": 4}


@pytest.fixture
def moving(worker: FakeWorker) -> None:
    """A model with a motion module for eight frames."""
    changed = {"max_frames": 8, "clips": (ClipFormat.WEBP,), "max_side": 2048, "max_steps": 1000}
    limits = card().limits.model_copy(update=changed)
    defaults = card().defaults.model_copy(update={"width": 1024, "height": 1024})
    changed_card = card().model_copy(update={"limits": limits, "defaults": defaults})
    worker.ledger.run(commands.register_model(changed_card))


async def create(client: httpx.AsyncClient, **fields: object) -> Job:
    answer = await client.post(PATH, json=BODY | fields)
    assert answer.status_code == 202, answer.text
    return Job.model_validate_json(answer.content)


async def test_a_clip_costs_as_much_as_its_frames_and_one_call_more_for_its_file(
    client: httpx.AsyncClient, moving: None
) -> None:
    picture = (await client.post("/v1/generations", json={"prompt": "a red circle"})).json()
    one = picture["cost"]["step_megapixels"]
    frames = await create(client, output="frames")
    assert (frames.kind, frames.request.frames) == (JobKind.CLIP, 4)
    assert frames.cost.step_megapixels == pytest.approx(4 * one)
    megapixels = frames.request.width * frames.request.height / 1e6
    assert (await create(client)).cost.step_megapixels == pytest.approx(4 * (one + megapixels))


@pytest.mark.parametrize("output", ["frames", "webp"])
async def test_the_recipe_of_a_clip_can_be_sent_again(
    client: httpx.AsyncClient, moving: None, output: str
) -> None:
    first = await create(client, output=output, styles=None, seed=3)
    again = await client.post(
        PATH, content=clip_recipe(first.request), headers={"Content-Type": "application/json"}
    )
    assert again.status_code == 202, again.text
    assert Job.model_validate_json(again.content).request == first.request


@pytest.mark.parametrize(
    ("fields", "code", "at"),
    [
        ({"frames": 9}, "too_many_frames", ["/frames"]),
        ({"frames": 65}, "invalid_request", ["/frames"]),
        (
            {"frames": 8, "width": 2048, "height": 2048},
            "too_many_frames",
            ["/frames", "/width", "/height"],
        ),
        ({"output": "mp4"}, "unsupported_field", ["/output"]),
        ({"output": "frames", "fps": 8}, "invalid_request", ["/fps", "/output"]),
        ({"image": "file_0"}, "invalid_request", ["/image"]),
        ({"num_inference_steps": 0}, "invalid_request", ["/num_inference_steps"]),
    ],
)
async def test_what_a_clip_cannot_be_is_refused_by_name(
    client: httpx.AsyncClient,
    moving: None,
    fields: dict[str, object],
    code: str,
    at: list[str],
) -> None:
    answer = await client.post(PATH, json=BODY | fields)
    told = answer.json()
    assert (answer.status_code, told["code"]) == (422, code), answer.text
    assert [one["pointer"] for one in told["errors"]] == at


async def test_a_clip_that_is_too_dear_names_its_own_fields(
    client: httpx.AsyncClient, moving: None
) -> None:
    fields = {"frames": 8, "num_inference_steps": 1000}
    answer = await client.post(PATH, json=BODY | fields)
    assert answer.json()["code"] == "request_too_expensive", answer.text
    pointers = [one["pointer"] for one in answer.json()["errors"]]
    assert pointers == ["/frames", "/num_inference_steps", "/width", "/height"]


async def test_a_model_without_a_motion_module_draws_no_clips(
    client: httpx.AsyncClient, worker: FakeWorker
) -> None:
    answer = await client.post(PATH, json=BODY | {"output": "frames"})
    assert (answer.status_code, answer.json()["code"]) == (422, "unsupported_field")
    assert answer.json()["errors"][0]["pointer"] == "/frames"

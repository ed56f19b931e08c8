"""`POST /v1/interpolations` as a client sees it: what is accepted, its cost, what is refused."""

import base64
import io
from typing import Any

import httpx
import pytest
from PIL import Image

from latentry.contracts import (
    ClipFormat,
    Easing,
    InterpolationRequest,
    Job,
    JobKind,
    JobStatus,
    OutputKind,
    SequenceOutput,
)
from latentry.errors import RequestTooExpensive
from latentry.ledger import CatalogueEntry, commands
from latentry.provenance.recipe import interpolation_recipe
from latentry.rules.sequences.frames import files
from service.jobs.kinds.interpolations import admit_interpolation
from tests.latentry.ledger.factory import card
from tests.service.fake import FakeWorker

FROM, TO = {"prompt": "a red circle", "seed": 1}, {"prompt": "a blue star", "seed": 2}
BODY: dict[str, Any] = {"from": FROM, "to": TO, "frames": 5}
PATH = "/v1/interpolations"


def png(colour: str) -> str:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), colour).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


async def create(client: httpx.AsyncClient, **fields: object) -> Job:
    answer = await client.post(PATH, json=BODY | fields)
    assert answer.status_code == 202, answer.text
    return Job.model_validate_json(answer.content)


@pytest.fixture
def clips(ledger, worker: FakeWorker) -> FakeWorker:
    """The model's workers write WebP and GIF."""
    limits = card().limits.model_copy(update={"clips": (ClipFormat.WEBP, ClipFormat.GIF)})
    ledger.run(commands.register_model(card().model_copy(update={"limits": limits})))
    return worker


async def test_a_request_is_accepted_with_every_blank_filled(client, worker) -> None:
    answer = await client.post(PATH, json=BODY | {"metadata": {"a": "b"}, "priority": "low"})
    job = Job.model_validate_json(answer.content)
    assert (answer.status_code, job.kind) == (202, JobKind.INTERPOLATION)
    assert answer.headers["location"] == f"http://gateway/v1/generations/{job.id}"
    request = job.request
    assert (request.prompt, request.seed, request.n) == ("a red circle", 1, 5)
    assert (request.metadata, job.priority) == ({"a": "b"}, "low")
    way = request.interpolation
    assert (way.to.prompt, way.to.seed, way.easing) == ("a blue star", 2, Easing.LINEAR)
    assert way.to.guidance_scale == request.guidance_scale == card().defaults.guidance_scale
    read = await client.get(f"/v1/generations/{job.id}")
    assert Job.model_validate_json(read.content) == job


async def test_images_are_frames_and_a_clip_comes_last(client, clips: FakeWorker) -> None:
    job = await create(client, output="webp", fps=12)
    assert job.request.interpolation.output is SequenceOutput.WEBP
    lease = clips.claim()
    clips.draw(lease, 0, kind=OutputKind.CLIP, name="clip")
    for index in (2, 0, 1, 4, 3):
        clips.draw(lease, index, kind=OutputKind.FRAME)
    clips.settle(lease)
    done = Job.model_validate_json((await client.get(f"/v1/generations/{job.id}")).content)
    assert done.status is JobStatus.SUCCEEDED
    assert [image.index for image in done.images] == [0, 1, 2, 3, 4]
    kinds = [(one.kind, one.index, one.name) for one in done.outputs]
    assert kinds == [*(("frame", k, "") for k in range(5)), ("clip", 0, "clip")]


async def test_frames_are_image_events_and_a_clip_is_an_output(client, clips) -> None:
    job = await create(client, output="gif")
    lease = clips.claim()
    clips.draw(lease, 0, kind=OutputKind.FRAME)
    clips.draw(lease, 0, kind=OutputKind.CLIP, name="clip")
    clips.settle(lease)
    stream = (await client.get(f"/v1/generations/{job.id}/events")).text
    names = [line.removeprefix("event: ") for line in stream.splitlines() if "event: " in line]
    assert names == ["queued", "running", "image", "output", "succeeded"]


async def test_it_costs_its_frames_and_a_clip_one_call_more_for_each(client, clips) -> None:
    alone = (await client.post("/v1/generations", json=FROM | {"dry_run": True})).json()
    frames = (await client.post(PATH, json=BODY | {"dry_run": True})).json()
    clip = (await client.post(PATH, json=BODY | {"dry_run": True, "output": "gif"})).json()
    one, five, more = (each["cost"]["step_megapixels"] for each in (alone, frames, clip))
    megapixels = card().defaults.width * card().defaults.height / 1e6
    assert five == pytest.approx(5 * one)
    assert more == pytest.approx(5 * one + 5 * megapixels)
    assert (await client.get("/v1/generations")).json()["data"] == []


async def test_pictures_of_keyframes_become_files_that_the_job_pins(client, worker) -> None:
    first, second = png("red"), png("blue")
    job = await create(
        client,
        **{"from": FROM | {"image": first}, "via": [TO | {"image": second}]},
        to=TO | {"image": first},
    )
    named = files(job.request)
    assert list(named) == ["from/image", "via/0/image", "to/image"]
    assert named["from/image"] == named["to/image"] != named["via/0/image"]
    for file in {one.file for one in named.values()}:
        assert (await client.delete(f"/v1/files/{file}")).status_code == 204
    worker.claim()  # what they hold stays until the job ends
    gone = {"image": named["to/image"].file}
    again = await client.post(PATH, json={"from": FROM | gone, "to": TO | gone, "frames": 3})
    assert (again.status_code, again.json()["code"]) == (422, "file_gone")
    pointers = [error["pointer"] for error in again.json()["errors"]]
    assert pointers == ["/from/image", "/to/image"]


async def test_the_same_key_finds_the_same_job_and_another_body_conflicts(client, worker) -> None:
    headers = {"Idempotency-Key": "one"}
    bodies = (BODY, BODY, BODY | {"frames": 6}, BODY | {"to": TO | {"seed": 3}})
    first, same, longer, other = [
        await client.post(PATH, json=body, headers=headers) for body in bodies
    ]
    assert first.json()["id"] == same.json()["id"]
    for answer in (longer, other):
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_conflict")


async def test_a_frame_s_recipe_makes_the_same_job_again(client, clips) -> None:
    fields = {"via": [TO | {"guidance_scale": 5.5}], "easing": "ease_in", "output": "gif"}
    job = await create(client, **fields, fps=20, output_format="webp", output_quality=80)
    recipe = interpolation_recipe(job.request)
    again = await create(
        client,
        **InterpolationRequest.model_validate_json(recipe).model_dump(
            mode="json", exclude_unset=True
        ),
    )
    assert again.request == job.request


async def test_a_finished_job_s_request_is_a_keyframe(client, worker) -> None:
    alone = await client.post("/v1/generations", json=FROM)
    job = await create(client, **{"from": alone.json()["request"]})
    assert job.request.seed == 1


async def test_styles_and_wildcards_of_keyframes_are_written_out(client, worker) -> None:
    dynamic = {"prompt": "a {red|blue} {circle|star}", "prompt_syntax": "dynamic", "seed": 3}
    job = await create(client, to=dynamic)
    to = job.request.interpolation.to
    assert "{" not in to.prompt
    assert to.template.prompt == dynamic["prompt"]


WRONG: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"to": TO | {"width": 96}}, "keyframes_differ", ["/to/width"]),
    ({"to": TO | {"num_inference_steps": 3}}, "keyframes_differ", ["/to/num_inference_steps"]),
    ({"to": TO | {"sampler": "euler"}}, "keyframes_differ", ["/to/sampler"]),
    ({"to": TO | {"determinism": "strict"}}, "keyframes_differ", ["/to/determinism"]),
    ({"to": TO | {"seamless": "x"}}, "keyframes_differ", ["/to/seamless"]),
    ({"to": TO | {"guidance_stop": 0.5}}, "keyframes_differ", ["/to/guidance_stop"]),
    ({"to": TO | {"cache_interval": 2}}, "keyframes_differ", ["/to/cache_interval"]),
    ({"to": TO | {"hires": {"scale": 1.5}}}, "keyframes_differ", ["/to/hires"]),
    ({"to": TO | {"guidance_scale": 1.0}}, "keyframes_differ", ["/to/guidance_scale"]),
    ({"to": TO | {"prompt": "a AND b"}}, "keyframes_differ", ["/to/prompt"]),
    ({"via": [TO, TO | {"height": 96}]}, "keyframes_differ", ["/via/1/height"]),
    ({"to": TO | {"model": "other"}}, "unknown_model", []),
    ({"to": TO | {"n": 2}}, "unsupported_field", ["/to/n"]),
    ({"from": FROM | {"priority": "high"}}, "unsupported_field", ["/from/priority"]),
    ({"from": FROM | {"dry_run": True}}, "unsupported_field", ["/from/dry_run"]),
    (
        {"via": [TO | {"intermediates": {"every": 2}}]},
        "unsupported_field",
        ["/via/0/intermediates"],
    ),
    ({"to": TO | {"webhook": {"url": "https://a.example/"}}}, "unsupported_field", ["/to/webhook"]),
    ({"to": TO | {"output_format": "webp"}}, "unsupported_field", ["/to/output_format"]),
    ({"to": TO | {"width": 64}}, "unsupported_size", ["/to/width"]),
    ({"to": TO | {"clip_skip": 12}}, "clip_skip_too_large", ["/to/clip_skip"]),
    ({"to": TO | {"variation_seed": 3}}, "invalid_request", ["/to/variation_seed"]),
    ({"to": {"seed": 3}}, "invalid_request", ["/to/prompt"]),
    ({"to": TO | {"wdith": 64}}, "invalid_request", ["/to/wdith"]),
    ({"to": TO | {"styles": ["no such"]}}, "unknown_style", ["/to/styles/0"]),
    ({"frames": 1}, "invalid_request", ["/frames"]),
    ({"frames": 101}, "invalid_request", ["/frames"]),
    ({"frames": 2, "via": [TO]}, "invalid_request", ["/frames"]),
    ({"via": [TO] * 9}, "invalid_request", ["/via"]),
    ({"easing": "bounce"}, "invalid_request", ["/easing"]),
    ({"output": "avi"}, "invalid_request", ["/output"]),
    ({"output": "mp4"}, "unsupported_field", ["/output"]),
    ({"fps": 8}, "invalid_request", ["/fps"]),
    ({"output": "gif", "fps": 61}, "invalid_request", ["/fps"]),
    ({"output_quality": 50}, "unsupported_field", ["/output_quality"]),
    ({"from_": FROM}, "invalid_request", ["/from_"]),
    ({"to": None}, "invalid_request", ["/to"]),
    ({"via": {}}, "invalid_request", ["/via"]),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "code", "pointers"), WRONG)
async def test_what_cannot_be_done_is_refused_by_name(
    client, clips, fields, code, pointers
) -> None:
    answer = await client.post(PATH, json=BODY | fields)
    problem = answer.json()
    assert problem["code"] == code, problem
    assert answer.status_code == (404 if code == "unknown_model" else 422)
    found = [error["pointer"] for error in problem.get("errors", [])]
    assert set(pointers) <= set(found), problem
    assert (await client.get("/v1/generations")).json()["data"] == []


async def test_masks_and_mixed_starts_are_refused_by_name(client, worker) -> None:
    picture = {"image": png("red")}
    mixed = await client.post(PATH, json=BODY | {"to": TO | picture | {"strength": 1.0}})
    assert mixed.json()["code"] == "keyframes_differ"
    masked = FROM | picture | {"mask": png("white")}
    answer = await client.post(PATH, json=BODY | {"from": masked, "to": masked})
    assert answer.json()["code"] == "unsupported_field"
    pointers = [error["pointer"] for error in answer.json()["errors"]]
    assert pointers == ["/from/mask", "/to/mask"]


def test_what_costs_too_much_names_the_frames(settings) -> None:
    poor = settings.model_copy(update={"max_cost_step_megapixels": 1.0})
    request = InterpolationRequest.model_validate(BODY)
    with pytest.raises(RequestTooExpensive) as refused:
        admit_interpolation(request, [CatalogueEntry(card(), 1, waiting=0, oldest_ms=0)], poor)
    assert refused.value.fields.keys() == {
        "/frames", "/from/num_inference_steps", "/from/width", "/from/height",
    }  # fmt: skip

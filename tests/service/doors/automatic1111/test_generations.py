"""`txt2img` and `img2img`, up to the worker and back."""

import asyncio
import base64
import json

import pytest

from latentry.contracts import Adapter, AdapterKind, OutputKind, RegisteredCard
from latentry.errors import OutOfMemory, PictureRefused
from latentry.ledger import Ledger, commands
from service.doors.automatic1111 import drawing
from tests.latentry.ledger.factory import card
from tests.service.fake import PICTURE, FakeWorker
from tests.service.hanging_up import hang_up

TXT2IMG, IMG2IMG = "/sdapi/v1/txt2img", "/sdapi/v1/img2img"
OUTLINES = Adapter(
    id="Outlines", kind=AdapterKind.CONTROLNET, family="SD 1.x", models=("shapes",),
    sha256="1" * 64, autov3="2" * 12, size_bytes=10, networks=("unet",),
)  # fmt: skip


@pytest.fixture
def outlines(ledger: Ledger, worker: FakeWorker) -> None:
    """The model has a ControlNet."""
    facts = dict(card()) | {"family": "SD 1.x", "adapters": (OUTLINES,)}
    ledger.run(commands.register_model(RegisteredCard(**facts)))


async def test_images_come_as_base64_with_info_as_a_text(client, worker, jobs) -> None:
    body = {"prompt": "a cat", "negative_prompt": "dog", "seed": 5, "batch_size": 2, "steps": 7}
    with worker:
        answer = await client.post(TXT2IMG, json=body | {"sampler_name": "Euler", "styles": []})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert [base64.b64decode(image) for image in found["images"]] == [PICTURE] * 2
    info = json.loads(found["info"])
    assert (info["prompt"], info["seed"], info["all_seeds"]) == ("a cat", 5, [5, 6])
    assert (info["sampler_name"], info["steps"], info["clip_skip"]) == ("Euler", 7, 1)
    assert (info["width"], info["height"], info["sd_model_name"]) == (128, 128, "shapes")
    assert (info["batch_size"], info["job"]) == (2, jobs()[0].ref.id)
    first, second = info["infotexts"]
    assert first.startswith("a cat\nNegative prompt: dog\nSteps: 7, Sampler: Euler, ")
    assert "Seed: 5," in first
    assert "Seed: 6," in second
    assert found["parameters"]["prompt"] == "a cat"
    assert float(answer.headers["X-Process-Time"]) > 0
    assert "X-Ignored-Fields" not in answer.headers


async def test_a_body_may_be_empty_but_for_braces(client, worker, made) -> None:
    with worker:
        answer = await client.post(TXT2IMG, json={})
    assert answer.status_code == 200, answer.text
    assert (made().prompt, made().num_inference_steps, made().width) == ("", 25, 128)


async def test_what_open_webui_sends(client, worker, made) -> None:
    body = {"prompt": "a cat", "batch_size": 1, "width": 512, "height": 512}
    with worker:
        answer = await client.post(TXT2IMG, json=body, headers={"authorization": ""})
    found = answer.json()
    assert (len(found["images"]), type(found["info"])) == (1, str)
    assert (made().width, made().height) == (192, 192)


async def test_what_sillytavern_sends_and_its_password_does_not_come_back(
    client, worker, made
) -> None:
    body = {
        "url": "http://localhost:7860",
        "auth": "user:secret-word",
        "prompt": "a cat",
        "negative_prompt": "",
        "sampler_name": "Euler",
        "scheduler": "Karras",
        "steps": 9,
        "cfg_scale": 7,
        "width": 160,
        "height": 96,
        "restore_faces": False,
        "enable_hr": False,
        "hr_upscaler": "Latent",
        "hr_scale": 1,
        "denoising_strength": 0.7,
        "hr_second_pass_steps": 0,
        "override_settings": {"CLIP_stop_at_last_layers": 2, "sd_vae": "Automatic"},
        "override_settings_restore_afterwards": True,
        "clip_skip": 2,
        "save_images": True,
        "send_images": True,
        "do_not_save_grid": False,
        "do_not_save_samples": False,
    }
    with worker:
        answer = await client.post(TXT2IMG, json=body)
    assert answer.status_code == 200, answer.text
    assert "secret-word" not in answer.text
    assert answer.headers["X-Ignored-Fields"] == "save_images, auth, clip_skip, url"
    assert (made().clip_skip, made().sampler, made().spacing) == (1, "euler", "karras")


async def test_an_infotext_says_what_is_not_sent(client, worker, made) -> None:
    line = "Steps: 9, Sampler: Euler, Schedule type: Karras, CFG scale: 4, Seed: 3, Size: 160x96"
    text = f"a cat, Clip skip\nNegative prompt: dog\n{line}, Model: shapes, Clip skip: 2"
    with worker:
        answer = await client.post(TXT2IMG, json={"infotext": text, "steps": 5, "seed": None})
    assert answer.status_code == 200, answer.text
    request = made()
    assert (request.prompt, request.negative_prompt, request.seed) == ("a cat, Clip skip", "dog", 3)
    assert (request.num_inference_steps, request.guidance_scale, request.clip_skip) == (5, 4.0, 1)
    assert (request.sampler, request.spacing, request.width) == ("euler", "karras", 160)


async def test_an_infotext_of_an_answer_draws_it_again(client, worker, jobs) -> None:
    body = {"prompt": "a", "seed": 4, "subseed": 5, "subseed_strength": 0.5, "enable_hr": True}
    more = {"hr_scale": 1.5, "steps": 10, "sampler_name": "Euler", "width": 96, "height": 128}
    with worker:
        answer = await client.post(TXT2IMG, json=body | more)
        [text] = json.loads(answer.json()["info"])["infotexts"]
        again = await client.post(TXT2IMG, json={"infotext": text})
    assert again.status_code == 200, again.text
    second, first = jobs()
    assert first.request.pixel_fields() == second.request.pixel_fields()
    assert first.request.seed == second.request.seed


async def test_images_need_not_be_sent(client, worker, jobs) -> None:
    with worker:
        answer = await client.post(TXT2IMG, json={"prompt": "a", "send_images": False})
    assert answer.json()["images"] == []
    assert len(jobs()[0].images) == 1


async def test_a_picture_and_its_mask_are_files_of_the_job(client, worker, made, photo) -> None:
    body = {"init_images": [photo], "mask": photo, "mask_blur": 2, "prompt": "a", "steps": 8}
    with worker:
        answer = await client.post(IMG2IMG, json=body)
    assert answer.status_code == 200, answer.text
    request = made()
    assert request.image is not None
    assert (request.image.width, request.image.height) == (160, 96)
    assert request.mask is not None
    assert (request.mask_blur, request.mask_channel, request.strength) == (2, "opaque", 0.75)
    assert (request.width, request.height) == (160, 96), "the picture's own"
    parameters = answer.json()["parameters"]
    assert (parameters["init_images"], parameters["mask"]) == (None, None)
    assert photo not in answer.text


async def test_controlnet_s_maps_follow_the_images(client, worker, outlines, photo) -> None:
    unit = {"input_image": photo, "model": "outlines [11111111]", "module": "canny"}
    hidden = unit | {"save_detected_map": False}
    worker.on_claim = lambda lease: [
        worker.draw(lease, name=name, kind=OutputKind.CONTROL)
        for name in ("control-1", "control-2")
    ]

    async def count(*units: dict[str, object], **options: object) -> int:
        body = {"prompt": "a", "alwayson_scripts": {"ControlNet": {"args": list(units)}}}
        answer = await client.post(TXT2IMG, json=body | {"override_settings": options})
        assert answer.status_code == 200, answer.text
        assert len(json.loads(answer.json()["info"])["all_seeds"]) == 1
        return len(answer.json()["images"])

    with worker:
        assert await count(unit, unit) == 3
        assert await count(hidden, unit) == 2
        assert await count(unit, control_net_no_detectmap=True) == 1


@pytest.mark.parametrize(
    ("path", "fields", "status", "error", "named"),
    [
        (TXT2IMG, {"sampler_name": "Dream"}, 404, "not_found", "Sampler not found"),
        (TXT2IMG, {"sampler_name": "Heun"}, 422, "unsupported_sampler", "sampler_name: "),
        (TXT2IMG, {"width": 1000, "height": 1000}, 422, "unsupported_size", "width: "),
        (TXT2IMG, {"steps": 101}, 422, "too_many_steps", "steps: "),
        (TXT2IMG, {"steps": "many"}, 422, "invalid_request", "steps: "),
        (TXT2IMG, {"prompt": "<lora:none:1>"}, 422, "unknown_adapter", "prompt: "),
        (TXT2IMG, {"styles": ["None", "Dream"]}, 422, "unknown_style", "styles/0: "),
        (TXT2IMG, {"refiner_checkpoint": "x"}, 422, "unsupported_field", "refiner_checkpoint: "),
        (
            TXT2IMG,
            {"override_settings": {"sd_model_checkpoint": "dream"}},
            404,
            "unknown_model",
            "Model not found",
        ),
        (
            TXT2IMG,
            {"override_settings": {"CLIP_stop_at_last_layers": 99}},
            422,
            "invalid_request",
            "override_settings/CLIP_stop_at_last_layers: ",
        ),
        (
            TXT2IMG,
            {"override_settings": {"CLIP_stop_at_last_layers": 9}},
            422,
            "clip_skip_too_large",
            "override_settings/CLIP_stop_at_last_layers: ",
        ),
        (
            TXT2IMG,
            {"override_settings": {"eta_noise_seed_delta": 31337}},
            422,
            "unsupported_field",
            "eta_noise_seed_delta",
        ),
        (TXT2IMG, {"override_settings": {"sd_vae": "x"}}, 422, "unknown_adapter", "sd_vae"),
        (IMG2IMG, {}, 404, "not_found", "Init image not found"),
        (IMG2IMG, {"init_images": []}, 404, "not_found", "Init image not found"),
        (IMG2IMG, {"init_images": ["*"]}, 422, "broken_image", "init_images: "),
        (IMG2IMG, {"init_images": ["AAAA"]}, 422, "unsupported_image", "init_images: "),
        (IMG2IMG, {"init_images": ["http://a.b/c"]}, 422, "invalid_request", "init_images/0: "),
        (
            IMG2IMG,
            {"init_images": ["https://127.0.0.1/c"]},
            422,
            "url_not_allowed",
            "init_images: ",
        ),
    ],
)
async def test_refusals_have_the_shape_of_automatic1111(
    client, worker, path, fields, status, error, named
) -> None:
    answer = await client.post(path, json={"prompt": "a"} | fields)
    found = answer.json()
    assert (answer.status_code, found["error"]) == (status, error), found
    assert set(found) == {"error", "detail", "body", "errors"}
    assert found["detail"]
    assert named in found["errors"]


async def test_an_unknown_controlnet_is_named_as_it_was_sent(client, worker, photo) -> None:
    units = [{"model": "None", "enabled": False}, {"model": "dream", "image": photo}]
    body = {"prompt": "a", "alwayson_scripts": {"controlnet": {"args": units}}}
    answer = await client.post(TXT2IMG, json=body)
    assert answer.status_code == 422
    assert answer.json()["error"] == "unknown_adapter"
    assert answer.json()["errors"].startswith("alwayson_scripts/ControlNet/1/model: ")


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", TXT2IMG, b"{", 400),
        ("POST", TXT2IMG, b"x" * 300_000, 413),
        ("GET", TXT2IMG, b"", 405),
        ("GET", "/sdapi/v1/nowhere", b"", 404),
        ("POST", "/sdapi/v1/server-kill", b"{}", 404),
        ("GET", "/controlnet/nowhere", b"", 404),
    ],
)
async def test_every_error_of_this_door_has_its_shape(
    client, method, path, content, status
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await client.request(method, path, content=content, headers=headers)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "detail", "body", "errors"}


async def test_comfyui_s_probe_finds_nothing(client) -> None:
    assert (await client.get("/system_stats")).status_code == 404


@pytest.mark.parametrize(
    ("failure", "status"), [(OutOfMemory(), 502), (PictureRefused("No frogs."), 422)]
)
async def test_a_job_without_images_is_an_error(client, worker, failure, status) -> None:
    worker.fails_with = failure
    with worker:
        answer = await client.post(TXT2IMG, json={"prompt": "a"})
    assert (answer.status_code, answer.json()["error"]) == (status, failure.code)
    assert answer.json()["detail"] == failure.message


async def test_a_request_with_an_idempotency_key_is_one_job(client, worker, jobs) -> None:
    headers = {"Idempotency-Key": "k1"}
    with worker:
        first = await client.post(TXT2IMG, json={"prompt": "a"}, headers=headers)
        again = await client.post(TXT2IMG, json={"prompt": "a"}, headers=headers)
        other = await client.post(TXT2IMG, json={"prompt": "b"}, headers=headers)
    assert first.json()["info"] == again.json()["info"]
    assert len(jobs()) == 1
    assert (other.status_code, other.json()["error"]) == (422, "idempotency_conflict")


def test_a_client_that_hangs_up_cancels_its_job_unless_it_has_a_key(url: str, worker, jobs) -> None:
    for headers, left in (({}, "canceled"), ({"Idempotency-Key": "k"}, "queued")):
        known = len(jobs())
        hang_up(
            f"{url}{TXT2IMG}",
            once=lambda known=known: len(jobs()) > known,
            json={"prompt": "a"},
            headers=headers,
        )
        while jobs()[0].state != left:
            pass


async def test_a_job_that_does_not_end_in_time_is_canceled(
    client, worker, jobs, monkeypatch
) -> None:
    monkeypatch.setattr(drawing, "WITHIN_S", 0.05)
    answer = await client.post(TXT2IMG, json={"prompt": "a"})
    assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
    assert jobs()[0].state == "canceled"


async def test_its_jobs_are_the_tenant_s_like_all_others(client, worker, jobs) -> None:
    with worker:
        answer = await client.post(TXT2IMG, json={"prompt": "a"})
    id = json.loads(answer.json()["info"])["job"]
    assert (await client.get(f"/v1/generations/{id}")).json()["status"] == "succeeded"
    listed = await client.get("/v1/generations")
    assert [job["id"] for job in listed.json()["data"]] == [id]


async def test_many_at_once_each_get_their_own(client, worker) -> None:
    async def seed(number: int) -> int:
        answer = await client.post(TXT2IMG, json={"prompt": "a", "seed": number})
        return json.loads(answer.json()["info"])["seed"]

    with worker:
        assert await asyncio.gather(*map(seed, range(12))) == list(range(12))


VAST = 10**400
LONG = int("9" * 4_000)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"enable_hr": True, "hr_resize_x": VAST}, "hr_resize_x"),
        ({"enable_hr": True, "hr_resize_y": VAST}, "hr_resize_y"),
        ({"enable_hr": True, "hr_second_pass_steps": VAST}, "hr_second_pass_steps"),
        ({"enable_hr": True, "steps": VAST}, "steps"),
        ({"enable_hr": True, "width": VAST, "hr_resize_x": 8}, "width"),
        ({"enable_hr": True, "denoising_strength": 5e-324}, "denoising_strength"),
        ({"batch_size": LONG, "n_iter": LONG}, "batch_size"),
        ({"alwayson_scripts": {"ControlNet": {"args": "canny"}}}, "alwayson_scripts/ControlNet/0"),
        ({"alwayson_scripts": {"ControlNet": {"args": [{}] * 17}}}, "alwayson_scripts/ControlNet"),
    ],
)
async def test_numbers_that_overflow_and_units_that_are_none_are_refused_by_name(
    client, worker, fields, named: str
) -> None:
    answer = await client.post(TXT2IMG, json={"prompt": "a"} | fields)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"].startswith(named)


@pytest.mark.parametrize("field", ["comments", "hr_prompt"])
async def test_what_is_echoed_is_small(client, worker, jobs, field: str) -> None:
    # Base64 passes for a picture in a body's bounds, wherever it stands.
    body = {"prompt": "a", field: "A" * 2**20}
    answer = await client.post(TXT2IMG, json=body)
    assert (answer.status_code, answer.json()["error"]) == (413, "body_too_large")
    assert not jobs()


@pytest.mark.parametrize(
    ("setting", "field"),
    [("Hires prompt: another", "hr_prompt"), ("Hires sampler: Heun", "hr_sampler_name"),
     ("ENSD: 31337", "eta_noise_seed_delta"), ("Sigma churn: 0.5", "s_churn")],
)  # fmt: skip
async def test_what_an_infotext_says_and_cannot_be_obeyed_is_refused(
    client, worker, setting: str, field: str
) -> None:
    text = f"a cat\nSteps: 4, Sampler: Euler, Seed: 1, Hires upscale: 1.5, {setting}"
    answer = await client.post(TXT2IMG, json={"infotext": text})
    assert (answer.status_code, answer.json()["error"]) == (422, "unsupported_field")
    assert field in answer.json()["errors"]

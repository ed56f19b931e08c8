"""AUTOMATIC1111's clients against the running service, whose engine draws."""

import base64
import io
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.e2e.processes import Stack
from tests.valkey import free_port

webuiapi = pytest.importorskip("webuiapi", reason="webuiapi is not installed: `make setup`")

SIDE = 128
RED = "a red circle on a blue background"


@pytest.fixture
def api(stack: Stack) -> Any:
    return webuiapi.WebUIApi(baseurl=f"{stack.url}/sdapi/v1", sampler="Euler", steps=6)


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, timeout=60) as client:
        yield client


@pytest.fixture
def photo() -> Image.Image:
    image = Image.new("RGB", (SIDE, SIDE), (20, 40, 200))
    ImageDraw.Draw(image).ellipse((30, 30, 98, 98), fill=(220, 30, 30))
    return image


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"), dtype=float)


def test_webuiapi_draws_with_what_it_sends_unasked(api: Any) -> None:
    made = webuiapi.WebUIApi(baseurl=api.baseurl).txt2img(prompt=RED, seed=7)
    assert made.image.size == (made.info["width"], made.info["height"])
    assert made.info["sampler_name"] == "Euler a"
    assert made.info["steps"] == 20
    assert made.image.info["parameters"].startswith(RED)
    red, _, blue = np.moveaxis(pixels(made.image), -1, 0)
    assert 0.02 < (red > blue + 60).mean() < 0.5, "a red circle"
    assert (blue > red + 60).mean() > 0.3, "on blue"


def test_seeds_count_up_and_an_infotext_draws_its_image_again(api: Any, http) -> None:
    size = {"width": SIDE, "height": SIDE}
    made = api.txt2img(prompt=RED, seed=5, n_iter=2, **size)
    assert made.info["all_seeds"] == [5, 6]
    assert (pixels(made.images[0]) != pixels(made.images[1])).any()
    text = made.images[1].info["parameters"]
    again = http.post("/sdapi/v1/txt2img", json={"infotext": text}).json()
    image = Image.open(io.BytesIO(base64.b64decode(again["images"][0])))
    assert np.abs(pixels(image) - pixels(made.images[1])).mean() < 1
    info = api.png_info(made.images[1])
    assert info.info == text
    assert info.parameters["Seed"] == "6"


def test_a_picture_is_drawn_anew_and_a_part_repainted(api: Any, photo: Image.Image) -> None:
    fields = {"images": [photo], "width": SIDE, "height": SIDE, "seed": 1}
    whole = api.img2img(prompt="a green square", denoising_strength=0.6, **fields)
    assert whole.image.size == (SIDE, SIDE)
    mask = Image.new("L", photo.size)
    mask.paste(255, (0, 0, SIDE // 2, SIDE))
    for invert, kept in ((0, np.s_[:, SIDE // 2 :]), (1, np.s_[:, : SIDE // 2])):
        made = api.img2img(
            prompt="a green square", mask_image=mask, mask_blur=0, inpaint_full_res=False,
            inpainting_mask_invert=invert, denoising_strength=1.0, **fields,
        )  # fmt: skip
        same = pixels(made.image) == pixels(photo)
        assert same[kept].all()
        assert not same.all()


def test_loras_and_controlnet_are_drawn_with(api: Any, photo: Image.Image) -> None:
    loras = [one["name"] for one in api.get_loras()]
    assert loras
    fields = {"width": SIDE, "height": SIDE, "seed": 3}
    plain = api.txt2img(prompt=RED, **fields)
    tagged = api.txt2img(prompt=f"{RED} <lora:{loras[0]}:1>", **fields)
    assert (pixels(plain.image) != pixels(tagged.image)).any()
    [model] = [name for name in api.controlnet_model_list() if name != "None"]
    unit = webuiapi.ControlNetUnit(
        image=photo, module="canny", model=model, threshold_a=100, threshold_b=200
    )
    led = api.txt2img(prompt=RED, controlnet_units=[unit], **fields)
    image, edges = led.images
    assert (pixels(image) != pixels(plain.image)).any()
    assert set(np.unique(pixels(edges))) == {0, 255}, "the map"


def test_a_picture_is_enlarged(api: Any, photo: Image.Image) -> None:
    one = api.extra_single_image(photo, upscaler_1=webuiapi.Upscaler.Lanczos, upscaling_resize=2)
    assert one.image.size == (2 * SIDE, 2 * SIDE)
    several = api.extra_batch_images([photo] * 2, upscaler_1="Lanczos", upscaling_resize=2)
    assert [image.size for image in several.images] == [(2 * SIDE, 2 * SIDE)] * 2
    assert api.extra_single_image(photo).image.size == (SIDE, SIDE)


def test_what_a_controlnet_would_be_shown_is_made_alone(api: Any, photo: Image.Image) -> None:
    found = api.controlnet_detect([photo] * 2, module="canny", processor_res=2 * SIDE)
    assert found.info == "Success"
    assert [image.size for image in found.images] == [(2 * SIDE, 2 * SIDE)] * 2
    assert set(np.unique(pixels(found.image))) == {0, 255}
    inverted = api.controlnet_detect([photo], module="invert").image
    assert np.array_equal(pixels(inverted), 255 - pixels(photo))
    assert np.array_equal(pixels(api.controlnet_detect([photo]).image), pixels(photo))
    for module, words in (("depth_midas", "not available"), ("ip-adapter-auto", "not supported")):
        with pytest.raises(RuntimeError, match=words):
            api.controlnet_detect([photo], module=module)


def test_every_list_is_one(api: Any) -> None:
    api.util_set_model("shapes")
    assert api.util_get_current_model() == "shapes"
    assert {"Euler a", "DPM++ 2M"} <= {one["name"] for one in api.get_samplers()}
    assert [one["name"] for one in api.get_upscalers()] == ["None", "Lanczos"]
    for get in (
        "sd_vae", "latent_upscale_modes", "hypernetworks", "face_restorers", "realesrgan_models",
        "prompt_styles",
    ):  # fmt: skip
        assert isinstance(getattr(api, f"get_{get}")(), list), get
    for get in ("cmd_flags", "scripts", "embeddings", "memory", "options"):
        assert isinstance(getattr(api, f"get_{get}")(), dict), get
    assert api.refresh_checkpoints() == {}
    assert api.controlnet_version() == 3
    assert "canny" in api.controlnet_module_list()


def test_progress_is_seen_and_an_interrupted_call_returns(api: Any) -> None:
    api.util_wait_for_ready()
    with ThreadPoolExecutor(1) as pool:
        calling = pool.submit(api.txt2img, prompt=RED, steps=100, n_iter=8, width=SIDE, height=SIDE)
        while not (found := api.get_progress())["state"]["sampling_step"]:
            assert not calling.done()
            time.sleep(0)
        assert 0 < found["progress"] <= 1
        assert found["state"]["sampling_steps"] == 100
        assert api.interrupt() == {}
        assert len(calling.result().images) < 8
    api.util_wait_for_ready()
    assert api.skip() == {}


def test_a_picture_on_its_way_is_seen_and_another_one_later(api: Any, stack: Stack) -> None:
    elsewhere = stack.settings.model_copy(update={"port": free_port()})

    def seen(of: Any, but: str | None = None) -> str:
        while (found := of.get_progress()["current_image"]) in (None, but):
            assert not calling.done()
            time.sleep(0.05)
        return found

    with Stack(elsewhere) as other, ThreadPoolExecutor(1) as pool:
        there = webuiapi.WebUIApi(baseurl=f"{other.url}/sdapi/v1")
        wide = {"width": 160, "height": 96, "seed": 3}
        calling = pool.submit(api.txt2img, prompt=RED, steps=100, n_iter=8, **wide)
        first = seen(there)
        second = seen(api, but=first)
        for text in (first, second):
            picture = Image.open(io.BytesIO(base64.b64decode(text)))
            assert (picture.format, picture.size) == ("JPEG", (160, 96))
        skipping = f"{stack.url}/sdapi/v1/progress?skip_current_image=true"
        assert httpx.get(skipping).json()["current_image"] is None
        api.interrupt()
        calling.result()
    assert api.get_progress()["current_image"] is None


def test_a_refusal_says_what_to_change(api: Any, photo: Image.Image) -> None:
    for call, words in (
        (lambda: api.txt2img(prompt="a", sampler_name="Dream"), "Sampler not found"),
        (lambda: api.txt2img(prompt="a", restore_faces=True), "restore_faces"),
        (lambda: api.img2img(prompt="a"), "Init image not found"),
        (lambda: api.interrogate(photo), "No model here"),
    ):
        with pytest.raises(RuntimeError, match=words):
            call()


def test_open_webui_s_calls(http: httpx.Client) -> None:
    headers = {"authorization": ""}
    options = http.get("/sdapi/v1/options", headers=headers).json()
    models = http.get("/sdapi/v1/sd-models", headers=headers).json()
    assert [model["title"] for model in models] == [options["sd_model_checkpoint"]]
    sent = http.post("/sdapi/v1/options", json=options | {"x": 1}, headers=headers)
    assert sent.status_code == 200
    body = {"prompt": RED, "batch_size": 1, "width": 512, "height": 512, "steps": 4}
    found = http.post("/sdapi/v1/txt2img", json=body, headers=headers).json()
    assert Image.open(io.BytesIO(base64.b64decode(found["images"][0]))).format == "PNG"


def test_sillytavern_s_calls(http: httpx.Client) -> None:
    for path in ("options", "samplers", "schedulers", "upscalers", "sd-vae", "sd-models"):
        assert http.get(f"/sdapi/v1/{path}").status_code == 200
    http.post("/sdapi/v1/options", json={"sd_model_checkpoint": "shapes"})
    progress = http.get("/sdapi/v1/progress").json()
    assert (progress["progress"], progress["state"]["job_count"]) == (0, 0)
    body = {
        "url": "http://x", "auth": "a:b", "prompt": RED, "negative_prompt": "", "steps": 4,
        "sampler_name": "DPM++ 2M", "scheduler": "Automatic", "cfg_scale": 3, "width": SIDE,
        "height": SIDE, "restore_faces": False, "enable_hr": True, "hr_upscaler": "Latent",
        "hr_scale": 1.25, "denoising_strength": 0.5, "hr_second_pass_steps": 3,
        "override_settings": {"CLIP_stop_at_last_layers": 1}, "save_images": True,
        "override_settings_restore_afterwards": True, "send_images": True,
    }  # fmt: skip
    answer = http.post("/sdapi/v1/txt2img", json=body)
    assert answer.status_code == 200, answer.text
    image = Image.open(io.BytesIO(base64.b64decode(answer.json()["images"][0])))
    assert image.size == (SIDE * 5 // 4, SIDE * 5 // 4)

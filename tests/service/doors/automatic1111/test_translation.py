"""What becomes of AUTOMATIC1111's fields, as tables."""

from typing import Any

import pytest

from latentry.contracts import GenerationRequest
from latentry.errors import InvalidRequest, NotFound, UnknownModel, UnsupportedField
from latentry.ledger import CatalogueEntry
from latentry.settings import Settings
from service.doors.automatic1111.requests.generations import AnyGeneration, Img2Img, Txt2Img
from service.doors.automatic1111.requests.options import Options
from service.doors.automatic1111.translation.generation import translated
from service.doors.automatic1111.translation.ignored import HEADER, ignored
from service.doors.automatic1111.translation.names import bare, checkpoint
from tests.latentry.ledger.factory import card

PHOTO = "iVBORw0KGgo="
URL = f"data:application/octet-stream;base64,{PHOTO}"
BROUGHT = {"init_images": [PHOTO]}
MASKED = BROUGHT | {"mask": PHOTO}


def ours(model: type[AnyGeneration], fields: dict[str, Any], **options: Any) -> GenerationRequest:
    body = model.model_validate(fields)
    return translated(body, Options(**options), card()).request


def given(request: GenerationRequest) -> dict[str, Any]:
    """What differs from a body without any fields."""
    plain = ours(Img2Img, BROUGHT) if request.image else ours(Txt2Img, {})
    return {
        name: value for name, value in request if value != getattr(plain, name) and name != "model"
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"prompt": "a", "negative_prompt": "b"}, {"prompt": "a", "negative_prompt": "b"}),
        ({"steps": 12, "cfg_scale": 7}, {"num_inference_steps": 12, "guidance_scale": 7.0}),
        ({"steps": 12.0, "seed": 9.0}, {"num_inference_steps": 12, "seed": 9}),
        ({"seed": -1, "subseed": 5}, {}),
        (
            {"seed": 4, "subseed": 5, "subseed_strength": 0.25},
            {"seed": 4, "variation_seed": 5, "variation_strength": 0.25},
        ),
        ({"subseed": -1, "subseed_strength": 0.25}, {"variation_strength": 0.25}),
        ({"batch_size": 2, "n_iter": 3}, {"n": 6}),
        ({"width": 163, "height": 100}, {"width": 160, "height": 96}),
        ({"width": 512, "height": 512}, {"width": 192, "height": 192}),
        ({"width": 512, "height": 192}, {"width": 512, "height": 192}),
        ({"tiling": True}, {"seamless": "both"}),
        ({"styles": ["None", "Noir"]}, {"styles": ("Noir",)}),
        ({"refiner_checkpoint": "None", "refiner_switch_at": 0}, {}),
        (
            {"refiner_checkpoint": "Refiner.safetensors [ab12]", "refiner_switch_at": 0.7},
            {"refiner": "refiner", "refiner_switch_at": 0.7},
        ),
        ({"restore_faces": False, "s_noise": 1.0, "s_churn": 0, "eta": 1.0}, {}),
        ({"denoising_strength": 0, "hr_scale": 0, "hr_upscaler": "anything"}, {}),
        ({"script_name": "", "script_args": [], "alwayson_scripts": None}, {}),
    ],
)
def test_a_text_s_fields(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert given(ours(Txt2Img, fields)) == expected


@pytest.mark.parametrize(
    ("name", "scheduler", "expected"),
    [
        ("Euler a", None, ("euler_a", "default")),
        ("k_euler_ancestral", None, ("euler_a", "default")),
        ("euler A", "Automatic", ("euler_a", "default")),
        ("DPM++ 2M", None, ("dpmpp_2m", "karras")),
        ("DPM++ 2M", "Automatic", ("dpmpp_2m", "karras")),
        ("DPM++ 2M", "uniform", ("dpmpp_2m", "default")),
        ("DPM++ 2M Karras", None, ("dpmpp_2m", "karras")),
        ("DPM++ 2M SDE", None, ("dpmpp_2m_sde", "exponential")),
        ("DPM++ 2M SDE Karras", "Automatic", ("dpmpp_2m_sde", "karras")),
        ("LMS Karras", "SGM Uniform", ("lms", "sgm_uniform")),
        ("PLMS", "sgm_uniform", ("pndm", "sgm_uniform")),
        (None, "SGMUniform", (None, "sgm_uniform")),
        (None, "Automatic", (None, None)),
        (None, None, (None, None)),
    ],
)
def test_samplers_and_schedule_types_by_their_names(name, scheduler, expected) -> None:
    for field in ("sampler_name", "sampler_index"):
        found = ours(Txt2Img, {field: name, "scheduler": scheduler})
        assert (found.sampler, found.spacing) == expected


@pytest.mark.parametrize("name", ["DPM++ 2S a Karras", "Restart", "Karras", " "])
def test_a_sampler_that_is_not_here_is_not_found(name: str) -> None:
    with pytest.raises(NotFound):
        ours(Txt2Img, {"sampler_name": name})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"CLIP_stop_at_last_layers": 1}, {}),
        ({"CLIP_stop_at_last_layers": 2}, {"clip_skip": 1}),
        ({"sd_vae": "Automatic"}, {}),
        ({"samples_format": "jpg"}, {"output_format": "jpeg", "output_quality": 80}),
        ({"samples_format": "webp", "jpeg_quality": 5}, {"output_format": "webp"}),
    ],
)
def test_options(options: dict[str, Any], expected: dict[str, Any]) -> None:
    found = given(ours(Txt2Img, {}, **options))
    assert expected.items() <= found.items()
    assert bool(found) == bool(expected)


def test_a_vae_is_named_as_its_file_is() -> None:
    assert ours(Txt2Img, {}, sd_vae="VAE/Soft.pt [12ab]").vae.id == "Soft"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"scale": 2.0, "strength": 0.75, "upscaler": "latent"}),
        ({"hr_scale": 1.5, "hr_upscaler": "Lanczos"}, {"scale": 1.5, "upscaler": "lanczos"}),
        ({"hr_resize_x": 192, "hr_resize_y": 192}, {"width": 192, "height": 192}),
        ({"hr_resize_y": 192}, {"width": 192, "height": 192}),
        ({"hr_prompt": "a", "hr_sampler_name": "Euler"}, {}),
        ({"hr_sampler_name": "Use same sampler", "hr_checkpoint_name": None}, {}),
    ],
)
def test_hires_fix(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    body = {"enable_hr": True, "prompt": "a", "sampler_name": "Euler"} | fields
    found = ours(Txt2Img, body).hires
    assert expected.items() <= found.model_dump().items()


@pytest.mark.parametrize(
    ("steps", "second", "strength"), [(20, 0, 0.7), (20, 14, 0.7), (25, 7, 0.3), (9, 9, 1.0)]
)
def test_hires_fix_makes_as_many_steps_as_there(steps: int, second: int, strength: float) -> None:
    fields = {"steps": steps, "hr_second_pass_steps": second, "denoising_strength": strength}
    found = ours(Txt2Img, fields | {"enable_hr": True}).hires
    assert int(found.steps * found.strength) == (second or steps)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"image": URL, "strength": 0.75, "resize_mode": "stretch", "mask": None}),
        ({"denoising_strength": 0.4, "resize_mode": 1}, {"strength": 0.4, "resize_mode": "crop"}),
        ({"resize_mode": 2, "image_cfg_scale": 1.5}, {"resize_mode": "pad"}),
        ({"mask_blur": 9, "inpainting_fill": 2}, {"mask_blur": 0, "mask_fill": "original"}),
        (
            {"mask": PHOTO},
            {
                "mask": URL,
                "mask_blur": 4,
                "mask_channel": "opaque",
                "mask_fill": "fill",
                "inpaint_area": "masked",
                "mask_padding": 0,
            },
        ),
        ({"mask": PHOTO, "inpaint_full_res": 0}, {"inpaint_area": "whole", "mask_padding": 32}),
        (
            {"mask": PHOTO, "inpainting_mask_invert": 1, "inpainting_fill": 3, "mask_blur": 0},
            {"mask_channel": "transparent", "mask_fill": "empty", "mask_blur": 0},
        ),
        ({"mask": PHOTO, "mask_blur_x": 7, "mask_blur_y": 7}, {"mask_blur": 7}),
        ({"mask": ""}, {"mask": None}),
    ],
)
def test_a_picture_s_fields(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    found = ours(Img2Img, BROUGHT | fields)
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        (PHOTO, URL),
        (f"data:image/png;base64,{PHOTO}", f"data:image/png;base64,{PHOTO}"),
        ("iVBO\r\nRw0K\r\nGgo=\n", URL),
        ("https://example.com/a.png", "https://example.com/a.png"),
        ("file_1", "file_1"),
    ],
)
def test_a_picture_however_it_is_sent(sent: str, named: str) -> None:
    assert ours(Img2Img, {"init_images": [sent]}).image == named


UNIT = {"model": "outlines [0a1b2c3d]", "image": PHOTO}


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (UNIT, {"id": "outlines", "image": URL, "preprocess": "none", "mode": "balanced"}),
        (UNIT, {"weight": 1.0, "start": 0.0, "end": 1.0, "resize_mode": "crop"}),
        (UNIT | {"weight": 0.5, "guidance_start": 0.1, "guidance": 0.9}, {"end": 0.9}),
        (UNIT | {"module": "canny"}, {"preprocess": "canny", "thresholds": (100, 200)}),
        (
            UNIT | {"module": "Canny", "threshold_a": 180.4, "threshold_b": 64},
            {"thresholds": (64, 180)},
        ),
        (UNIT | {"control_mode": ["Balanced"]}, {"mode": "balanced"}),
        (UNIT | {"control_mode": "ControlNet is more important"}, {"mode": "control"}),
        (
            UNIT | {"control_mode": 1, "resize_mode": 0},
            {"mode": "prompt", "resize_mode": "stretch"},
        ),
        (UNIT | {"resize_mode": "Resize and Fill"}, {"resize_mode": "pad"}),
        (UNIT | {"resize_mode": "Scale to Fit (Inner Fit)"}, {"resize_mode": "crop"}),
        ({"model": "outlines", "input_image": PHOTO, "mask": None}, {"image": URL}),
        ({"model": "outlines", "image": {"image": PHOTO, "mask": ""}}, {"image": URL}),
        ({"model": "outlines", "image": [PHOTO, None]}, {"image": URL}),
    ],
)
def test_a_unit_of_controlnet(unit: dict[str, Any], expected: dict[str, Any]) -> None:
    for name in ("ControlNet", "controlnet"):
        [found] = ours(Txt2Img, {"alwayson_scripts": {name: {"args": [unit]}}}).controls
        assert expected.items() <= found.model_dump().items()


def test_a_unit_without_a_picture_follows_that_of_img2img() -> None:
    scripts = {"ControlNet": {"args": [{"model": "outlines"}, {"model": "x", "enabled": False}]}}
    [found] = ours(Img2Img, BROUGHT | {"alwayson_scripts": scripts}).controls
    assert found.image == URL


def test_an_ip_adapter_s_unit_is_an_image_prompt() -> None:
    unit = UNIT | {"module": "ip-adapter-auto", "weight": 0.7}
    found = ours(Txt2Img, {"alwayson_scripts": {"ControlNet": {"args": [unit]}}})
    [prompt] = found.image_prompts
    assert (prompt.id, prompt.weight, found.controls) == ("outlines", 0.7, ())


@pytest.mark.parametrize(
    ("model", "fields", "at"),
    [
        (Txt2Img, {"restore_faces": True}, "/restore_faces"),
        (Txt2Img, {"s_churn": 0.5}, "/s_churn"),
        (Txt2Img, {"s_noise": 0.9}, "/s_noise"),
        (Txt2Img, {"seed_resize_from_w": 512}, "/seed_resize_from_w"),
        (Txt2Img, {"script_name": "X/Y/Z plot"}, "/script_name"),
        (Txt2Img, {"sampler_name": "Euler a", "eta": 0}, "/eta"),
        (Txt2Img, {"sampler_name": "DDIM", "eta": 0.5}, "/eta"),
        (Txt2Img, {"scheduler": "Align Your Steps"}, "/scheduler"),
        (Txt2Img, {"batch_size": 4, "n_iter": 4}, "/batch_size"),
        (Txt2Img, {"cfg_scale": 99}, "/cfg_scale"),
        (Txt2Img, {"enable_hr": True, "hr_upscaler": "R-ESRGAN 4x+"}, "/hr_upscaler"),
        (Txt2Img, {"enable_hr": True, "hr_scale": 1}, "/hr_scale"),
        (Txt2Img, {"enable_hr": True, "hr_scale": 9}, "/hr_scale"),
        (Txt2Img, {"enable_hr": True, "hr_prompt": "b"}, "/hr_prompt"),
        (Txt2Img, {"enable_hr": True, "hr_sampler_name": "Heun"}, "/hr_sampler_name"),
        (Txt2Img, {"enable_hr": True, "firstphase_width": 64}, "/firstphase_width"),
        (Txt2Img, {"enable_hr": True, "denoising_strength": 0}, "/denoising_strength"),
        (Txt2Img, {"enable_hr": True, "hr_resize_x": 192, "hr_resize_y": 96}, "/hr_resize_x"),
        (
            Txt2Img,
            {"alwayson_scripts": {"ADetailer": {"args": [True, {"ad_model": "face"}]}}},
            "/alwayson_scripts/ADetailer",
        ),
        (Txt2Img, {"alwayson_scripts": {"roop": ["x", True]}}, "/alwayson_scripts/roop"),
        (Img2Img, {"init_images": [PHOTO, PHOTO]}, "/init_images"),
        (Img2Img, BROUGHT | {"resize_mode": 3}, "/resize_mode"),
        (Img2Img, BROUGHT | {"denoising_strength": 0}, "/denoising_strength"),
        (Img2Img, BROUGHT | {"initial_noise_multiplier": 0.9}, "/initial_noise_multiplier"),
        (Img2Img, MASKED | {"mask_blur_x": 7}, "/mask_blur_x"),
        (Img2Img, MASKED | {"inpaint_full_res_padding": 999}, "/inpaint_full_res_padding"),
    ],
)
def test_what_would_be_another_picture_is_refused_by_name(model, fields, at: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        ours(model, fields)
    assert at in refused.value.fields


@pytest.mark.parametrize(
    ("unit", "name"),
    [
        ({"model": "outlines"}, "image"),
        (UNIT | {"model": "None"}, "model"),
        (UNIT | {"module": "depth_midas"}, "module"),
        (UNIT | {"mask": PHOTO}, "mask"),
        (UNIT | {"image": {"image": PHOTO, "mask": PHOTO}}, "mask"),
        (UNIT | {"hr_option": "Low res only"}, "hr_option"),
        (UNIT | {"module": "ip-adapter-auto", "guidance_end": 0.5}, "guidance_end"),
    ],
)
def test_a_unit_that_cannot_be_had_is_refused_by_name(unit: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        ours(Txt2Img, {"alwayson_scripts": {"ControlNet": {"args": [unit]}}})
    assert list(refused.value.fields) == [f"/alwayson_scripts/ControlNet/0/{name}"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, ""),
        ({"save_images": True, "auth": "u:p", "url": "http://x"}, "save_images, auth, url"),
        ({"save_images": False, "do_not_save_grid": True, "s_tmax": 0, "unknown": None}, ""),
        (
            {"override_settings": {"sd_vae": "a", "randn_source": "CPU"}},
            "override_settings.randn_source",
        ),
        ({"alwayson_scripts": {"ADetailer": {"args": [False]}}}, "alwayson_scripts.ADetailer"),
        (
            {"alwayson_scripts": {"ADetailer": {"args": [True, {"ad_model": "None"}]}}},
            "alwayson_scripts.ADetailer",
        ),
        ({"alwayson_scripts": {"Sampler": {"args": [20, "Euler"]}}}, "alwayson_scripts.Sampler"),
        ({"alwayson_scripts": {"x": {}, "ControlNet": {"args": []}}}, "alwayson_scripts.x"),
        (
            {"alwayson_scripts": {"ControlNet": {"args": [UNIT | {"processor_res": 512}]}}},
            "alwayson_scripts.ControlNet.processor_res",
        ),
        ({"sampler_name": "DDIM", "eta": 1.0}, "eta"),
    ],
)
def test_what_has_no_effect_is_named(fields: dict[str, Any], named: str) -> None:
    ours(Txt2Img, fields)
    assert ignored(Txt2Img.model_validate(fields)).get(HEADER, "") == named


FACE, NO_TAB = {"ad_model": "face_yolov8n.pt"}, {"ad_model": "None", "ad_confidence": 0.3}
TAB_OFF = [FACE | {name: False} for name in ("ad_enable", "ad_tab_enable", "ad_tap_enable")]


@pytest.mark.parametrize("name", ["ADetailer", "adetailer"])
@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"args": []},
        {"args": {}},
        {"args": NO_TAB},
        {"args": [NO_TAB]},
        {"args": [{}, NO_TAB, NO_TAB, NO_TAB]},
        {"args": [False]},
        {"args": [False, FACE]},
        {"args": [False, False, FACE]},
        {"args": [False, True, FACE]},
        {"args": [True]},
        {"args": [True, False]},
        {"args": [True, NO_TAB]},
        {"args": [True, False, NO_TAB]},
        {"args": [True, True, NO_TAB, {}]},
        {"args": [True, False, None, NO_TAB, 0, "x"]},
        {"args": [True, False, *TAB_OFF]},
        [True, False, NO_TAB],
    ],
)
def test_an_adetailer_that_looks_for_nothing_is_left_out(name: str, sent: Any) -> None:
    fields = {"alwayson_scripts": {name: sent}}
    assert ours(Txt2Img, fields) == ours(Txt2Img, {})
    assert ours(Img2Img, BROUGHT | fields) == ours(Img2Img, BROUGHT)
    assert ignored(Txt2Img.model_validate(fields)) == {HEADER: f"alwayson_scripts.{name}"}


@pytest.mark.parametrize(
    "sent",
    [
        {"args": FACE},
        {"args": [FACE]},
        {"args": [NO_TAB, FACE]},
        {"args": [TAB_OFF[0], FACE]},
        {"args": [True, FACE]},
        {"args": [True, FACE | {"ad_tab_enable": True}]},
        {"args": [True, False, FACE]},
        {"args": [True, True, NO_TAB, FACE]},
        {"args": [True, False, None, FACE]},
        {"args": [True, False, {"ad_model": 7}]},
        [True, False, FACE],
    ],
)
def test_an_adetailer_that_looks_for_something_is_refused_by_name(sent: Any) -> None:
    with pytest.raises(UnsupportedField) as refused:
        ours(Txt2Img, {"alwayson_scripts": {"ADetailer": sent}})
    assert list(refused.value.fields) == ["/alwayson_scripts/ADetailer"]


@pytest.mark.parametrize(
    ("name", "alone"),
    [
        ("v1-5", "v1-5"),
        ("v1-5.safetensors [6ce0161689]", "v1-5"),
        ("SD\\1.5/v1-5.ckpt", "v1-5"),
        ("a.b [not a hash]", "a.b [not a hash]"),
    ],
)
def test_the_name_of_a_file_is_what_is_left_of_it(name: str, alone: str) -> None:
    assert bare(name) == alone


@pytest.mark.parametrize("name", [None, "None", "Automatic", "Shapes", "models/shapes.ckpt [ab]"])
def test_a_model_is_found_as_its_file_may_be_called(name: str | None) -> None:
    entries = [CatalogueEntry(card(), workers=1, waiting=0, oldest_ms=0)]
    assert checkpoint(name, entries, Settings()).card.id == "shapes"
    with pytest.raises(UnknownModel):
        checkpoint("other", entries, Settings())


def test_a_mask_that_a_model_of_edits_would_leave_aside_is_refused() -> None:
    edits = card().model_copy(update={"limits": card().limits.model_copy(update={"edits": True})})
    assert translated(Img2Img.model_validate(BROUGHT), Options(), edits).request.image == URL
    with pytest.raises(UnsupportedField) as caught:
        translated(Img2Img.model_validate(MASKED), Options(), edits)
    assert list(caught.value.fields) == ["/mask"]

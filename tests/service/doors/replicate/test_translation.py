"""Replicate's inputs as our request: each name, each refusal, each place of what is wrong."""

from typing import Any

import pytest

from latentry.errors import InvalidRequest, UnknownModel, UnsupportedField
from service.doors.replicate import deadlines
from service.doors.replicate.requests import PredictionRequest
from service.doors.replicate.translation import (
    generation_request,
    ignored,
    model_id,
    names,
    requested_model,
)
from tests.latentry.ledger.factory import card

FILE = "file_" + "0" * 32
URL = f"http://127.0.0.1:8000/replicate/v1/files/{FILE}"
CARD = card()


def asked(**fields: Any) -> PredictionRequest:
    """A request with these inputs; those of the request itself begin with an underscore."""
    own = {name[1:]: value for name, value in fields.items() if name.startswith("_")}
    inputs = {name: value for name, value in fields.items() if not name.startswith("_")}
    return PredictionRequest.model_validate(
        {"version": "shapes", "input": {"prompt": "a", **inputs}} | own
    )


@pytest.mark.parametrize(
    ("sent", "name", "value"),
    [
        ({"num_outputs": 3}, "n", 3),
        ({"n": 2}, "n", 2),
        ({"steps": 7}, "num_inference_steps", 7),
        ({"num_inference_steps": 7}, "num_inference_steps", 7),
        ({"cfg": 2}, "guidance_scale", 2.0),
        ({"guidance_scale": 2.5}, "guidance_scale", 2.5),
        ({"scheduler": "K_EULER"}, "sampler", "euler"),
        ({"scheduler": "K_EULER_ANCESTRAL"}, "sampler", "euler_a"),
        ({"scheduler": "DPMSolverMultistep"}, "sampler", "dpmpp_2m"),
        ({"scheduler": "KarrasDPM"}, "spacing", "karras"),
        ({"scheduler": "DDIM"}, "sampler", "ddim"),
        ({"scheduler": "DPM++ 2M Karras"}, "sampler", "dpmpp_2m"),
        ({"sampler": "K_EULER"}, "sampler", "euler"),
        ({"prompt_strength": 0.4, "image": URL}, "strength", 0.4),
        ({"image": URL}, "image", FILE),
        ({"image": FILE}, "image", FILE),
        ({"image": f"https://x.example/a/replicate/v1/files/{FILE}"}, "image", FILE),
        ({"image": f"https://x.example/v1/files/{FILE}"}, "image", f"https://x.example/v1/files/{FILE}"),
        ({"output_format": "jpg"}, "output_format", "jpeg"),
        ({"output_format": "webp", "output_quality": 0}, "output_quality", 1),
        ({"output_format": "jpg", "output_quality": 80}, "output_quality", 80),
        ({"output_quality": 80}, "output_quality", None),
        ({"aspect_ratio": "16:9"}, "width", 160),
        ({"aspect_ratio": "16:9"}, "height", 96),
        ({"aspect_ratio": "1:1"}, "width", 128),
        ({"aspect_ratio": "custom", "width": 160, "height": 96}, "width", 160),
        ({"refine": "no_refiner"}, "refiner", None),
        ({"negative_prompt": "b", "seed": 5}, "seed", 5),
        ({}, "prompt_syntax", "plain"),
        ({"metadata": {"a": "b"}}, "metadata", {"a": "b"}),
        ({"prompt": None, "image": FILE}, "prompt", ""),
    ],
)  # fmt: skip
def test_an_input_becomes_ours(sent: dict, name: str, value: Any) -> None:
    assert getattr(generation_request(asked(**sent), CARD), name) == value


def test_a_picture_in_a_list_may_be_a_file_of_this_door_too() -> None:
    own = generation_request(asked(controls=[{"id": "lines", "image": URL}]), CARD)
    assert own.controls[0].image == FILE


def test_loras_by_replicates_names_join_ours() -> None:
    sent = {
        "loras": [{"id": "ink", "weight": 0.5}],
        "lora_weights": "pen",
        "lora_scale": 0.7,
        "extra_lora": "chalk",
    }
    own = generation_request(asked(**sent), CARD)
    assert [(one.id, one.weight) for one in own.loras] == [("ink", 0.5), ("pen", 0.7), ("chalk", 1)]


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        ({"refine": "expert_ensemble_refiner"}, "/input/refine"),
        ({"refine_steps": 3}, "/input/refine_steps"),
        ({"high_noise_frac": 0.8}, "/input/high_noise_frac"),
        ({"replicate_weights": "https://a.example/w.tar"}, "/input/replicate_weights"),
        ({"num_outputs": 2, "n": 2}, "/input/num_outputs"),
        ({"scheduler": "DDIM", "sampler": "ddim"}, "/input/scheduler"),
        ({"steps": 3, "num_inference_steps": 3}, "/input/steps"),
        ({"lora_weights": "a", "hf_lora": "a"}, "/input/hf_lora"),
        ({"aspect_ratio": "16:9", "width": 128}, "/input/aspect_ratio"),
        ({"dry_run": True}, "/input/dry_run"),
        ({"model": "shapes"}, "/input/model"),
        ({"_webhook_events_filter": ["completed"]}, "/webhook_events_filter"),
        ({"_webhook": "https://a.example", "_webhook_events_filter": []}, "/webhook_events_filter"),
        (
            {"_webhook": "https://a.example", "_webhook_events_filter": ["completed", "logs"]},
            "/webhook_events_filter",
        ),
        (
            {"_webhook": "https://a.example", "_webhook_completed": "https://a.example"},
            "/webhook_completed",
        ),
    ],
)
def test_what_cannot_be_obeyed_is_refused_by_name(sent: dict, place: str) -> None:
    with pytest.raises(UnsupportedField) as refused:
        generation_request(asked(**sent), CARD)
    assert list(refused.value.fields) == [place]
    name = place.removeprefix("/").replace("/", ".")
    assert refused.value.message.startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        ({"scheduler": "nonsense"}, "/input/scheduler"),
        ({"prompt_strength": 0}, "/input/prompt_strength"),
        ({"prompt": "", "image": None, "width": 64, "_webhook": "https://a.example"}, None),
    ],
)
def test_what_is_wrong_with_ours_is_wrong_with_what_was_sent(sent: dict, place: str | None) -> None:
    if place is None:
        assert generation_request(asked(**sent), CARD).width == 64
        return
    with pytest.raises(InvalidRequest) as refused:
        generation_request(asked(**sent), CARD)
    assert list(refused.value.fields) == [place]


def test_names_are_those_that_were_sent() -> None:
    sent = names(
        asked(num_outputs=2, aspect_ratio="1:1", hf_lora="a", _webhook_completed="https://a")
    )
    assert sent["n"] == "input/num_outputs"
    assert sent["width"] == sent["height"] == "input/aspect_ratio"
    assert sent["loras"] == "input/hf_lora"
    assert sent["webhook"] == "webhook_completed"
    assert sent["finish_within"] == "Cancel-After"
    assert "finish_within" not in names(asked(finish_within=9))
    assert names(asked(seed=1))["sampler"] == "input/sampler"


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ({}, ""),
        ({"apply_watermark": False}, "input.apply_watermark"),
        ({"go_fast": True, "safety_tolerance": 2}, "input.safety_tolerance, input.go_fast"),
        ({"output_quality": 80}, "input.output_quality"),
        ({"output_quality": 80, "output_format": "webp"}, ""),
        ({"lora_scale": 0.5}, "input.lora_scale"),
        ({"lora_scale": 0.5, "hf_lora": "ink"}, ""),
        ({"frobnicate": 1, "nothing": None, "\n": 1}, "input.frobnicate"),
        ({"_stream": True, "_created_by": "me"}, "stream, created_by"),
    ],
)
def test_what_is_ignored_is_named(sent: dict, named: str) -> None:
    assert ignored(asked(**sent)) == named


@pytest.mark.parametrize(
    ("sent", "events"),
    [
        ({"_webhook": "https://a.example"}, "running succeeded failed canceled expired"),
        (
            {"_webhook": "https://a.example", "_webhook_events_filter": ["completed"]},
            "succeeded failed canceled expired",
        ),
        ({"_webhook": "https://a.example", "_webhook_events_filter": ["start"]}, "running"),
        ({"_webhook_completed": "https://a.example"}, "succeeded failed canceled expired"),
    ],
)
def test_a_webhook_gets_the_start_the_end_or_both(sent: dict, events: str) -> None:
    webhook = generation_request(asked(**sent), CARD).webhook
    assert (webhook.url, [event.value for event in webhook.events]) == (
        "https://a.example", events.split()
    )  # fmt: skip


@pytest.mark.parametrize(
    ("reference", "id"),
    [
        ("shapes", "shapes"),
        ("latentry/shapes", "shapes"),
        ("stability-ai/sdxl", "sdxl"),
        ("latentry/shapes:shapes", "shapes"),
        ("shapes:shapes", "shapes"),
    ],
)
def test_a_model_is_named_by_its_id_whoever_owns_it(reference: str, id: str) -> None:
    assert model_id(reference) == id


@pytest.mark.parametrize("reference", ["", "a/b/c", "a:b", "x/a:b", "/a", "a:", "a/"])
def test_another_version_is_another_model(reference: str) -> None:
    with pytest.raises(UnknownModel):
        model_id(reference)


def test_a_request_names_one_model() -> None:
    body = asked(_version=None)
    with pytest.raises(InvalidRequest) as missing:
        requested_model(body)
    assert list(missing.value.fields) == ["/version"]
    assert requested_model(body, "shapes") == "shapes"
    assert requested_model(asked(_version=None, _model="a/shapes")) == "shapes"
    assert requested_model(asked(_version="a/shapes", _model="shapes"), "shapes") == "shapes"
    with pytest.raises(UnsupportedField):
        requested_model(asked(_version="a", _model="b"))
    with pytest.raises(UnsupportedField):
        requested_model(asked(_version="a"), "b")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("90", 90),
        ("90s", 90),
        ("5m", 300),
        ("1h", 3600),
        ("1h30m", 5400),
        (" 1m30s ", 90),
        ("5", 5),
    ],
)
def test_cancel_after_is_a_duration(text: str | None, seconds: int | None) -> None:
    assert deadlines.seconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "4", "0m", "s", "1.5m", "-5", "m5", "5 m", "9" * 7, "٩٠", "1s1m"]
)
def test_another_one_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        deadlines.seconds(text)
    assert list(refused.value.fields) == ["Cancel-After"]


def test_cancel_after_is_finish_within() -> None:
    assert generation_request(asked(), CARD, 90).finish_within == 90
    with pytest.raises(UnsupportedField):
        generation_request(asked(finish_within=5), CARD, 90)

"""Each field has the fate that the page says."""

import pytest

from latentry.contracts import GenerationRequest
from service.doors.fates import Fate, fate_of
from service.doors.own_fields import OwnFields
from service.doors.replicate.requests import ModelInput, PredictionRequest
from service.doors.replicate.translation import ignored
from tools.pages.replicate_fields import PAGE, fields, section

# Of `stability-ai/sdxl`, `stability-ai/stable-diffusion`, `-img2img`, `-inpainting` and `-3`.
THEIRS = {
    *("prompt", "negative_prompt", "image", "mask", "width", "height", "aspect_ratio", "seed"),
    *("num_outputs", "scheduler", "num_inference_steps", "steps", "guidance_scale", "cfg"),
    *("prompt_strength", "refine", "high_noise_frac", "refine_steps", "apply_watermark"),
    *("lora_scale", "replicate_weights", "disable_safety_checker"),
    *("output_format", "output_quality"),
}
BODY = {"version": "shapes", "input": {"prompt": "a"}}


def test_the_page_is_what_the_program_writes() -> None:
    page = PAGE.path.read_text()
    assert page == PAGE.with_section(page, section()), f"run `python -m {PAGE.program}`"
    assert section() in page


def test_what_replicates_models_take_has_its_fate() -> None:
    assert fields(ModelInput).keys() >= THEIRS


def test_the_door_takes_every_field_of_ours_or_refuses_it_by_name() -> None:
    refused = {"model", "template", "preview_interval", "preview_size", "intermediates", "dry_run"}
    taken = ModelInput.model_fields.keys() | OwnFields.model_fields.keys()
    assert GenerationRequest.model_fields.keys() - taken == refused | {"webhook"}


@pytest.mark.parametrize("name", [n for n in fields(ModelInput) if n not in ("prompt", "n")])
def test_an_input_s_fate_is_what_becomes_of_it(name: str) -> None:
    if fate_of(ModelInput.model_fields[name]).fate is Fate.IGNORED:
        body = PredictionRequest.model_validate(BODY | {"input": {"prompt": "a", name: "x"}})
        assert ignored(body) == f"input.{name}"
    assert f"| `{name}` |" in section()


@pytest.mark.parametrize("name", ["template", "dry_run", "webhook", "model", "intermediates"])
async def test_our_fields_that_have_no_effect_are_refused(client, worker, name: str) -> None:
    body = BODY | {"input": {"prompt": "a", name: 5}}
    answer = await client.post("/replicate/v1/predictions", json=body)
    [wrong] = answer.json()["invalid_fields"]
    assert (answer.status_code, wrong["field"]) == (422, f"input.{name}")

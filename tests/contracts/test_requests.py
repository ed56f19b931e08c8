"""What a request may say."""

import json

import pytest
from pydantic import ValidationError

from latentry.contracts import GenerationRequest, Sampler
from latentry.contracts.requests import MAX_PROMPT_CHARS, MAX_SEED, SAMPLER_ALIASES
from latentry.contracts.wire import Asked


def parse(**fields: object) -> GenerationRequest:
    return GenerationRequest.model_validate_json(json.dumps({"prompt": "a frog"} | fields))


def test_a_prompt_is_all_it_takes() -> None:
    assert parse().n == 1


@pytest.mark.parametrize(("alias", "sampler"), SAMPLER_ALIASES.items())
def test_the_names_other_programs_use_mean_our_samplers(alias: str, sampler: Sampler) -> None:
    assert parse(sampler=alias).sampler is sampler


@pytest.mark.parametrize(
    "fields",
    [
        {"widht": 128},
        {"width": "128"},
        {"width": 128.0},
        {"width": True},
        {"width": 130},
        {"width": 0},
        {"width": -128},
        {"width": 10**9},
        {"num_inference_steps": 0},
        {"num_inference_steps": 10**6},
        {"guidance_scale": float("nan")},
        {"guidance_scale": float("inf")},
        {"guidance_scale": "7"},
        {"guidance_scale": -1},
        {"seed": -1},
        {"seed": MAX_SEED + 1},
        {"n": 0},
        {"n": 9},
        {"sampler": "Euler Z"},
        {"sampler": 3},
        {"output_format": "gif"},
        {"determinism": "maybe"},
        {"prompt_syntax": "natural"},
        {"clip_skip": 0},
        {"clip_skip": 13},
        {"clip_skip": 1.0},
        {"original_size": 512},
        {"original_size": [512]},
        {"original_size": [0, 512]},
        {"target_size": [512, 512.5]},
        {"crops_coords_top_left": [-1, 0]},
        {"prompt": None},
        {"prompt": "x" * (MAX_PROMPT_CHARS + 1)},
        {"prompt": "a\0b"},
        {"model": "../etc/passwd"},
        {"model": "Model.ckpt"},
        {"metadata": {"a": 1}},
        {"metadata": {str(k): "" for k in range(17)}},
        {"metadata": {"": "x"}},
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        parse(**fields)


def test_nothing_on_the_wire_can_be_changed_after_it_was_checked() -> None:
    request = parse()
    with pytest.raises(ValidationError):
        request.prompt = "a rabbit"  # type: ignore[misc]
    assert all(c.model_config["frozen"] for c in Asked.__subclasses__())

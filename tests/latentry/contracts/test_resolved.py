"""A resolved request: every field of a request that a picture may depend on, filled in."""

import json

import pytest

from latentry.contracts import ControlMode, GenerationRequest, ResolvedRequest
from tests.latentry.contracts.resolved import CHANGES, RESOLVED

# What concerns the job or its delivery and is kept in the job's record instead.
OF_THE_JOB = {"user", "priority", "start_within", "finish_within", "keep_for", "dry_run", "webhook"}
# What makes it another kind of job, which has a request of its own.
OTHER_KINDS = {"interpolation", "clip"}
# What is resolved into the prompts; `template` keeps the names.
IN_THE_PROMPTS = {"styles"}
# What does not change the pixels of one image; its seeds are stored separately.
NOT_PIXELS = {
    *(
        "metadata",
        "n",
        "preview_interval",
        "preview_size",
        "intermediates",
        "seed",
        "template",
        "variation_seed",
    ),
    *("output_format", "output_quality", "output_lossless", "provenance"),
}


def test_a_resolved_request_has_every_field_of_a_request() -> None:
    fields = GenerationRequest.model_fields.keys() - OF_THE_JOB - IN_THE_PROMPTS
    assert ResolvedRequest.model_fields.keys() - OTHER_KINDS == fields == CHANGES.keys()


def test_both_have_the_same_defaults() -> None:
    for name in ResolvedRequest.model_fields.keys() - OTHER_KINDS:
        field = ResolvedRequest.model_fields[name]
        requested = GenerationRequest.model_fields[name]
        if requested.get_default(call_default_factory=True) is None or requested.is_required():
            continue  # the model's card fills it in
        assert field.get_default(call_default_factory=True) == requested.get_default(
            call_default_factory=True
        ), name


@pytest.mark.parametrize("name", CHANGES)
def test_every_field_changes_the_pixels_unless_it_is_named(name: str) -> None:
    changed = RESOLVED.model_copy(update={name: CHANGES[name]})
    assert (changed.pixel_fields() == RESOLVED.pixel_fields()) == (name in NOT_PIXELS)


def test_fields_at_their_default_are_left_out_of_what_pixels_depend_on() -> None:
    assert json.loads(json.dumps(RESOLVED.pixel_fields())) == {
        "model": "shapes",
        "prompt": "a red circle",
        "width": 128,
        "height": 96,
        "num_inference_steps": 25,
        "guidance_scale": 4.0,
        "sampler": "dpmpp_2m",
    }


def test_of_a_control_its_file_s_content_and_its_picture_s_pixels_count() -> None:
    [control] = CHANGES["controls"]

    def facts(**changes: object) -> dict:
        changed = control.model_copy(update=changes)
        return RESOLVED.model_copy(update={"controls": (changed,)}).pixel_fields()

    renamed = control.image.model_copy(update={"file": "file_9"})
    other = control.image.model_copy(update={"pixel_sha256": "9" * 64})
    assert facts(id="x", autov3="", image=renamed) == facts()
    guess = {"mode": ControlMode.GUESS}
    for changes in ({"sha256": "8" * 64}, {"image": other}, {"weight": 1.0}, guess):
        assert facts(**changes) != facts()


def test_of_a_picture_its_pixels_count_and_not_the_file_that_has_them() -> None:
    image = CHANGES["image"]
    one, same, other = (
        RESOLVED.model_copy(update={"image": image.model_copy(update=changes)}).pixel_fields()
        for changes in ({}, {"file": "file_9"}, {"pixel_sha256": "9" * 64})
    )
    assert one == same
    assert one != other

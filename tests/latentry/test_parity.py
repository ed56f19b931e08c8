"""Names where a new field of a request is missing: SDK, CLI, OpenAI door, infotext."""

import inspect

import pytest

from latentry.cli.drawing.caption import caption
from latentry.cli.drawing.control import control
from latentry.cli.drawing.generate import generate
from latentry.cli.drawing.upscale import upscale
from latentry.client.fields import Fields
from latentry.client.pictures.fields import CaptionFields, ControlFields, UpscaleFields
from latentry.contracts import CaptionRequest, ControlRequest, GenerationRequest, UpscaleRequest
from latentry.provenance.infotext import infotext
from service.doors.openai.requests import EditRequest, ImagesRequest
from service.doors.own_fields import OwnFields
from tests.latentry.contracts.resolved import CHANGES, RESOLVED

FIELDS = GenerationRequest.model_fields.keys()

# Each exception with its reason.
NOT_IN_SDK = {
    "prompt": "the positional argument",
    "dry_run": "a method of its own, Client.estimate, which returns no job",
}
NOT_IN_CLI = {
    "template": "the service writes it, programs send it back",
    "intermediates": "--intermediates-every and --intermediates-kind",
    "prompt": "`prompts`",
}
ONLY_IN_CLI = {
    "prompts": "several requests",
    "prompts_file": "the same, from a file",
    "concurrency": "how many of them at once",
    "show": "images in the terminal",
    "output": "where the image is saved",
    "as_json": "how the job is printed",
    "url": "where the service is",
    "api_key": "the key to it",
    "webhook_event": "the webhook's `events`",
    "intermediates_every": "the intermediates' `every`",
    "intermediates_kind": "the intermediates' `kinds`",
}
NOT_IN_OPENAI = {
    "width": "`size`",
    "height": "`size`",
    "template": "the service writes it",
    "preview_interval": "`partial_images`",
    "preview_size": "the same",
    "intermediates": "the answer has finished images only",
    "dry_run": "the answer would not be OpenAI's",
    "webhook": "the client waits for the answer",
}
# Names that mean more there than in a request.
OPENAI_S_OWN_TYPE = {
    "model": "OpenAI's model names mean the default model",
    "sampler": "text: a name may stand for sampler and spacing",
}
NOT_IN_INFOTEXT = {
    "n": "each image has its own file",
    "output_format": "visible in the file itself",
    "output_quality": "the same",
    "output_lossless": "the same",
    "provenance": "the same",
    "determinism": "a strict image names its profile",
    "preview_interval": "does not change the image",
    "preview_size": "the same",
    "intermediates": "the same",
    "metadata": "the caller's own, and images are passed on",
    "seed": "an argument: each image has its own",
}


def test_the_sdk_takes_every_field() -> None:
    assert Fields.__annotations__.keys() == FIELDS - NOT_IN_SDK.keys()


def test_the_command_line_takes_every_field() -> None:
    options = inspect.signature(generate).parameters.keys()
    assert options - ONLY_IN_CLI.keys() == FIELDS - NOT_IN_CLI.keys()
    assert options > ONLY_IN_CLI.keys()


def test_the_openai_door_takes_every_field() -> None:
    named = ImagesRequest.model_fields.keys()
    assert named >= FIELDS - NOT_IN_OPENAI.keys()
    assert not named & NOT_IN_OPENAI.keys()
    pictures = {"image", "mask"}  # in OpenAI's own ways
    assert EditRequest.model_fields.keys() - pictures >= OwnFields.model_fields.keys()


@pytest.mark.parametrize("name", sorted(FIELDS - NOT_IN_OPENAI.keys() - OPENAI_S_OWN_TYPE.keys()))
def test_the_openai_door_s_bounds_and_descriptions_are_the_request_s(name: str) -> None:
    ours, theirs = (
        one.model_json_schema()["properties"][name] for one in (GenerationRequest, ImagesRequest)
    )
    assert _facts(theirs) == _facts(ours)


def _facts(schema: dict) -> set[tuple[str, str]]:
    """Bounds and descriptions, whether the field may be null or not."""
    parts = [schema, *schema.get("anyOf", [])]
    left_out = {"anyOf", "default", "title"}
    facts = {(key, str(value)) for part in parts for key, value in part.items()}
    return {fact for fact in facts if fact[0] not in left_out and fact != ("type", "null")}


@pytest.mark.parametrize("name", CHANGES)
def test_infotext_has_every_field(name: str) -> None:
    changed = RESOLVED.model_copy(update={name: CHANGES[name]})
    assert (infotext(changed, 9) == infotext(RESOLVED, 9)) == (name in NOT_IN_INFOTEXT)


@pytest.mark.parametrize(
    "model", [GenerationRequest, UpscaleRequest, ControlRequest, CaptionRequest]
)
def test_every_field_has_a_description(model) -> None:
    for name, field in model.model_fields.items():
        assert field.description, name


@pytest.mark.parametrize(
    ("model", "keywords", "command"),
    [
        (UpscaleRequest, UpscaleFields, upscale),
        (ControlRequest, ControlFields, control),
        (CaptionRequest, CaptionFields, caption),
    ],
)
def test_clients_take_every_field_of_what_is_made_of_a_picture(model, keywords, command) -> None:
    fields = model.model_fields.keys()
    # The picture is the positional argument, and `estimate_upscale` is a dry run.
    assert keywords.__annotations__.keys() == fields - {"image", "dry_run"}
    assert inspect.signature(command).parameters.keys() - ONLY_IN_CLI.keys() == fields
